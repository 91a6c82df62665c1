"""Numbers that one process counts and another one reads."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest

from quaestor_actors.adapters.tally import Tally, forget_tallies, read_tally
from quaestor_actors.core.histogram import PROBE

FAR = 5 * mmap.PAGESIZE // 8 + 3


def test__counted__is_read(tmp_path: Path) -> None:
    tally = Tally(tmp_path / "a.tally")
    tally.add(0)
    tally.add(2, 0.5)
    tally.add(2, 0.25)
    assert read_tally(tmp_path / "a.tally")[:4] == (1.0, 0.0, 0.75, 0.0)


def test__successor__counts_on(tmp_path: Path) -> None:
    Tally(tmp_path / "a.tally").add(FAR)
    successor = Tally(tmp_path / "a.tally")
    successor.add(FAR)
    successor.add(0)
    assert (read_tally(tmp_path / "a.tally")[0], read_tally(tmp_path / "a.tally")[FAR]) == (1.0, 2.0)


def test__beyond_the_end__it_grows_and_keeps_what_is_there(tmp_path: Path) -> None:
    for path in (tmp_path / "a.tally", None):
        tally = Tally(path)
        tally.add(1)
        tally.add(FAR, 3.0)
        tally.add(1)
    assert read_tally(tmp_path / "a.tally")[1] == 2.0
    assert read_tally(tmp_path / "a.tally")[FAR] == 3.0


def test__histogram__has_its_bucket_and_its_sum(tmp_path: Path) -> None:
    Tally(tmp_path / "a.tally").observe(PROBE, 0.003, base=10)
    numbers = read_tally(tmp_path / "a.tally")
    assert PROBE.cumulated(numbers[10:])[:3] == [0.0, 0.0, 1.0]
    assert numbers[10 + PROBE.sum_slot] == 0.003


def test__file_that_cannot_be__is_said_and_counting_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tally = Tally(tmp_path / "missing" / "a.tally")
    tally.add(FAR)
    assert "missing from the metrics: No such file or directory" in caplog.text
    assert read_tally(tmp_path / "missing" / "a.tally") == ()


def test__link_of_somebody__is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep me")
    (tmp_path / "a.tally").symlink_to(tmp_path / "precious")
    Tally(tmp_path / "a.tally").add(0)
    assert (tmp_path / "precious").read_text() == "keep me"


def test__torn_file__reads_as_far_as_it_goes(tmp_path: Path) -> None:
    (tmp_path / "a.tally").write_bytes(b"\0" * 8 + b"\1\2\3")
    assert read_tally(tmp_path / "a.tally") == (0.0,)


def test__next_life__begins_at_nothing(tmp_path: Path) -> None:
    Tally(tmp_path / "a.tally").add(0)
    (tmp_path / "Worker.json").write_text("kept")
    forget_tallies(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["Worker.json"]
