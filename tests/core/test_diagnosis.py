"""What is wrong, by the numbers."""

from __future__ import annotations

import pytest

from quaestor_actors.core.diagnosis import SKEW_S, Severity, of_clock, of_descriptors, of_version


@pytest.mark.parametrize(
    ("offset_s", "uncertainty_s", "says"),
    [
        (SKEW_S, 0.0, None),
        (-SKEW_S, 0.0, None),
        (SKEW_S + 0.1, 0.0, "2 s ahead of"),
        (-90.0, 1.0, "90 s behind"),
        (3.0, 1.5, None),
    ],
)
def test__clock__is_wrong_beyond_what_may_be_an_error(offset_s: float, uncertainty_s: float, says: str | None) -> None:
    found = of_clock(offset_s, uncertainty_s=uncertainty_s, where="a:1")
    assert (found is None) if says is None else (found is not None and says in found.what)


def test__descriptors__as_many_as_members_may_need() -> None:
    assert of_descriptors(296, members=10, where="x") is None
    found = of_descriptors(295, members=10, where="x")
    assert found is not None
    assert (found.severity, found.what) == (
        Severity.ERROR,
        "at most 295 open files are allowed, and 10 members may need 296",
    )


@pytest.mark.parametrize(
    ("installed", "fits"),
    [("1.76.0", True), ("1.77.0rc1", True), ("2.0", True), ("1.75.9", False), ("1.8.0", False), (None, False)],
)
def test__version__is_new_enough(installed: str | None, *, fits: bool) -> None:
    found = of_version("grpcio", installed=installed, needed=(1, 76, 0), where="x")
    assert (found is None) == fits
