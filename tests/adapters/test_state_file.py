"""An agent's memory: whole, private, and harmless when it is not what it should be."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaestor_actors.adapters import state_file
from quaestor_actors.core.member import Member, MemberState, ProcessId

MEMBERS = st.builds(
    Member,
    member_id=st.text(min_size=1, max_size=20),
    state=st.sampled_from(MemberState),
    reason=st.text(max_size=50),
    since=st.floats(allow_nan=False, allow_infinity=False),
    incarnation=st.integers(0, 2**40),
    process=st.none() | st.builds(ProcessId, pid=st.integers(1, 2**22), start_ticks=st.integers(0, 2**40)),
    port=st.none() | st.integers(1, 65535),
    restart_wanted=st.booleans(),
    failures=st.integers(0, 1000),
    failed_starts=st.integers(0, 1000),
    restarts=st.integers(0, 1000),
    deadline=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)
EXAMPLE = Member(member_id="Worker/1", process=ProcessId(pid=1, start_ticks=2), port=5161)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "Worker.json"


@given(members=st.lists(MEMBERS, max_size=5, unique_by=lambda member: member.member_id))
def test__what_was_saved__is_loaded(tmp_path_factory: pytest.TempPathFactory, members: list[Member]) -> None:
    path = tmp_path_factory.mktemp("state") / "agent.json"
    state_file.save(path, members)
    assert state_file.load(path) == {member.member_id: member for member in members}


def test__missing_file__is_no_memory(path: Path) -> None:
    assert state_file.load(path) == {}


def test__torn_file__at_every_byte__is_no_memory(path: Path) -> None:
    state_file.save(path, [EXAMPLE])
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert state_file.load(path) == {}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", 0),
        ("boot", "another"),
        ("members", [{"pid": 1}]),
        ("members", 3),
        ("members", [{"member_id": [], "state": "serving", "process": None}]),
    ],
)
def test__foreign_content__is_no_memory(path: Path, key: str, value: object) -> None:
    state_file.save(path, [EXAMPLE])
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    assert state_file.load(path) == {}


def test__file__is_private_and_alone(path: Path) -> None:
    state_file.save(path, [EXAMPLE])
    state_file.save(path, [])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    state_file.remove(path)
    state_file.remove(path)
    assert not path.exists()
