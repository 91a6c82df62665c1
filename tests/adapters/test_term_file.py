"""What a host remembers of its term, and whether a copy may be started by that."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from quaestor_actors.adapters import term_file
from quaestor_actors.adapters.term_file import NAME, RememberedTerm, TermFile
from quaestor_actors.core.coordination_state import Term
from quaestor_actors.core.placement import Slot

CRON = Slot("Cron", 1)
HELD = RememberedTerm(
    term=Term(lease=5, ends_at=100.0), margin_s=1.0, agents=frozenset({"Cron", "A B"}), granted={CRON: 7}
)


def test__what_is_saved__is_loaded(tmp_path: Path) -> None:
    file = TermFile(tmp_path)
    assert file.load() is None
    for each in (HELD, RememberedTerm(term=None, margin_s=0.5)):
        file.save(each)
        assert TermFile(tmp_path).load() == each
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
    file.remove()
    file.remove()
    assert file.load() is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"version": 2}'])
def test__torn_or_foreign_file__counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    assert TermFile(tmp_path).load() is None


def test__file_of_another_boot__counts_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    TermFile(tmp_path).save(HELD)
    assert json.loads((tmp_path / NAME).read_text())["boot"] == term_file.boot_id()
    monkeypatch.setattr(term_file, "boot_id", lambda: "another")
    assert TermFile(tmp_path).load() is None


def test__end__is_the_margin_before_that_of_the_term() -> None:
    assert HELD.stops_at == 99.0
    assert RememberedTerm(term=None, margin_s=1.0).stops_at == -math.inf


def test__start__is_refused_without_the_grant_and_when_the_term_is_over(tmp_path: Path) -> None:
    file = TermFile(tmp_path)
    assert file.refusal(CRON, 7, now=0.0) == "this host may not run it at present"
    file.save(HELD)
    assert file.refusal(CRON, 7, now=98.9) is None
    assert file.refusal(CRON, 6, now=98.9) == "this host may not run it at present"
    assert file.refusal(Slot("Cron", 2), 7, now=98.9) == "this host may not run it at present"
    assert file.refusal(CRON, 7, now=99.0) == ("this host may not run it any more: its lease could not be kept alive")
