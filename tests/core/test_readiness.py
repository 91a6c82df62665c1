"""When a cluster counts as started, what its status says, and what feeds the watchdog."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaestor_actors.core import readiness
from quaestor_actors.core.member import MemberState
from quaestor_actors.core.readiness import (
    STATUS_PERIOD_S,
    TREE_START_S,
    Announce,
    AskRoot,
    BalancerListens,
    Beat,
    Effect,
    Event,
    Heard,
    MembersChanged,
    Readiness,
    Reconfigured,
    Tell,
    TreeLost,
    Woken,
)
from quaestor_actors.core.spec import (
    LOAD_BALANCER,
    AgentSpec,
    BalancerSpec,
    ClusterSpec,
    Condition,
    ShutdownAction,
    StopSpec,
)

WORKER = AgentSpec(agent_type="Worker", executable="/bin/worker", process_count=2, startup_deadline_s=8.0)
SPEC = ClusterSpec(name="test", agents=(WORKER,))
BALANCED = ClusterSpec(
    name="test", agents=(WORKER, AgentSpec(agent_type=LOAD_BALANCER)), balancer=BalancerSpec(port=5150)
)
DEADLINE = TREE_START_S + 8.0
SERVING, STARTING, FAILED = MemberState.SERVING, MemberState.STARTING, MemberState.FAILED


class Launcher:
    """Feeds a readiness with events and keeps what it says."""

    def __init__(self, spec: ClusterSpec = SPEC, *, watchdog_interval_s: float | None = None) -> None:
        self.now = 0.0
        self.state: Readiness = readiness.create(spec, now=0.0, watchdog_interval_s=watchdog_interval_s)

    def sees(self, event: Event, *, at: float | None = None) -> list[Effect]:
        """Return what is said because of an event."""
        self.now = self.now if at is None else at
        self.state, effects = readiness.decide(self.state, event, self.now)
        return list(effects)


def members(first: MemberState, second: MemberState) -> MembersChanged:
    return MembersChanged(states={"Worker/1": first, "Worker/2": second})


def started(spec: ClusterSpec = SPEC) -> Launcher:
    """Return a launcher whose members serve and that has said so, a while ago."""
    launcher = Launcher(spec)
    launcher.sees(Heard())
    launcher.sees(BalancerListens())
    assert Announce(status="2/2 members serving") in launcher.sees(members(SERVING, SERVING))
    launcher.now = 100.0
    return launcher


def test__all_members_serve__is_announced_once() -> None:
    launcher = Launcher()
    assert launcher.sees(Heard()) == [Tell(status="0/2 members serving")]
    assert launcher.sees(members(SERVING, STARTING), at=2.0) == [Tell(status="1/2 members serving")]
    assert launcher.sees(members(SERVING, SERVING), at=2.1) == [Announce(status="2/2 members serving")]
    assert launcher.sees(members(SERVING, SERVING), at=9.0) == []


def test__balancer__is_waited_for() -> None:
    launcher = Launcher(BALANCED)
    launcher.sees(Heard())
    assert launcher.sees(members(SERVING, SERVING), at=0.1) == []
    assert launcher.sees(BalancerListens()) == [Announce(status="2/2 members serving")]


def test__balancer_alone__is_ready_when_it_listens() -> None:
    launcher = Launcher(ClusterSpec(name="alone", balancer=BalancerSpec()))
    assert launcher.sees(Heard()) == [Tell(status="balancer starting")]
    assert launcher.sees(BalancerListens()) == [Announce(status="running, without members")]


def test__member_that_never_serves__delays_the_start_until_the_deadline_only() -> None:
    launcher = Launcher()
    launcher.sees(Heard())
    launcher.sees(members(SERVING, STARTING), at=2.0)
    assert readiness.wake_at(launcher.state) == DEADLINE
    assert launcher.sees(Woken(), at=DEADLINE - 0.1) == []
    assert launcher.sees(Woken(), at=DEADLINE) == [Announce(status="1/2 members serving")]
    assert readiness.wake_at(launcher.state) is None


@pytest.mark.parametrize(
    ("rest", "status"),
    [(FAILED, "1/2 members serving, 1 failed"), (MemberState.STOPPED, "1/1 members serving, 1 stopped")],
)
def test__member_at_rest__is_not_waited_for(rest: MemberState, status: str) -> None:
    launcher = Launcher()
    launcher.sees(Heard())
    assert launcher.sees(members(SERVING, rest)) == [Announce(status=status)]


def test__no_tree__is_never_a_start() -> None:
    launcher = Launcher()
    assert launcher.sees(Woken(), at=DEADLINE * 10) == [Tell(status="starting the tree")]
    assert readiness.wake_at(launcher.state) is None
    assert launcher.sees(Heard()) == [Announce(status="0/2 members serving")]


def test__lost_tree__is_told_and_is_no_second_start() -> None:
    launcher = started()
    assert launcher.sees(TreeLost(what="root actor")) == [
        Tell(status="the root actor ended unexpectedly: starting the tree again")
    ]
    assert launcher.sees(Heard(), at=102.0) == [Tell(status="2/2 members serving")]


def test__status__is_told_at_most_once_a_period_and_the_last_one_always() -> None:
    launcher = started()
    assert launcher.sees(members(SERVING, STARTING)) == [Tell(status="1/2 members serving")]
    assert launcher.sees(members(STARTING, STARTING), at=100.1) == []
    assert launcher.sees(members(FAILED, STARTING), at=100.2) == []
    assert readiness.wake_at(launcher.state) == 100.0 + STATUS_PERIOD_S
    assert launcher.sees(Woken(), at=100.0 + STATUS_PERIOD_S) == [Tell(status="0/2 members serving, 1 failed")]


def test__status_that_is_back_to_what_was_told__is_not_told() -> None:
    launcher = started()
    launcher.now = launcher.state.told_at + 0.1
    launcher.sees(members(SERVING, STARTING))
    assert launcher.sees(members(SERVING, SERVING)) == []
    assert readiness.wake_at(launcher.state) is None


def test__reload__is_announced_with_the_new_members() -> None:
    launcher = started()
    bigger = ClusterSpec(name="test", agents=(AgentSpec(agent_type="Worker", executable="/bin/w", process_count=3),))
    assert launcher.sees(Reconfigured(spec=bigger)) == [Announce(status="2/3 members serving")]
    assert launcher.sees(Reconfigured(spec=ClusterSpec(name="test"))) == [Announce(status="running, without members")]
    assert launcher.sees(members(STARTING, STARTING), at=200.0) == []


def test__reload_during_the_start__does_not_end_it() -> None:
    launcher = Launcher()
    launcher.sees(Heard())
    assert launcher.sees(Reconfigured(spec=SPEC)) == []


def test__watchdog__is_fed_by_what_the_root_says_after_it_was_asked() -> None:
    launcher = Launcher(watchdog_interval_s=15.0)
    assert AskRoot() in launcher.sees(Woken())
    assert Beat() in launcher.sees(Heard(), at=0.01)
    assert Beat() not in launcher.sees(Heard(), at=0.02)
    launcher.sees(members(SERVING, SERVING))
    assert readiness.wake_at(launcher.state) == 15.0
    assert launcher.sees(Woken(), at=14.9) == []
    assert launcher.sees(Woken(), at=15.0) == [AskRoot()]
    assert launcher.sees(Woken(), at=30.0) == [AskRoot()]  # a silent root: nothing feeds the watchdog
    assert launcher.sees(Heard(), at=31.0) == [Beat()]


def test__no_watchdog__asks_nobody() -> None:
    launcher = started()
    assert launcher.sees(Woken(), at=10_000.0) == []


STATES = st.dictionaries(st.sampled_from(["Worker/1", "Worker/2", "Other/1"]), st.sampled_from(MemberState))
EVENTS = st.one_of(
    st.builds(MembersChanged, states=STATES),
    st.sampled_from([BalancerListens(), Heard(), Woken(), TreeLost(what="root actor")]),
)


@given(steps=st.lists(st.tuples(EVENTS, st.floats(0.0, 20.0)), max_size=30), interval_s=st.none() | st.just(15.0))
def test__any_story__one_announcement_and_no_wake_up_in_the_past(
    steps: list[tuple[Event, float]], interval_s: float | None
) -> None:
    launcher = Launcher(BALANCED, watchdog_interval_s=interval_s)
    said: list[Effect] = []
    for event, later_s in steps:
        said += launcher.sees(event, at=launcher.now + later_s)
        said += launcher.sees(Woken())
        wake_at = readiness.wake_at(launcher.state)
        assert wake_at is None or wake_at > launcher.now
    assert sum(isinstance(effect, Announce) for effect in said) <= 1
    assert said.count(Beat()) <= said.count(AskRoot())


def chain(*, circle: bool = False) -> ClusterSpec:
    """Return agents of which each waits for the one before; the last to be stopped is left running."""
    store = AgentSpec(
        agent_type="Store",
        executable="/bin/store",
        startup_deadline_s=30.0,
        depends_on=(("Front", Condition.SERVING),) if circle else (),
    )
    worker = AgentSpec(
        agent_type="Worker",
        executable="/bin/worker",
        startup_deadline_s=8.0,
        depends_on=(("Store", Condition.SERVING),),
        shutdown_action=ShutdownAction.KILL,
        stop=StopSpec(drain_s=5.0, deadline_s=20.0),
    )
    front = AgentSpec(
        agent_type="Front",
        executable="/bin/front",
        startup_deadline_s=2.0,
        depends_on=(("Worker", Condition.STARTED), ("Gone", Condition.STARTED)),
        shutdown_action=ShutdownAction.KILL,
    )
    return ClusterSpec(name="chain", agents=(front, worker, store), shutdown_deadline_s=45.0)


def test__longest_start_and_stop__follow_the_dependencies() -> None:
    assert readiness.ready_within_s(chain()) == 30.0 + 8.0 + 2.0
    assert readiness.stopped_within_s(chain()) == (5.0 + 20.0) + (10.0 + 45.0)
    assert readiness.ready_within_s(ClusterSpec(name="empty")) == 0.0


def test__circle_of_dependencies__still_has_a_longest_start() -> None:
    assert readiness.ready_within_s(chain(circle=True)) >= 40.0
