"""The planted faults fit the code as it is now; that tests notice each of them is for `make mutants` to show."""

from __future__ import annotations

import ast
from collections import Counter

import pytest
from mutants.faults import FAULTS
from mutants.planting import ROOT, Fault


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test__planted_fault__is_another_program_in_one_place(fault: Fault) -> None:
    before = (ROOT / "quaestor_actors" / fault.file).read_text()
    after = fault.planted_in(before)
    assert ast.dump(ast.parse(after)) != ast.dump(ast.parse(before))
    assert all((ROOT / test).exists() for test in fault.tests)


def test__planted_faults__have_names_of_their_own() -> None:
    assert set(Counter(fault.name for fault in FAULTS).values()) == {1}
