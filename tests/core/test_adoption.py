"""What a new supervisor takes over, whatever has become of its predecessor's notes."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from quaestor_actors.core.adoption import FoundProcess, Settlement, settle
from quaestor_actors.core.agent import Group
from quaestor_actors.core.member import Member, MemberState, Rules
from quaestor_actors.core.process_id import ProcessId

NOTED = ProcessId(pid=10, start_ticks=1)
OTHER = ProcessId(pid=11, start_ticks=2)
SERVING = Member(member_id="W/1", state=MemberState.SERVING, incarnation=3, process=NOTED, port=5161, fingerprint="a")
WANTED = {"W/1": "now"}


def found(incarnation: int, process: ProcessId) -> FoundProcess:
    return FoundProcess(member_id="W/1", incarnation=incarnation, port=5161, process=process)


def settled(*members: Member, alive: tuple[str, ...] = (), processes: tuple[FoundProcess, ...] = ()) -> Settlement:
    known = Group(members=MappingProxyType({member.member_id: member for member in members}))
    return settle(known, WANTED, alive=alive, found=processes, now=100.0, rules=Rules())


def test__noted_process_alive__is_taken_over_as_noted() -> None:
    result = settled(SERVING, alive=("W/1",), processes=(found(3, NOTED),))
    assert result.group.members["W/1"] == SERVING
    assert result.group.wanted == WANTED
    assert result.strays == ()


def test__noted_process_alive_and_a_second_one__the_second_is_a_stray() -> None:
    second = found(4, OTHER)
    assert settled(SERVING, alive=("W/1",), processes=(found(3, NOTED), second)).strays == (second,)


@pytest.mark.parametrize("state", [MemberState.STARTING, MemberState.STOPPING])
def test__process_not_yet_noted__is_the_member_s_own(state: MemberState) -> None:
    in_doubt = replace(SERVING, state=state, process=None, port=None)
    result = settled(in_doubt, processes=(found(3, OTHER),))
    assert result.group.members["W/1"] == replace(in_doubt, process=OTHER, port=5161)


def test__notes_lost__process_is_checked_anew_under_its_own_number() -> None:
    member = settled(processes=(found(7, OTHER),)).group.members["W/1"]
    assert (member.state, member.incarnation, member.process, member.port) == (MemberState.STARTING, 7, OTHER, 5161)
    assert member.fingerprint == "now"
    assert member.deadline == 100.0 + Rules().startup_deadline_s


def test__notes_too_old__the_newest_process_goes_on_and_older_ones_go() -> None:
    older, newer = found(4, ProcessId(pid=12, start_ticks=3)), found(5, OTHER)
    result = settled(SERVING, processes=(newer, older))
    assert result.group.members["W/1"].process == OTHER
    assert result.group.members["W/1"].incarnation == 5
    assert result.strays == (older,)


def test__notes_too_old__what_somebody_drained_stays_drained() -> None:
    drained = replace(SERVING, state=MemberState.STOPPING, drained="by hand")
    assert settled(drained, processes=(found(4, OTHER),)).group.members["W/1"].drained == "by hand"


def test__process_of_nobody_configured__is_known_so_that_it_can_be_ended() -> None:
    nobody = replace(found(1, OTHER), member_id="W/9")
    result = settled(SERVING, alive=("W/1",), processes=(nobody,))
    assert result.group.members["W/9"].process == OTHER
    assert "W/9" not in result.group.wanted


def test__noted_process_gone__is_left_to_the_resumption() -> None:
    assert settled(SERVING).group.members["W/1"] == SERVING
