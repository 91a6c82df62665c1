"""What a new specification would change, before anything is touched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from quaestor_actors.core import plan
from quaestor_actors.core.placement import Floating
from quaestor_actors.core.plan import Action, Plan
from quaestor_actors.core.rules import fingerprints
from quaestor_actors.core.spec import AgentSpec, BalancerSpec, ClusterSpec, HostSpec, RecyclingSpec, StoreSpec

WORKER = AgentSpec(agent_type="Worker", executable="/bin/worker", process_count=2, ports=(5161, 5162))
STORE = AgentSpec(agent_type="Store", executable="/bin/store")
OLD = ClusterSpec(name="demo", agents=(WORKER, STORE), balancer=BalancerSpec())


def with_worker(worker: AgentSpec) -> ClusterSpec:
    return replace(OLD, agents=(worker, STORE))


def actions(new: ClusterSpec, old: ClusterSpec = OLD) -> list[tuple[str, str]]:
    return [(action.verb, action.subject) for action in plan.diff(old, new).actions]


def test__diff__nothing_changed__is_empty() -> None:
    assert plan.diff(OLD, replace(OLD)) == Plan()


def test__diff__another_name__is_refused_with_both_names() -> None:
    refused = plan.diff(OLD, replace(OLD, name="other"))
    assert refused.actions == ()
    assert refused.refusal == "the cluster is called 'demo', and its name cannot change to 'other' while it runs"


def test__diff__agent_added__starts() -> None:
    new = AgentSpec(agent_type="Cache", executable="/bin/cache", process_count=3)
    (action,) = plan.diff(OLD, replace(OLD, agents=(*OLD.agents, new))).actions
    assert action == Action(subject="Cache", verb="start", detail="3 members, added")


def test__diff__agent_removed__stops() -> None:
    (action,) = plan.diff(OLD, replace(OLD, agents=(WORKER,))).actions
    assert action == Action(subject="Store", verb="stop", detail="1 member, no longer configured")


def test__diff__scaled_up_and_down__only_the_difference() -> None:
    assert actions(with_worker(replace(WORKER, process_count=3, ports=(5161, 5162, 5163)))) == [("start", "Worker/3")]
    assert actions(with_worker(replace(WORKER, process_count=1, ports=(5161,)))) == [("stop", "Worker/2")]


def test__diff__one_port__replaces_one_member() -> None:
    assert actions(with_worker(replace(WORKER, ports=(5161, 5170)))) == [("replace", "Worker/2")]


@pytest.mark.parametrize(
    "changed",
    [
        replace(WORKER, arguments="--fast"),
        replace(WORKER, executable="/bin/other"),
        replace(WORKER, environment=(("KEY", "value"),)),
        replace(WORKER, working_directory="/tmp"),  # noqa: S108 - a name, nothing is written there
        replace(WORKER, user="nobody"),
        replace(WORKER, umask=0o77),
        replace(WORKER, rlimits=(("nofile", 10),)),
        replace(WORKER, host_name="127.0.0.1"),
    ],
)
def test__diff__what_a_process_is_started_with__replaces_all_members(changed: AgentSpec) -> None:
    assert actions(with_worker(changed)) == [("replace", "Worker/1"), ("replace", "Worker/2")]
    assert not set(fingerprints(WORKER).values()) & set(fingerprints(changed).values())


@pytest.mark.parametrize(
    "changed",
    [
        replace(WORKER, startup_deadline_s=1.0),
        replace(WORKER, recycling=RecyclingSpec(interval_s=60)),
        replace(WORKER, service_names=("Greeter",)),
        replace(WORKER, depends_on=()),
    ],
)
def test__diff__anything_else__stops_nobody(changed: AgentSpec) -> None:
    assert {verb for verb, _ in actions(with_worker(changed))} <= {"change"}
    assert fingerprints(WORKER) == fingerprints(changed)


def test__diff__scaled_and_another_setting__both_are_shown() -> None:
    changed = replace(WORKER, process_count=1, ports=(5161,), startup_deadline_s=1.0)
    shown = [str(action) for action in plan.diff(OLD, with_worker(changed)).actions]
    assert any("Worker/2" in line for line in shown)
    assert any("startup_deadline_s" in line for line in shown)


def test__diff__secrets__are_in_no_line() -> None:
    changed = replace(WORKER, environment=(("PASSWORD", "hunter2"),), arguments="--token hunter2")
    assert "hunter2" not in repr(plan.diff(OLD, with_worker(changed)))


@pytest.mark.parametrize(
    ("old", "new", "verb"),
    [
        (None, BalancerSpec(), "start"),
        (BalancerSpec(), None, "stop"),
        (BalancerSpec(), BalancerSpec(port=1), "replace"),
    ],
)
def test__diff__balancer__starts_stops_or_is_replaced(
    old: BalancerSpec | None, new: BalancerSpec | None, verb: str
) -> None:
    assert actions(replace(OLD, balancer=new), replace(OLD, balancer=old)) == [(verb, "balancer")]


def test__diff__cluster_setting__changes_without_a_stop() -> None:
    (action,) = plan.diff(OLD, replace(OLD, log_level="debug", heartbeat_interval_s=1)).actions
    assert action == Action(subject="demo", verb="change", detail="heartbeat_interval_s, log_level")


def test__diff__services_that_somebody_else_runs__changes_the_registry() -> None:
    assert actions(replace(OLD, static_agents=(STORE,))) == [("change", "registry")]


def test__fingerprints__members_on_their_own_ports__differ_and_repeat() -> None:
    assert len(set(fingerprints(WORKER).values())) == 2
    assert fingerprints(WORKER) == fingerprints(replace(WORKER))


HOSTS = (HostSpec(name="a1", address="10.0.0.1"), HostSpec(name="a2", address="10.0.0.2"))
FLOATING = replace(
    WORKER, agent_type="F", floating=Floating(agent="F", count=2), numbers=(2,), ports=(), service_names=("F",)
)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"hosts": HOSTS[:1]}, "hosts"),
        ({"host": "a2"}, "which of the hosts this is"),
        ({"allowed_networks": ("10.0.0.0/8",)}, "allowedNetworks"),
        ({"hosts": (), "cookie_file": "/cookie"}, "hosts and cookieFile"),
    ],
)
def test__diff__what_the_actors_are_started_with__is_refused(changes: dict[str, Any], names: str) -> None:
    old = replace(OLD, hosts=HOSTS, host="a1")
    assert plan.diff(old, replace(old, **changes)) == Plan(
        refusal=f"{names} cannot change while the cluster runs, as its actors have been started with that; "
        "stop it on this host, and start it again"
    )


def test__diff__pinned_to_more_hosts__is_a_change_here() -> None:
    (action,) = plan.diff(OLD, with_worker(replace(WORKER, hosts=("a1", "a2")))).actions
    assert (action.verb, action.subject, action.detail) == ("change", "Worker", "hosts")


def floating_actions(new: AgentSpec) -> list[str]:
    return [str(action) for action in plan.diff(replace(OLD, agents=(FLOATING,)), replace(OLD, agents=(new,))).actions]


def test__diff__members_of_a_floating_agent__stay_where_they_are() -> None:
    assert floating_actions(replace(FLOATING, numbers=())) == []
    preferring = Floating(agent="F", count=2, prefer=("a1",))
    assert floating_actions(replace(FLOATING, numbers=(), floating=preferring)) == ["change   F: floating"]
    assert floating_actions(replace(FLOATING, numbers=(), arguments="--fast")) == ["replace  F/2: arguments changed"]


def test__diff__another_etcd_under_a_floating_agent__is_refused() -> None:
    old = replace(OLD, agents=(FLOATING,), hosts=HOSTS, stores=(StoreSpec(endpoints=(("e1", 1), ("e2", 2))),))
    other = replace(old, stores=(StoreSpec(endpoints=(("e3", 1),)),))
    assert plan.diff(old, other).refusal == (
        "the etcd cannot change while members float, as hosts that use another one would run them, too; "
        "stop the cluster on all hosts, or name an endpoint of the old one as well"
    )
    assert plan.diff(old, replace(other, agents=())).refusal is None
    assert plan.diff(old, replace(old, stores=(StoreSpec(endpoints=(("e3", 1), ("e2", 2))),))).refusal is None


def test__diff__members_with_another_token__are_not_replaced_by_a_configuration() -> None:
    old = replace(FLOATING, tokens=(7,))
    assert plan.diff(replace(OLD, agents=(old,)), replace(OLD, agents=(replace(FLOATING, numbers=()),))) == Plan()


def test__diff__fewer_members_of_a_floating_agent__stops_those_beyond() -> None:
    fewer = replace(FLOATING, numbers=(), floating=Floating(agent="F", count=1), process_count=1)
    assert floating_actions(fewer) == ["stop     F/2: no longer configured", "change   F: floating"]


def test__diff__floating_agent_added_or_removed__says_how_many_there_are() -> None:
    with_floating = replace(OLD, agents=(*OLD.agents, replace(FLOATING, numbers=())))
    (added,) = plan.diff(OLD, with_floating).actions
    assert str(added) == "start    F: 2 members on all hosts together, added"
    (removed,) = plan.diff(with_floating, OLD).actions
    assert str(removed) == "stop     F: 2 members on all hosts together, no longer configured"


def test__diff__agent_that_begins_to_float__stops_its_members_here() -> None:
    old = replace(OLD, agents=(replace(FLOATING, floating=None, numbers=None),))
    actions = plan.diff(old, replace(OLD, agents=(replace(FLOATING, numbers=()),))).actions
    assert [(action.verb, action.subject) for action in actions] == [("stop", "F/1"), ("stop", "F/2"), ("change", "F")]


def test__members__those_that_run_here_with_their_own_ports() -> None:
    agent = replace(WORKER, process_count=3, ports=(1, 2, 3))
    assert agent.members == {"Worker/1": 1, "Worker/2": 2, "Worker/3": 3}
    some = replace(agent, numbers=(3, 1))
    assert some.members == {"Worker/3": 3, "Worker/1": 1}
    assert fingerprints(some) == {name: fingerprints(agent)[name] for name in ("Worker/3", "Worker/1")}
    assert replace(agent, numbers=()).members == {}
