"""Actors that die or fail, at any moment: the others go on, and a successor takes over."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace

import pytest
from support.simple_tree import SimpleTree, agent
from thespian.actors import PoisonMessage

from quaestor_actors.actors.agent_messages import AgentChanged, Command
from quaestor_actors.actors.root_messages import Changed, Reload
from quaestor_actors.core.member import Health

Start = Callable[..., SimpleTree]


def test__killed_agent_supervisor__its_successor_adopts_and_starts_nothing(start: Start) -> None:
    tree = start(agent())
    before = tree.pids
    for _ in range(3):
        tree.kill("agent/Worker")
        tree.pass_time(1.0)
    assert tree.pids == before
    assert tree.states == {"Worker/1": "serving", "Worker/2": "serving"}
    assert len(tree.spawned) == 2
    tree.processes.exit(tree.member("Worker/1"))
    tree.settle()
    assert tree.shown("Worker/1").reason.startswith("restarted: ended (exit status unknown")


@pytest.mark.parametrize("seed", range(10))
def test__agent_supervisor_dies_having_started_a_member__the_successor_finds_it(start: Start, seed: int) -> None:
    tree = start(agent(), seed=seed)
    tree.dies_after = ("agent/Worker", 0)
    tree.processes.exit(tree.member("Worker/1"))
    tree.pass_time(1.0)
    assert tree.dies_after is None
    (process,) = tree.starts_of("Worker/1")[1:]
    assert tree.shown("Worker/1").pid == process.pid
    assert tree.shown("Worker/1").state == "serving"
    assert tree.discoverable[5001].incarnation == 2


def test__killed_root__everything_is_adopted_and_what_was_stopped_stays_stopped(start: Start) -> None:
    tree = start(agent(count=3))
    tree.command(Command.STOP, "Worker/2")
    before = tree.pids
    assert sorted(before) == ["Worker/1", "Worker/3"]
    tree.kill("root")
    tree.pass_time(5.0)
    assert tree.incarnation == 2
    assert tree.pids == before
    assert tree.states == {"Worker/1": "serving", "Worker/2": "stopped", "Worker/3": "serving"}
    assert sorted(tree.discoverable) == [5001, 5003]


def test__pid_of_a_lost_member_is_a_strangers_now__nobody_touches_the_stranger(start: Start) -> None:
    tree = start(agent(count=1))
    former = tree.member("Worker/1")
    tree.kill("agent/Worker")
    tree.processes.exit(former)
    tree.processes.next_pid = former.pid
    stranger = tree.processes.start("other")
    assert stranger.pid == former.pid
    tree.pass_time(1.0)
    assert tree.shown("Worker/1").state == "serving"
    assert tree.member("Worker/1") is not stranger
    assert not stranger.signals


def test__killed_registry__its_successor_is_told_and_clients_notice_nothing(start: Start) -> None:
    tree = start(agent())
    before = tree.discoverable
    tree.kill("registry")
    while tree.step():
        assert tree.discoverable == before
    tree.pass_time(3.0)
    assert tree.discoverable == before
    tree.processes.exit(tree.member("Worker/1"))
    tree.settle()
    assert tree.discoverable[5001].incarnation == 2


def test__two_processes_of_one_member__the_successor_keeps_the_one_it_knows(start: Start) -> None:
    tree = start(agent(count=1))
    known = tree.member("Worker/1")
    stray = tree.processes.start("Worker", tag=known.tag.replace(" 1 5001", " 7 5001"))
    tree.kill("agent/Worker")
    tree.pass_time(1.0)
    assert not stray.is_alive
    assert tree.member("Worker/1") is known
    assert not known.signals


def test__nothing_can_be_written_down__members_are_kept_and_found_by_their_marks(start: Start) -> None:
    tree = start(agent())
    shutil.rmtree(tree.folder / "agents")
    tree.processes.exit(tree.member("Worker/1"))
    tree.settle()
    before = tree.pids
    assert set(tree.states.values()) == {"serving"}
    tree.kill("agent/Worker")
    tree.pass_time(1.0)
    assert tree.pids == before
    assert set(tree.states.values()) == {"serving"}
    assert sorted(tree.discoverable) == [5001, 5002]


@pytest.mark.parametrize("seed", range(10))
def test__configuration_changes_while_a_supervisor_is_made__it_learns_of_it(start: Start, seed: int) -> None:
    tree = start(agent(), seed=seed)
    tree.kill("agent/Worker")
    for _ in range(seed):
        tree.step()
    tree.reload(replace(tree.spec, agents=(agent(count=3),)))
    tree.pass_time(1.0)
    assert tree.states == {f"Worker/{number}": "serving" for number in (1, 2, 3)}


@pytest.mark.parametrize("name", ["registry", "balancer", "agent/Worker", "agent/Worker/prober"])
def test__actor_that_fails__says_why_and_is_replaced(start: Start, name: str) -> None:
    tree = start(agent())
    before = tree.pids
    tree.send(tree.actors[name].myAddress, PoisonMessage("anything"))
    tree.pass_time(1.0)
    replaced = next(each for each in tree.status().actors if each.name == name)
    assert (replaced.state, replaced.restarts) == ("running", 1)
    told = [each for message in tree.heard if isinstance(message, Changed) for each in message.actors]
    assert any(each.name == name and "a message could not be sent" in each.reason for each in told)
    assert tree.pids == before
    assert sorted(tree.discoverable) == [5001, 5002]


def test__actors_that_go_on_failing__root_gives_up_and_the_guardian_starts_the_tree_again(start: Start) -> None:
    tree = start(agent())
    before = tree.pids
    for _ in range(40):
        for name in ("registry", "balancer", "agent/Worker"):
            if name in tree.actors and tree.incarnation == 1:
                tree.kill(name)
        tree.pass_time(0.3)
    tree.pass_time(20.0)
    assert tree.incarnation == 2
    assert tree.pids == before
    assert sorted(tree.discoverable) == [5001, 5002]


def test__prober_that_was_replaced__watches_everybody_again(start: Start) -> None:
    tree = start(agent())
    tree.kill("agent/Worker/prober")
    tree.pass_time(1.0)
    tree.world.healths[tree.member("Worker/2").start_ticks] = Health.NOT_SERVING
    tree.settle()
    assert tree.shown("Worker/2").reason.startswith("restarted: unhealthy: the test says not_serving")


def test__supervisor_that_was_replaced__announces_only_what_serves(start: Start) -> None:
    tree = start(agent())
    tree.world.healths[tree.member("Worker/1").start_ticks] = Health.UNREACHABLE
    tree.settle()
    tree.kill("agent/Worker")
    while tree.step():
        assert 5001 not in tree.discoverable
    assert sorted(tree.discoverable) == [5002]


def test__command_while_a_supervisor_is_replaced__the_next_one_carries_it_out(start: Start) -> None:
    tree = start(agent())
    for _ in range(2):
        tree.kill("agent/Worker")
        tree.settle()
    assert "agent/Worker" not in tree.actors, "it is backing off"
    tree.command(Command.STOP, "Worker/2")
    tree.pass_time(1.0)
    assert tree.states == {"Worker/1": "serving", "Worker/2": "stopped"}
    assert list(tree.pids) == ["Worker/1"]


def test__supervisor_dies_before_it_could_say_who_is_gone__nobody_shows_them_for_ever(start: Start) -> None:
    tree = start(agent(count=2))
    tree.send(tree.root, Reload(spec=replace(tree.spec, agents=(agent(count=1),))))
    while True:
        tree.fates[AgentChanged] = "lost"
        tree.world.look()
        if not tree.step():
            break
    tree.fates.clear()
    assert list(tree.pids) == ["Worker/1"]
    tree.kill("agent/Worker")
    tree.pass_time(1.0)
    assert tree.states == {"Worker/1": "serving"}


def test__agent_is_removed_while_its_supervisor_backs_off__its_members_end_and_are_not_registered(start: Start) -> None:
    tree = start(agent("Store", count=1, first_port=6001), agent())
    for _ in range(2):
        tree.kill("agent/Store")
        tree.settle()
    assert "agent/Store" not in tree.actors, "it is backing off"
    tree.reload(replace(tree.spec, agents=tree.spec.agents[1:]))
    tree.pass_time(30.0)
    assert list(tree.members) == ["Worker/1", "Worker/2"]
    assert sorted(tree.discoverable) == [5001, 5002]
