"""Why a member is started again, as the machine of its life brings it about."""

from __future__ import annotations

import pytest

from quaestor_actors.core import lifecycle
from quaestor_actors.core.agent import Group
from quaestor_actors.core.member import (
    Admitted,
    DeadlinePassed,
    Fact,
    Health,
    HealthReported,
    Member,
    ProcessExited,
    ReplaceRequested,
    Rules,
    Spawned,
    SpawnFailed,
    StartRequested,
    StopRequested,
)
from quaestor_actors.core.process_id import ProcessId
from quaestor_actors.core.restart_kind import RestartKind, kind_of, of_group

RULES = Rules(startup_retries=2)
STARTED = (Admitted(), Spawned(incarnation=1, process=ProcessId(pid=10, start_ticks=1), port=5161))
SERVES = HealthReported(incarnation=1, health=Health.SERVING, detail="")
ENDS = ProcessExited(incarnation=1, reason="exited with code 1")


def kinds(*facts: Fact) -> list[RestartKind]:
    """Return what is counted while these things happen to a member."""
    member, found = Member(member_id="W/1"), []
    for fact in facts:
        before = member
        member, _ = lifecycle.decide(member, fact, 100.0 * isinstance(fact, DeadlinePassed), RULES, 0.5)
        if (kind := kind_of(before, member)) is not None:
            found.append(kind)
    return found


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ((*STARTED, SERVES, ENDS), RestartKind.EXITED),
        ((*STARTED, ENDS), RestartKind.START_FAILED),
        ((Admitted(), SpawnFailed(incarnation=1, reason="no such file")), RestartKind.START_FAILED),
        ((*STARTED, DeadlinePassed(), ENDS), RestartKind.START_FAILED),
        (
            (*STARTED, SERVES, HealthReported(incarnation=1, health=Health.TIMEOUT, detail=""), ENDS),
            RestartKind.UNHEALTHY,
        ),
        ((*STARTED, SERVES, ReplaceRequested(reason="restarted by hand"), ENDS), RestartKind.REPLACED),
        (
            (*STARTED, SERVES, StopRequested(), StartRequested(), ENDS),
            RestartKind.REPLACED,
        ),
    ],
)
def test__end__that_a_start_follows__is_counted_once(facts: tuple[Fact, ...], kind: RestartKind) -> None:
    assert kinds(*facts) == [kind]


@pytest.mark.parametrize(
    "facts",
    [
        (*STARTED, SERVES),
        (*STARTED, SERVES, StopRequested(), ENDS),
        (StopRequested(), StartRequested(), *STARTED),
    ],
)
def test__what_is_no_restart__is_not_counted(facts: tuple[Fact, ...]) -> None:
    assert kinds(*facts) == []


def test__given_up__is_not_counted() -> None:
    again = (Admitted(), SpawnFailed(incarnation=1, reason="x"), Admitted(), StartRequested())
    failed = (Admitted(), SpawnFailed(incarnation=2, reason="x"))
    assert kinds(*again[:2], StartRequested(), *failed[:1], failed[1]) == [RestartKind.START_FAILED] * 2
    member, _ = lifecycle.decide(Member(member_id="W/1", failed_starts=1), Admitted(), 0.0, RULES, 0.5)
    after, _ = lifecycle.decide(member, SpawnFailed(incarnation=1, reason="x"), 0.0, RULES, 0.5)
    assert kind_of(member, after) is None


def test__in_one_step__end_and_next_start_count_once() -> None:
    before = Member(member_id="W/1")
    for fact in (*STARTED, SERVES):
        before, _ = lifecycle.decide(before, fact, 0.0, RULES, 0.5)
    after, _ = lifecycle.decide(before, ENDS, 0.0, RULES, 0.5)
    after, _ = lifecycle.decide(after, Admitted(), 0.0, RULES, 0.5)
    groups = Group(members={"W/1": before}), Group(members={"W/1": after, "W/2": Member(member_id="W/2")})
    assert of_group(*groups) == [("W/1", RestartKind.EXITED)]
