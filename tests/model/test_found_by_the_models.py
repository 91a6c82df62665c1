"""What the models of this room have found, each pinned by an example."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from quaestor_actors.core import adoption, group, tree
from quaestor_actors.core.actor import (
    ActorState,
    AskToStop,
    ChildCrashed,
    ChildEnded,
    ChildReady,
    ChildSpec,
    ChildStopped,
    CreateActor,
    Effect,
    Event,
    Reconfigured,
    ReplaceChild,
    StartTree,
    StopTree,
    Tree,
)
from quaestor_actors.core.adoption import FoundProcess
from quaestor_actors.core.agent import Group, MemberFact, Phase, StartAll
from quaestor_actors.core.member import (
    Health,
    HealthReported,
    Member,
    MemberState,
    ProcessExited,
    Rules,
    Spawn,
    Spawned,
)
from quaestor_actors.core.process_id import ProcessId
from quaestor_actors.core.restart import Backoff, Intensity, Strategy

BACKOFF = Backoff(initial_s=0.5, jitter=0.0, stable_s=10.0)


def serving(rules: Rules, names: list[str], now: float = 0.0) -> Group:
    """Return a group whose members all serve since then."""
    state, _ = group.decide(group.create(dict.fromkeys(names, "f1")), [StartAll()], now, rules, 0.5)
    for name in names:
        process = ProcessId(pid=1, start_ticks=1)
        told = [
            Spawned(incarnation=1, process=process, port=5161),
            HealthReported(incarnation=1, health=Health.SERVING, detail="serves"),
        ]
        state, _ = group.decide(state, [MemberFact(member_id=name, fact=fact) for fact in told], now, rules, 0.5)
    return state


def exited(name: str, incarnation: int = 1) -> MemberFact:
    return MemberFact(member_id=name, fact=ProcessExited(incarnation=incarnation, reason="exited"))


@pytest.mark.parametrize("order", [("W/1", "W/2"), ("W/2", "W/1")])
def test__rest_for_one__two_end_at_once__count_as_one_restart_in_whatever_order_they_are_told(
    order: tuple[str, str],
) -> None:
    rules = Rules(strategy=Strategy.REST_FOR_ONE, intensity=Intensity(limit=1, period_s=60), backoff=BACKOFF)
    before = serving(rules, ["W/1", "W/2", "W/3"])
    after, _ = group.decide(before, [exited(name) for name in order], 1.0, rules, 0.5)
    assert (after.phase, len(after.restarts)) == (Phase.RUNNING, 1)


def test__end_after_a_stable_time__told_before_anybody_looked_at_the_clock__is_a_first_failure() -> None:
    rules = Rules(backoff=BACKOFF)
    state, _ = group.decide(serving(rules, ["W/1"]), [exited("W/1")], 1.0, rules, 0.5)
    told = [
        Spawned(incarnation=2, process=ProcessId(pid=2, start_ticks=2), port=5161),
        HealthReported(incarnation=2, health=Health.SERVING, detail="serves"),
    ]
    state, _ = group.decide(state, [MemberFact(member_id="W/1", fact=fact) for fact in told], 2.0, rules, 0.5)
    assert state.members["W/1"].failures == 1
    state, _ = group.decide(state, [exited("W/1", incarnation=2)], 12.0, rules, 0.5)
    assert (state.members["W/1"].state, state.members["W/1"].failures) == (MemberState.STARTING, 1)


@pytest.mark.parametrize(
    ("state", "noted"),
    [
        (MemberState.SERVING, ProcessId(pid=10, start_ticks=1)),
        (MemberState.STOPPING, ProcessId(pid=10, start_ticks=1)),
        (MemberState.STOPPED, None),
        (MemberState.BACKING_OFF, None),
    ],
)
def test__process_that_a_member_left_behind__with_its_environment__is_no_member(
    state: MemberState, noted: ProcessId | None
) -> None:
    member = Member(member_id="W/1", state=state, incarnation=3, process=noted, port=5161, wanted=False)
    left = FoundProcess(member_id="W/1", incarnation=3, port=5161, process=ProcessId(pid=11, start_ticks=2))
    known = Group(members=MappingProxyType({"W/1": member}))
    settled = adoption.settle(known, {"W/1": "f1"}, alive=(), found=[left], now=100.0, rules=Rules())
    assert settled.group.members["W/1"] == member
    assert settled.strays == (left,)


def told(*events: tuple[float, Event]) -> tuple[Tree, list[CreateActor]]:
    state = tree.create([ChildSpec(name="agent", stop_rank=0, stop_deadline_s=5.0)])
    created: list[CreateActor] = []
    for now, event in events:
        state, effects = tree.decide(state, event, now)
        created = [each for each in effects if isinstance(each, CreateActor)]
    return state, created


def test__actor_that_was_stable__reports_its_crash__is_created_at_once() -> None:
    state, created = told(
        (0.0, StartTree()),
        (1.0, ChildReady(name="agent", incarnation=1, pid=1)),
        (2.0, ChildEnded(name="agent", incarnation=1)),
        (3.0, ChildReady(name="agent", incarnation=2, pid=2)),
        (5000.0, ChildCrashed(name="agent", incarnation=2, reason="a bug")),
        (5000.0, ChildEnded(name="agent", incarnation=2)),
    )
    assert created
    assert (state.children["agent"].state, state.children["agent"].failures) == (ActorState.STARTING, 1)


KEEPS = ChildSpec(name="agent", stop_rank=1, stop_deadline_s=50.0, stop_tries=3)
OTHER = ChildSpec(name="other", stop_rank=0, stop_deadline_s=50.0)
CRASH = ChildEnded(name="agent", incarnation=1)


def kept(*events: Event) -> tuple[Effect, ...]:
    """Return what follows the last of the events, with two actors that run before them."""
    state, effects = tree.decide(tree.create([KEEPS, OTHER]), StartTree(), 0.0)
    for event in (*(ChildReady(name=name, incarnation=1, pid=1) for name in ("agent", "other")), *events):
        state, effects = tree.decide(state, event, 1.0)
    return effects


def test__actor_ends_while_the_tree_stops__before_it_was_asked__another_one_stops_what_it_kept() -> None:
    assert kept(StopTree(), CRASH) == (CreateActor(name="agent", incarnation=2),)
    reported = ChildCrashed(name="agent", incarnation=1, reason="a bug")
    assert kept(StopTree(), reported, CRASH) == (CreateActor(name="agent", incarnation=2),)


def test__actor_ends_twice_while_the_tree_stops__before_it_was_asked__is_not_asked_before_its_turn() -> None:
    again = ChildEnded(name="agent", incarnation=2)
    assert kept(StopTree(), CRASH, again) == (CreateActor(name="agent", incarnation=3),)


def test__actor_being_replaced__ends_unstopped_while_the_tree_stops__is_not_asked_before_its_turn() -> None:
    replaced = ReplaceChild(name="agent", reason="changed")
    assert kept(replaced, StopTree(), CRASH) == (CreateActor(name="agent", incarnation=2),)
    in_order = ChildStopped(name="agent", incarnation=1)
    assert not kept(replaced, StopTree(), in_order, CRASH)


def test__stop__actor_backs_off__is_created_to_stop_what_it_kept() -> None:
    again = ChildEnded(name="agent", incarnation=2)
    assert CreateActor(name="agent", incarnation=3) in kept(CRASH, again, StopTree())


def test__removed__actor_backs_off__is_created_to_stop_what_it_kept() -> None:
    again = ChildEnded(name="agent", incarnation=2)
    effects = kept(CRASH, again, Reconfigured(specs=(OTHER,)))
    assert effects == (CreateActor(name="agent", incarnation=3), AskToStop(name="agent", leaving=True))


def test__restart_of_all__one_had_restarted_already_unwritten__the_others_do_not_wait_for_its_end() -> None:
    rules = Rules(strategy=Strategy.ONE_FOR_ALL, probed=False, backoff=BACKOFF)
    noted = Group(
        members=MappingProxyType(
            {
                "W/1": Member(member_id="W/1", state=MemberState.PENDING, reason="restarted", incarnation=1),
                "W/2": Member(member_id="W/2", state=MemberState.PENDING, reason="restarted", incarnation=1),
            }
        ),
        wanted=MappingProxyType({"W/1": "f1", "W/2": "f1"}),
        phase=Phase.RUNNING,
        held=frozenset({"W/1", "W/2"}),
    )
    unwritten = FoundProcess(member_id="W/1", incarnation=2, port=5161, process=ProcessId(pid=11, start_ticks=2))
    settled = adoption.settle(noted, noted.wanted, alive=(), found=[unwritten], now=100.0, rules=rules)
    resumed, effects = group.resume(settled.group, ["W/1"], 100.0, rules, 0.5)
    assert resumed.members["W/1"].state is MemberState.SERVING
    assert Spawn(member_id="W/2", incarnation=2) in effects
