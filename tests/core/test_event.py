"""Events of an agent's decisions, and what they are on disk."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest

from quaestor_actors.core.agent import Group, Phase
from quaestor_actors.core.event import Event, EventKind, from_document, to_document
from quaestor_actors.core.group_events import of_group
from quaestor_actors.core.member import Member, MemberState
from quaestor_actors.core.process_id import ProcessId

EVENT = Event(
    at=1234.5, kind=EventKind.MEMBER, subject="W/1", before="serving", after="stopping", reason="by hand", pid=7
)


def group(*members: Member, phase: Phase = Phase.RUNNING, reason: str = "") -> Group:
    return Group(members=MappingProxyType({each.member_id: each for each in members}), phase=phase, reason=reason)


def member(state: MemberState, **fields: Any) -> Member:
    return Member(member_id="W/1", state=state, reason="why", **fields)


def test__member_in_another_state__is_an_event_with_its_reason() -> None:
    process = ProcessId(pid=7, start_ticks=1)
    before = group(member(MemberState.STARTING, incarnation=2))
    after = group(member(MemberState.SERVING, incarnation=2, process=process))
    assert of_group(before, after, agent="W", at=1.0) == [
        Event(
            at=1.0,
            kind=EventKind.MEMBER,
            subject="W/1",
            before="starting",
            after="serving",
            reason="why",
            pid=7,
            incarnation=2,
            restarts=after.members["W/1"].restarts,
        )
    ]


def test__member_that_starts_again_at_once__is_an_event_though_its_state_is_the_same() -> None:
    before, after = (group(member(MemberState.STARTING, incarnation=number)) for number in (1, 2))
    assert [event.incarnation for event in of_group(before, after, agent="W", at=1.0)] == [2]


def test__nothing_changed_but_a_deadline__is_no_event() -> None:
    before = group(member(MemberState.SERVING, deadline=1.0))
    after = group(member(MemberState.SERVING, deadline=2.0))
    assert of_group(before, after, agent="W", at=1.0) == []


def test__member_that_is_no_longer_configured__is_gone() -> None:
    [event] = of_group(group(member(MemberState.STOPPED)), group(), agent="W", at=1.0)
    assert (event.subject, event.before, event.after) == ("W/1", "stopped", "gone")


def test__agent_that_gives_up__is_an_event_after_those_of_its_members() -> None:
    before = group(member(MemberState.SERVING))
    after = group(member(MemberState.STOPPING), phase=Phase.GAVE_UP, reason="too many restarts")
    events = of_group(before, after, agent="W", at=1.0)
    assert [(event.kind, event.after, event.reason) for event in events] == [
        (EventKind.MEMBER, "stopping", "why"),
        (EventKind.AGENT, "gave_up", "too many restarts"),
    ]


def test__event__survives_json_and_later_versions() -> None:
    document = json.loads(json.dumps(to_document(EVENT)))
    assert "restarts" not in document
    assert from_document(document | {"host": "of a later version"}) == EVENT


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "unheard of"},
        {"at": "late"},
        {"subject": None},
        {"reason": 3},
        {"before": ["serving"]},
        {"pid": "seven"},
    ],
    ids=str,
)
def test__nonsense__is_no_event(change: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        from_document(to_document(EVENT) | change)
