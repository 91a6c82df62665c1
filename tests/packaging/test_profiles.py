"""The examples of CI are the same every time, whatever else was imported by then."""

from __future__ import annotations

import pytest
from hypothesis.internal.conjecture import providers
from support.profiles import PROFILE


@pytest.mark.skipif(PROFILE == "nightly", reason="at random there")
def test__examples__do_not_depend_on_what_is_imported() -> None:
    assert len(providers._get_local_constants()) == 0
