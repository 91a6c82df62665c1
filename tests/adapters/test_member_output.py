"""Reading what members have written: the last lines, rotated files, following."""

from __future__ import annotations

from pathlib import Path

import pytest

from quaestor_actors.adapters.member_log import rotate
from quaestor_actors.adapters.member_output import OutputFollower, last_lines, output_files
from quaestor_actors.cli.logs import shown_in_terminal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "Worker-1.log"


def write(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def turn(path: Path, files: int = 2) -> None:
    assert rotate(path, max_bytes=1, files=files)


def test__members__by_their_files(tmp_path: Path) -> None:
    for name in ("my-agent-10", "my-agent-2", "Worker-1", "system", "no-number"):
        (tmp_path / f"{name}.log").touch()
    assert list(output_files(tmp_path)) == ["Worker/1", "my-agent/2", "my-agent/10"]


def test__last_lines__go_on_in_rotated_files(path: Path) -> None:
    write(path, "1", "2")
    turn(path)
    write(path, "3")
    turn(path)
    write(path, "4", "5")
    assert last_lines(path, None) == [b"1", b"2", b"3", b"4", b"5"]
    assert last_lines(path, 4) == [b"2", b"3", b"4", b"5"]
    assert last_lines(path, 1) == [b"5"]
    assert last_lines(path, 0) == []
    assert last_lines(path.with_name("missing"), 3) == []


def test__last_lines__of_more_than_a_block(path: Path) -> None:
    write(path, *(f"{number:080}" for number in range(3000)))
    assert [int(line) for line in last_lines(path, 2000)] == list(range(1000, 3000))


def test__follower__goes_on_where_the_last_lines_ended(path: Path) -> None:
    write(path, "1", "2")
    with path.open("a") as file:
        file.write("unfin")
    follower = OutputFollower(path)
    assert last_lines(path, 10, end=follower.begin) == [b"1", b"2"]
    write(path, "ished", "3")
    assert follower.added() == [b"unfinished", b"3"]
    assert follower.added() == []


@pytest.mark.parametrize("files", [2, 0])
def test__follower__goes_on_after_a_rotation(path: Path, files: int) -> None:
    write(path, "a long line that is older")
    follower = OutputFollower(path)
    write(path, "before")
    if not files:
        # With no rotated file nothing else would be left of it.
        assert follower.added() == [b"before"]
    turn(path, files)
    write(path, "after")
    assert follower.added() == ([b"before", b"after"] if files else [b"after"])
    turn(path, files)
    write(path, "x")
    assert follower.added() == [b"x"]


def test__follower__of_a_file_that_has_grown_again_since_its_rotation(path: Path) -> None:
    follower = OutputFollower(path)
    write(path, "1")
    assert follower.added() == [b"1"]
    write(path, "2")
    turn(path)
    write(path, "3", "4", "5")
    # It might not have been emptied yet.
    assert follower.added() == []
    assert follower.added() == [b"2", b"3", b"4", b"5"]


def test__follower__of_a_member_that_has_written_nothing_yet(path: Path) -> None:
    follower = OutputFollower(path)
    assert follower.added() == []
    write(path, "1")
    assert follower.added() == [b"1"]


def test__terminal__gets_colours_and_no_commands() -> None:
    assert shown_in_terminal("a\tb\x1b[2J") == "a       b\\x1b[2J"
    assert shown_in_terminal("\x1b[31mred") == "\x1b[31mred\x1b[0m"
