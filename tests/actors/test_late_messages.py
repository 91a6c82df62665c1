"""Messages between actors that come late, twice, never or without need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from support.simple_tree import SimpleTree, agent

from quaestor_actors.actors.agent_messages import AgentChanged, Command
from quaestor_actors.actors.prober import HealthNews
from quaestor_actors.actors.registry_messages import Announce, Deregister, Register
from quaestor_actors.actors.root_messages import Changed
from quaestor_actors.core.member import Health
from quaestor_actors.core.spec import RecyclingSpec

Start = Callable[..., SimpleTree]


def test__health_news_told_twice__changes_nothing(start: Start) -> None:
    tree = start(agent())
    tree.fates[HealthNews] = "doubled"
    tree.world.healths[tree.member("Worker/1").start_ticks] = Health.UNREACHABLE
    tree.settle()
    assert tree.shown("Worker/1").state == "degraded"
    assert sorted(tree.discoverable) == [5002]


def test__first_verdict_lost__the_member_is_started_again_at_its_deadline(start: Start) -> None:
    tree = start(agent(count=1, startup_deadline_s=8.0), fates={HealthNews: "lost"})
    tree.pass_time(7.875)
    assert tree.shown("Worker/1").state == "starting"
    tree.pass_time(5.0)
    assert tree.shown("Worker/1").state == "serving"
    assert len(tree.spawned) == 2


def test__late_word_of_a_dead_agent__does_not_change_what_its_successor_said(start: Start) -> None:
    tree = start(agent(count=1))
    tree.fates[AgentChanged] = "held"
    tree.processes.crash(tree.member("Worker/1"))
    tree.settle()
    tree.kill("agent/Worker")
    tree.pass_time(1.0)
    said = tree.status().members
    tree.release_held()
    tree.settle()
    assert [replace(each, since=0.0) for each in tree.status().members] == [replace(each, since=0.0) for each in said]


@pytest.mark.parametrize("kind", [Register, Deregister, Announce])
def test__late_word_of_a_dead_agent_to_the_registry__is_not_listened_to(start: Start, kind: type) -> None:
    tree = start(agent())
    victim = tree.member("Worker/1")
    if kind is Announce:
        tree.kill("registry")
    tree.fates[kind] = "held"
    tree.processes.exit(victim)
    tree.settle()
    assert kind not in tree.fates
    tree.kill("agent/Worker")
    tree.pass_time(3.0)
    if kind is Register:
        tree.command(Command.STOP, "Worker/1")
    before = tree.discoverable
    tree.release_held()
    tree.pass_time(1.0)
    assert tree.discoverable == before
    assert sorted(before) == ([5002] if kind is Register else [5001, 5002])


def test__late_word_of_a_dead_prober__is_not_listened_to(start: Start) -> None:
    tree = start(agent(count=1))
    tree.fates[HealthNews] = "held"
    tree.world.healths[tree.member("Worker/1").start_ticks] = Health.NOT_SERVING
    tree.settle()
    tree.world.healths.clear()
    tree.kill("agent/Worker/prober")
    tree.pass_time(1.0)
    tree.release_held()
    tree.settle()
    assert not tree.member("Worker/1").signals
    assert tree.shown("Worker/1").state == "serving"


def test__nothing_has_changed__nobody_is_told_anything(start: Start) -> None:
    tree = start(agent(recycling=RecyclingSpec(memory_bytes=10**9)))
    tree.pass_time(60.0)
    told = [message for message in tree.heard if isinstance(message, Changed)]
    tree.fates[AgentChanged] = "held"
    tree.pass_time(600.0)
    assert AgentChanged in tree.fates, "the measuring of memory alone is no news"
    assert [message for message in tree.heard if isinstance(message, Changed)] == told
