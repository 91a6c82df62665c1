"""Another number of members by hand: what of it is possible, and that nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quaestor_actors.core import plan
from quaestor_actors.core.rules import fingerprints
from quaestor_actors.core.scaling import Unscalable, scaled
from quaestor_actors.core.spec import KEY_VALUE_STORE, LOAD_BALANCER, AgentSpec, BalancerSpec, ClusterSpec

FIXED = AgentSpec(agent_type="Fixed", executable="/bin/worker", process_count=3, ports=(5161, 5162, 5163))
FREE = AgentSpec(agent_type="Free", executable="/bin/job", process_count=2)
SPEC = ClusterSpec(
    name="demo",
    agents=(
        FIXED,
        FREE,
        AgentSpec(agent_type="Floating", executable="/bin/one", numbers=(1,)),
        AgentSpec(agent_type=KEY_VALUE_STORE, executable="/bin/etcd"),
        AgentSpec(agent_type=LOAD_BALANCER),
    ),
    balancer=BalancerSpec(),
)


def actions(agent: str, count: int) -> list[tuple[str, str]]:
    new = scaled(SPEC, agent, count)
    assert isinstance(new, ClusterSpec)
    return [(action.verb, action.subject) for action in plan.diff(SPEC, new).actions]


def test__more__starts_those_that_are_missing() -> None:
    assert actions("Free", 4) == [("start", "Free/3"), ("start", "Free/4")]


def test__fewer__stops_the_last_ones() -> None:
    assert actions("Fixed", 1) == [("stop", "Fixed/2"), ("stop", "Fixed/3")]
    assert actions("Free", 0) == [("stop", "Free/1"), ("stop", "Free/2")]


def test__as_many__changes_nothing() -> None:
    assert scaled(SPEC, "Free", 2) == SPEC


def test__fewer_and_back__is_as_before() -> None:
    fewer = scaled(SPEC, "Fixed", 1)
    assert isinstance(fewer, ClusterSpec)
    assert fingerprints(fewer.agents[0])["Fixed/1"] == fingerprints(FIXED)["Fixed/1"]
    assert scaled(fewer, "Fixed", 3) == SPEC


@pytest.mark.parametrize(
    ("agent", "count", "reason"),
    [
        ("Fixed", 4, "Fixed has 3 ports (5161, 5162, 5163), one for each member, so it cannot have 4: add ports"),
        ("Free", 10_001, "Free can have 0 to 10000 members on a host, not 10001"),
        ("Free", -1, "Free can have 0 to 10000 members"),
        ("Floating", 2, "the count of floating"),
        (KEY_VALUE_STORE, 3, "keeps data"),
        (LOAD_BALANCER, 2, "the frontends of its"),
    ],
)
def test__impossible__says_why(agent: str, count: int, reason: str) -> None:
    refused = scaled(SPEC, agent, count)
    assert isinstance(refused, Unscalable)
    assert reason in refused.reason
    assert not refused.is_unknown


def test__many_ports__are_named_by_the_first_and_the_last() -> None:
    many = replace(FIXED, ports=tuple(range(5001, 5021)), process_count=20)
    refused = scaled(replace(SPEC, agents=(many,)), "Fixed", 21)
    assert isinstance(refused, Unscalable)
    assert "20 ports (5001 to 5020)" in refused.reason


def test__unknown_agent__is_told_apart() -> None:
    refused = scaled(SPEC, "Nobody", 1)
    assert refused == Unscalable(reason="there is no agent 'Nobody'", is_unknown=True)


def test__what_was_scaled__is_known_until_it_is_as_configured_again() -> None:
    spec, told = SPEC, []
    for agent, count in (("Free", 4), ("Fixed", 1), ("Free", 7), ("Fixed", 3), ("Free", 2)):
        after = scaled(spec, agent, count)
        assert isinstance(after, ClusterSpec)
        spec = after
        told.append(spec.scaled)
    free, both = (("Free", 2),), (("Fixed", 3), ("Free", 2))
    assert told == [free, both, both, free, ()]
