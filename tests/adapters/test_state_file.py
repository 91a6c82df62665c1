"""An agent's memory: private, whole after every change, and harmless when it is not what it should be."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaestor_actors.adapters.state_file import SPARE_LINES, StateFile
from quaestor_actors.core.agent import Group, Phase
from quaestor_actors.core.member import Health, Member, MemberState
from quaestor_actors.core.process_id import ProcessId

TIMES = st.floats(allow_nan=False, allow_infinity=False)
MEMBERS = st.builds(
    Member,
    member_id=st.sampled_from(["Worker/1", "Worker/2", "Worker/3", "Ä \u2028/1"]),
    state=st.sampled_from(MemberState),
    reason=st.text(max_size=50),
    since=TIMES,
    incarnation=st.integers(0, 2**40),
    process=st.none() | st.builds(ProcessId, pid=st.integers(1, 2**22), start_ticks=st.integers(0, 2**40)),
    port=st.none() | st.integers(1, 65535),
    wanted=st.booleans(),
    foreign=st.booleans(),
    health=st.none() | st.sampled_from(Health),
    failures=st.integers(0, 1000),
    deadline=st.none() | TIMES,
    due=st.none() | st.text(max_size=10),
)
GROUPS = st.builds(
    lambda members, **others: Group(members=MappingProxyType({m.member_id: m for m in members}), **others),
    members=st.lists(MEMBERS, max_size=4),
    phase=st.sampled_from(Phase),
    reason=st.text(max_size=20),
    restarts=st.lists(TIMES, max_size=3).map(tuple),
    held=st.frozensets(st.sampled_from(["Worker/1", "Worker/2"])),
    retired=st.dictionaries(st.sampled_from(["Worker/1", "Worker/2"]), st.integers(0, 9)).map(MappingProxyType),
)
EXAMPLE = Member(member_id="Worker/1", process=ProcessId(pid=1, start_ticks=2), port=5161)


def group_of(*members: Member) -> Group:
    return Group(members=MappingProxyType({member.member_id: member for member in members}))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "Worker.json"


@given(groups=st.lists(GROUPS, min_size=1, max_size=5))
def test__whatever_was_saved_last__is_loaded(tmp_path_factory: pytest.TempPathFactory, groups: list[Group]) -> None:
    file = StateFile(tmp_path_factory.mktemp("state") / "agent.json")
    for group in groups:
        file.save(group)
        assert StateFile(file.path).load() == group


def test__missing_file__is_no_memory(path: Path) -> None:
    assert StateFile(path).load() == Group()


def test__torn_file__at_every_byte__holds_only_what_was_once_true(path: Path) -> None:
    file = StateFile(path)
    later = replace(EXAMPLE, incarnation=2, process=ProcessId(pid=3, start_ticks=4))
    file.save(group_of(EXAMPLE))
    file.save(group_of(later))
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert list(StateFile(path).load().members.values()) in ([], [EXAMPLE], [later])


def test__line_in_the_middle_is_garbage__the_others_count(path: Path) -> None:
    file = StateFile(path)
    file.save(group_of(EXAMPLE))
    with path.open("ab") as journal:
        journal.write(
            b'\xff\x00{"member": {"member_id"\n{"member": 3}\n[]\n{"group": {}}\n{"member": {"state": "serving"}}\n'
        )
    other = replace(EXAMPLE, member_id="Worker/2")
    file.save(group_of(EXAMPLE, other))
    assert StateFile(path).load() == group_of(EXAMPLE, other)


@pytest.mark.parametrize("header", [{"version": 1}, {"boot": "another"}, {"version": "2"}])
def test__other_version_or_boot__is_no_memory(path: Path, header: dict[str, object]) -> None:
    StateFile(path).save(group_of(EXAMPLE))
    first, *others = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps({**json.loads(first), **header}), *others]))
    assert StateFile(path).load() == Group()


def test__many_changes__do_not_let_the_file_grow_for_ever(path: Path) -> None:
    file = StateFile(path)
    for incarnation in range(3 * SPARE_LINES):
        file.save(group_of(replace(EXAMPLE, incarnation=incarnation)))
    assert len(path.read_text().splitlines()) < SPARE_LINES + 10
    assert StateFile(path).load().members["Worker/1"].incarnation == 3 * SPARE_LINES - 1


def test__file_removed_meanwhile__is_told_and_the_next_save_is_whole(path: Path) -> None:
    file = StateFile(path)
    file.save(group_of(EXAMPLE))
    path.unlink()
    with pytest.raises(FileNotFoundError):
        file.save(group_of(replace(EXAMPLE, incarnation=7)))
    file.save(group_of(replace(EXAMPLE, incarnation=8)))
    assert StateFile(path).load().members["Worker/1"].incarnation == 8


def test__file__is_private_and_alone(path: Path) -> None:
    file = StateFile(path)
    file.save(group_of(EXAMPLE))
    file.save(group_of())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    file.remove()
    file.remove()
    assert not path.exists()


def test__file_that_cannot_be_read__is_as_good_as_none(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.mkdir()
    assert StateFile(path).load() == Group()
    assert f"cannot read {path}: Is a directory" in caplog.text
