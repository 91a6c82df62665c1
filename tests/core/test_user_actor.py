"""Where actors of users run, how they are found by name, and what they are among the agents of a cluster."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaestor_actors.core import cluster, finding, membership, plan
from quaestor_actors.core.actor import ActorState, Child, ChildSpec
from quaestor_actors.core.agent import Phase
from quaestor_actors.core.cluster import AgentReport, EndCluster, Reported, StartAfresh
from quaestor_actors.core.finding import Standing, Trouble
from quaestor_actors.core.membership import HostState, Membership
from quaestor_actors.core.plan import Action
from quaestor_actors.core.restart import Intensity, RestartType, Strategy
from quaestor_actors.core.spec import ActorSpec, AgentSpec, ClusterSpec, HostSpec
from quaestor_actors.core.user_actor import actors_here, hosts_of, lacking, runs_here

NAMES = ("a1", "a2", "a3")
SKILLS = ("camera", "gpu", "disk")
ACTOR = ActorSpec(name="T", class_name="m:T")
HOSTS = tuple(HostSpec(name=name, address=f"10.0.0.{name[1]}") for name in NAMES)

some_skills = st.lists(st.sampled_from(SKILLS), max_size=3).map(tuple)
some_hosts = st.lists(st.sampled_from(NAMES), max_size=3, unique=True).map(tuple)


# Where they run


@given(st.tuples(some_skills, some_skills, some_skills), some_hosts, some_skills)
def test__runs__on_named_hosts_that_can_do_all_that_is_required(
    able: tuple[tuple[str, ...], ...], named: tuple[str, ...], required: tuple[str, ...]
) -> None:
    hosts = tuple(replace(host, capabilities=skills) for host, skills in zip(HOSTS, able, strict=True))
    actor = replace(ACTOR, hosts=named, requires=required)
    found = hosts_of(actor, hosts)
    expected = [
        host.name for host in hosts if set(required) <= set(host.capabilities) and host.name in (named or NAMES)
    ]
    assert list(found) == expected
    spec = ClusterSpec(name="c", hosts=hosts, actors=(actor,))
    # Every host that decides by itself decides the same.
    assert [name for name in NAMES if runs_here(actor, replace(spec, host=name))] == expected


@given(some_hosts, some_skills)
def test__one_machine__runs_everything(named: tuple[str, ...], required: tuple[str, ...]) -> None:
    spec = ClusterSpec(name="c", actors=(replace(ACTOR, hosts=named, requires=required),))
    assert list(actors_here(spec)) == ["T"]


def test__lacking__each_once_in_order() -> None:
    assert lacking(("gpu", "camera", "gpu"), {"camera"}) == ("gpu",)


# How they are found


def child(state: ActorState) -> Child:
    return Child(spec=ChildSpec(name="actor/T", stop_rank=0, stop_deadline_s=1), state=state, reason="why")


@pytest.mark.parametrize(
    ("state", "trouble"),
    [
        (ActorState.RUNNING, None),
        (ActorState.PENDING, Trouble.AWAY),
        (ActorState.STARTING, Trouble.AWAY),
        (ActorState.CRASHED, Trouble.AWAY),
        (ActorState.BACKING_OFF, Trouble.AWAY),
        (ActorState.STOPPING, Trouble.ENDED),
        (ActorState.STOPPED, Trouble.ENDED),
        (ActorState.DONE, Trouble.ENDED),
        (ActorState.FAILED, Trouble.ENDED),
    ],
)
def test__standing__what_may_pass_is_told_from_what_does_not(state: ActorState, trouble: Trouble | None) -> None:
    found = finding.standing_of("T", child(state), ["T"])
    assert found.trouble is trouble
    assert found.reason.endswith(": why") == (trouble is not None)


def test__standing__one_that_is_being_replaced__is_back_soon() -> None:
    going = replace(child(ActorState.STOPPING), replacing=True)
    assert finding.standing_of("T", going, ["T"]).trouble is Trouble.AWAY


def test__standing__of_nobody__says_who_there_is() -> None:
    assert finding.standing_of("X", None, ["T", "S"]) == Standing(
        trouble=Trouble.UNKNOWN, reason="there is no actor X; there are: S, T"
    )
    assert finding.standing_of("X", None, []).reason == "there is no actor X; there are: none"
    many = finding.standing_of("X", None, [f"T{number}" for number in range(20)])
    assert many.reason.endswith("T15, ...")


WORKS = Standing()
UNKNOWN = Standing(trouble=Trouble.UNKNOWN, reason="there is none")
AWAY = Standing(trouble=Trouble.AWAY, reason="it is starting")
ENDED = Standing(trouble=Trouble.ENDED, reason="it was given up")


def hosts(**states: HostState) -> Membership:
    known = membership.create({name: f"{name}:1" for name in ("a1", *states)}, own="a1", now=0.0)
    found = {
        name: replace(host, state=states.get(name, HostState.HERE), reason="" if name == "a1" else "its reason")
        for name, host in known.hosts.items()
    }
    return Membership(hosts=found)


def anywhere(known: Membership, **answers: Standing) -> tuple[str, Trouble | None, str]:
    others = [host for name, host in known.hosts.items() if name != "a1"]
    name, standing = finding.on_any_host("T", others, answers)
    return name, standing.trouble, standing.reason


def test__anywhere__the_first_host_on_which_it_works() -> None:
    known = hosts(a2=HostState.JOINED, a3=HostState.JOINED, a4=HostState.LOST)
    assert anywhere(known, a2=WORKS, a3=WORKS) == ("a2", None, "")
    assert anywhere(known, a2=AWAY, a3=WORKS) == ("a3", None, "")
    assert anywhere(known, a2=ENDED, a3=AWAY) == ("", Trouble.AWAY, "it is starting")
    assert anywhere(known, a2=UNKNOWN, a3=ENDED) == ("", Trouble.ENDED, "it was given up")


def test__anywhere__nobody_has_it__says_who_was_not_asked() -> None:
    known = hosts(a2=HostState.JOINED, a3=HostState.LOST)
    assert anywhere(known, a2=UNKNOWN) == (
        "",
        Trouble.LOST,
        "no host that answers has an actor T; a3 is lost: its reason",
    )
    _, trouble, reason = anywhere(known)
    assert trouble is Trouble.AWAY
    assert reason.endswith("T; a2 is there, and does not answer (its reason); a3 is lost: its reason")
    assert anywhere(hosts(a2=HostState.JOINED), a2=UNKNOWN)[1:] == (
        Trouble.UNKNOWN,
        "there is no actor T on any host",
    )


@pytest.mark.parametrize(
    ("state", "answer", "trouble"),
    [
        (HostState.JOINED, WORKS, None),
        (HostState.JOINED, UNKNOWN, Trouble.UNKNOWN),
        (HostState.JOINED, None, Trouble.AWAY),
        (HostState.AWAITED, None, Trouble.AWAY),
        (HostState.LOST, None, Trouble.LOST),
    ],
)
def test__on_a_host__what_it_says_or_why_it_is_silent(
    state: HostState, answer: Standing | None, trouble: Trouble | None
) -> None:
    assert finding.on_one_host(hosts(a2=state).hosts["a2"], answer).trouble is trouble


# Among agents

TWO = ClusterSpec(
    name="demo",
    agents=(AgentSpec(agent_type="A"),),
    actors=(ACTOR, replace(ACTOR, name="U", essential=True)),
    intensity=Intensity(limit=1, period_s=60),
)


def given_up(name: str, spec: ClusterSpec = TWO) -> tuple[cluster.Effect, ...]:
    report = AgentReport(phase=Phase.GAVE_UP, reason="why")
    return cluster.decide(cluster.create(spec), Reported(agent=name, report=report), 1.0)[1]


def test__given_up__begins_afresh_as_the_intensity_of_the_cluster_says() -> None:
    reason = "actor T was given up and is started afresh: why"
    assert given_up("T") == (StartAfresh(agent="T", reason=reason),)
    assert given_up("T", replace(TWO, intensity=Intensity(limit=0, period_s=60))) == ()
    together = given_up("A", replace(TWO, strategy=Strategy.ONE_FOR_ALL))
    assert [effect.agent for effect in together if isinstance(effect, StartAfresh)] == ["A", "T", "U"]


def test__given_up__essential__ends_the_cluster() -> None:
    assert given_up("U") == (EndCluster(reason="the essential actor U was given up: why", failed=True),)


def test__actors_elsewhere__are_none_of_this_cluster_s() -> None:
    spec = replace(TWO, hosts=HOSTS, host="a1", actors=(replace(ACTOR, hosts=("a2",)),))
    assert list(cluster.create(spec).agents) == ["A"]


def test__agent_that_becomes_an_actor__is_one() -> None:
    before = cluster.create(replace(TWO, agents=(AgentSpec(agent_type="T"),), actors=()))
    after, _ = cluster.decide(before, cluster.Reconfigured(spec=TWO), 1.0)
    assert after.agents["T"].noun == "actor"


# A new configuration


def actions(old: ActorSpec | None, new: ActorSpec | None) -> list[Action]:
    before, after = (replace(TWO, actors=() if each is None else (each,)) for each in (old, new))
    found = plan.diff(before, after)
    assert found.refusal is None
    return list(found.actions)


def test__plan__added_removed_made_otherwise_or_kept_otherwise() -> None:
    assert actions(None, ACTOR) == [Action(subject="T", verb="start", detail="actor, added")]
    assert actions(ACTOR, None) == [Action(subject="T", verb="stop", detail="actor, no longer configured here")]
    assert actions(ACTOR, replace(ACTOR, settings={"a": 1})) == [
        Action(subject="T", verb="replace", detail="actor, settings changed")
    ]
    assert actions(ACTOR, replace(ACTOR, restart=RestartType.TRANSIENT, class_name="m:S")) == [
        Action(subject="T", verb="replace", detail="actor, class_name, restart changed")
    ]
    assert actions(ACTOR, replace(ACTOR, essential=True)) == [
        Action(subject="T", verb="change", detail="actor, essential changed")
    ]


def test__plan__capabilities_change__moves_actors_and_is_not_refused() -> None:
    able = replace(HOSTS[0], capabilities=("gpu",))
    old = ClusterSpec(name="c", hosts=HOSTS, host="a1", actors=(replace(ACTOR, requires=("gpu",)),))
    found = plan.diff(old, replace(old, hosts=(able, *HOSTS[1:])))
    assert (found.refusal, [str(action) for action in found.actions]) == (
        None,
        ["change   c: capabilities", "start    T: actor, added"],
    )
    elsewhere = plan.diff(replace(old, host="a2"), replace(old, host="a2", hosts=(able, *HOSTS[1:])))
    assert [str(action) for action in elsewhere.actions] == ["change   c: capabilities"]
