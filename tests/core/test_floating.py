"""Which members of floating agents a host has, by what it was granted."""

from __future__ import annotations

from dataclasses import replace

from quaestor_actors.core.floating import floating_of, granted_to, heeded_by_all, reconfigured, slots_of
from quaestor_actors.core.placement import Floating, Slot
from quaestor_actors.core.rules import fingerprints
from quaestor_actors.core.spec import AgentSpec, ClusterSpec

CRON = Floating(agent="Cron", count=2)
SPEC = ClusterSpec(
    name="demo",
    agents=(
        AgentSpec(agent_type="Cron", executable="/bin/cron", process_count=2, floating=CRON, numbers=(), ports=(1, 2)),
        AgentSpec(agent_type="Worker", executable="/bin/worker"),
    ),
)


def test__nothing_granted__floating_agents_have_no_members() -> None:
    cron, worker = granted_to(SPEC, {}).agents
    assert (cron.members, worker.members) == ({}, {"Worker/1": 1})
    assert floating_of(SPEC) == (CRON,)


def test__granted_members__have_tokens__and_others_have_none() -> None:
    cron, worker = granted_to(SPEC, {Slot("Cron", 2): 17, Slot("Worker", 1): 4, Slot("Gone", 1): 5}).agents
    assert cron.members == {"Cron/2": 2}
    assert (cron.token(1), cron.token(2), worker.token(1)) == (None, 17, None)


def test__granted_member_that_is_not_configured_any_more__is_left_out() -> None:
    cron, _ = granted_to(SPEC, {Slot("Cron", 3): 1, Slot("Cron", 1): 2}).agents
    assert cron.members == {"Cron/1": 1}


def test__another_token__is_another_process() -> None:
    first, second = (granted_to(SPEC, {Slot("Cron", 1): token}).agents[0] for token in (1, 2))
    assert fingerprints(first).keys() == fingerprints(second).keys() == {"Cron/1"}
    assert fingerprints(first) != fingerprints(second)


def test__members_that_come_and_go__do_so_for_another_reason_than_a_configuration() -> None:
    pinned, floating = reconfigured(replace(SPEC.agents[0], floating=None)), reconfigured(SPEC.agents[0])
    assert (pinned.added, pinned.gone) == ("added to the configuration", "no longer configured")
    assert (floating.added, floating.gone) == ("placed on this host", "not to run on this host any more")
    assert floating.wanted == {}


def test__slots__are_those_of_the_agents_that_are_asked_for() -> None:
    assert slots_of(["Cron/1", "A B/12", "Worker/1"], {"Cron", "A B"}) == {Slot("Cron", 1), Slot("A B", 12)}


def test__heeded__is_what_the_last_of_them_has_heeded() -> None:
    assert heeded_by_all(7, [], {}) == 7
    assert heeded_by_all(7, ["A", "B"], {"A": 7, "B": 6}) == 6
    assert heeded_by_all(7, ["A", "B"], {"A": 7}) == 0
