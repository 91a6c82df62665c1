"""Whole stories of members and agents, through the real actors, on a clock that a test moves."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

from support.simple_tree import SimpleTree, agent

from quaestor_actors.actors.agent_messages import Command
from quaestor_actors.actors.root_messages import Ending
from quaestor_actors.core.member import Health
from quaestor_actors.core.probe import ProbeKind, ProbeSpec
from quaestor_actors.core.restart import Backoff, Intensity, RestartType, Strategy
from quaestor_actors.core.spec import Condition, RecyclingSpec, RestartSpec, StopSpec

Start = Callable[..., SimpleTree]
NO_JITTER = Backoff(initial_s=1.0, cap_s=8.0, jitter=0.0)
UNPROBED = ProbeSpec(kind=ProbeKind.NONE)


def test__hung_member__checked_at_the_deadline__is_killed_and_replaced(start: Start) -> None:
    tree = start(agent(stop=StopSpec(deadline_s=2.0)), heartbeat_interval_s=10.0, response_timeout_s=5.0)
    hung = tree.member("Worker/1")
    tree.hang(hung)
    tree.pass_time(14.875)
    assert sorted(tree.discoverable) == [5001, 5002], "nobody can know yet"
    tree.pass_time(0.125)
    assert sorted(tree.discoverable) == [5002]
    assert tree.shown("Worker/1").state == "stopping", "it was asked, and cannot hear it"
    tree.pass_time(2.0)
    assert hung.signals == [signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL]
    replacement = tree.shown("Worker/1")
    assert replacement.state == "serving"
    assert replacement.reason == "restarted: unhealthy: the test says timeout; killed by SIGKILL"
    assert tree.discoverable[5001].incarnation == 2


def test__crash_loop__pauses_grow__gives_up_with_the_reason(start: Start) -> None:
    tree = start(
        agent(
            count=1, probe=UNPROBED, restart=RestartSpec(backoff=NO_JITTER, intensity=Intensity(limit=4, period_s=60.0))
        )
    )
    began = []
    for _ in range(5):
        began.append(tree.clock.now())
        tree.processes.exit(tree.member("Worker/1"), code=3)
        tree.settle()
        while not tree.members and tree.shown("Worker/1").state == "backing_off":
            tree.pass_time(0.5)
    assert [later - earlier for earlier, later in pairwise(began)] == [0.0, 1.0, 2.0, 4.0]
    given_up = tree.shown("Worker/1")
    assert given_up.state == "failed"
    assert "5 restarts within 60 s (limit 4); the last: Worker/1: exited with code 3" in given_up.reason
    tree.pass_time(600.0)
    assert len(tree.spawned) == 5


def test__executable_that_cannot_be_started__is_tried_as_often_as_configured(start: Start) -> None:
    tree = start(agent(count=1, restart=RestartSpec(backoff=NO_JITTER)), startup_retries=3)
    tree.processes.spawn_faults = ["No such file or directory"] * 3
    tree.processes.crash(tree.member("Worker/1"))
    tree.pass_time(60.0)
    failed = tree.shown("Worker/1")
    assert failed.state == "failed"
    assert failed.reason.startswith("given up after 3 failed starts in a row; the last: agent Worker cannot start")
    tree.command(Command.START, "Worker/1")
    assert tree.shown("Worker/1").state == "serving"


def test__changed_arguments__members_are_replaced_one_at_a_time(start: Start) -> None:
    spec = agent(count=3, recycling=RecyclingSpec(max_unavailable=1))
    tree = start(spec)
    before = tree.pids
    tree.world.healths = {each.start_ticks: Health.SERVING for each in tree.spawned}
    tree.world.usual_health = Health.NOT_SERVING
    tree.reload(replace(tree.spec, agents=(replace(spec, arguments="--new"),)))
    for number in (1, 2, 3):
        replaced = [name for name, pid in tree.pids.items() if pid != before[name]]
        assert len(replaced) == number
        assert len(tree.discoverable) == 2, "the next one goes only when this one serves"
        tree.world.healths[tree.spawned[-1].start_ticks] = Health.SERVING
        tree.settle()
    assert set(tree.states.values()) == {"serving"}
    assert len(tree.spawned) == 6


def test__depends_on__members_start_when_the_other_agent_serves__and_end_before_it(start: Start) -> None:
    store = agent("Store", count=1, first_port=6001, startup_deadline_s=60.0)
    web = agent(depends_on=(("Store", Condition.SERVING),), stop=StopSpec(deadline_s=5.0))
    tree = start(web, store, first=Health.NOT_SERVING)
    tree.pass_time(50.0)
    assert list(tree.members) == ["Store/1"]
    assert [each.waits_for for each in tree.status().agents] == [("Store (serving)",), ()]
    tree.world.usual_health = Health.SERVING
    tree.settle()
    assert set(tree.states.values()) == {"serving"}
    for name in ("Worker/1", "Worker/2"):
        tree.member(name).ignores = {signal.SIGTERM}
    tree.stop()
    assert not tree.member("Store/1").signals
    tree.pass_time(5.0)
    assert tree.has_stopped
    assert not tree.members
    assert [each.signals[0] for each in tree.spawned] == [signal.SIGTERM] * 3


def test__agent_gives_up__one_for_all__every_agent_starts_afresh(start: Start) -> None:
    strict = RestartSpec(intensity=Intensity(limit=0, period_s=60.0))
    store, web = agent("Store", count=1, first_port=6001, restart=strict), agent()
    tree = start(store, web, strategy=Strategy.ONE_FOR_ALL, intensity=Intensity(limit=1, period_s=60.0))
    before = tree.pids
    tree.processes.crash(tree.member("Store/1"))
    tree.settle()
    assert set(tree.states.values()) == {"serving"}
    assert not set(tree.pids.values()) & set(before.values())
    tree.processes.crash(tree.member("Store/1"))
    tree.settle()
    assert tree.states == {"Store/1": "failed", "Worker/1": "serving", "Worker/2": "serving"}


def test__essential_agent_gives_up__cluster_ends_as_failed(start: Start) -> None:
    once = RestartSpec(intensity=Intensity(limit=0, period_s=60.0))
    tree = start(agent("Store", count=1, first_port=6001, essential=True, restart=once), agent())
    tree.processes.crash(tree.member("Store/1"))
    tree.pass_time(5.0)
    (ending,) = (message for message in tree.heard if isinstance(message, Ending))
    assert ending.failed
    assert tree.has_stopped
    assert not tree.members


def test__stranger_that_serves_on_the_port__is_taken_over_and_never_signalled(start: Start) -> None:
    tree = start(agent())
    tree.processes.exit(tree.member("Worker/1"))
    stranger = tree.processes.start("other", port=5001)
    tree.settle()
    shown = tree.shown("Worker/1")
    assert (shown.state, shown.pid) == ("serving", stranger.pid)
    assert shown.reason == f"port 5001 is taken by pid {stranger.pid} (other); it serves, and is taken over"
    tree.stop()
    assert tree.has_stopped
    assert stranger.is_alive
    assert not stranger.signals


def test__member_ignores_sigterm_and_has_children__all_are_killed_at_the_deadline(start: Start) -> None:
    tree = start(agent(count=1, stop=StopSpec(deadline_s=7.0)))
    stubborn = tree.member("Worker/1")
    child = tree.processes.fork(stubborn, takes_port=True)
    stubborn.ignores = child.ignores = {signal.SIGTERM}
    tree.command(Command.STOP, "Worker/1")
    tree.pass_time(6.875)
    assert stubborn.is_alive
    assert not tree.discoverable
    tree.pass_time(0.125)
    assert not stubborn.is_alive
    assert not child.is_alive
    assert tree.shown("Worker/1").state == "stopped"


def test__member_that_works_on_requests__is_drained_before_it_is_asked_to_end(start: Start) -> None:
    tree = start(agent(count=1, stop=StopSpec(drain_s=20.0)))
    busy = tree.member("Worker/1")
    tree.world.busy.add(busy.start_ticks)
    tree.command(Command.STOP, "Worker/1")
    tree.pass_time(10.0)
    assert tree.shown("Worker/1").state == "draining"
    assert not tree.discoverable
    assert not busy.signals
    tree.world.busy.clear()
    tree.settle()
    assert busy.signals == [signal.SIGTERM]


def test__machine_was_suspended_for_hours__members_that_serve_go_on(start: Start) -> None:
    tree = start(agent())
    before = tree.pids
    tree.jump(5 * 3600.0)
    tree.pass_time(120.0)
    assert tree.pids == before
    assert sorted(tree.discoverable) == [5001, 5002]


def test__transient_member_that_has_done_its_work__is_not_started_again(start: Start) -> None:
    tree = start(agent("Job", probe=UNPROBED, restart=RestartSpec(type=RestartType.TRANSIENT)))
    tree.processes.exit(tree.member("Job/1"))
    tree.processes.crash(tree.member("Job/2"))
    tree.settle()
    assert tree.states == {"Job/1": "stopped", "Job/2": "serving"}
    assert [len(tree.starts_of(name)) for name in ("Job/1", "Job/2")] == [1, 2]


def test__deadline_that_moves__is_kept_at_its_new_time(start: Start) -> None:
    """The first wake-up is for one member, a later event makes another one due earlier."""
    tree = start(agent(startup_deadline_s=30.0, stop=StopSpec(deadline_s=2.0)), first=Health.NOT_SERVING)
    stubborn = tree.member("Worker/1")
    stubborn.ignores = {signal.SIGTERM}
    tree.pass_time(1.0)
    tree.command(Command.STOP, "Worker/1")
    tree.pass_time(1.875)
    assert stubborn.is_alive
    tree.pass_time(0.125)
    assert not stubborn.is_alive
    assert tree.shown("Worker/2").state == "starting"
    tree.pass_time(27.5)
    assert tree.spawned[1].signals == [signal.SIGTERM]
