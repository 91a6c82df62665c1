"""The checks of `quaestor chaos` say what is wrong, and nothing else: with sightings that a test makes up."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from quaestor_actors.actors.view import ActorView, AgentView, MemberView, RegistryView, TreeView
from quaestor_actors.chaos.checks import DEAD_S, SILENCE_S, Answer, Staleness, doubled, not_whole
from quaestor_actors.chaos.plan import Role
from quaestor_actors.chaos.report import Verdict
from quaestor_actors.chaos.sampling import DESCRIPTORS, ENOUGH, Sample, trend
from quaestor_actors.chaos.sighting import Seen, Sighting
from quaestor_actors.core.spec import AgentSpec, BalancerSpec, ClusterSpec

PORT = 5161
TIMEOUT_S = 2.0
SPEC = ClusterSpec(
    name="c",
    agents=(AgentSpec(agent_type="Worker", executable="/w", ports=(PORT,), service_names=("Worker",)),),
    balancer=BalancerSpec(),
)
WORKER = Seen(pid=10, start_ticks=1, parent=1, role=Role.MEMBER, name="Worker/1", port=PORT)
HUNG = replace(WORKER, is_stopped=True)
OTHERS = tuple(
    Seen(pid=pid, start_ticks=1, parent=1, role=role, name=name)
    for pid, (role, name) in enumerate(
        [
            (Role.LAUNCHER, "launcher"),
            (Role.ACTOR_SYSTEM, "actor system"),
            (Role.LOGGER, "logger"),
            (Role.ROOT, "root"),
            (Role.AGENT, "agent/Worker"),
        ],
        start=1,
    )
)


def seen(at: float, *processes: Seen) -> Sighting:
    return Sighting(at=at, processes=processes)


def answer(asked_at: float, *ports: int) -> Answer:
    return Answer(asked_at=asked_at, answered_at=asked_at + 0.001, service="Worker", ports=frozenset(ports))


def judged(*story: Sighting | Answer, calm_since: float = -math.inf) -> list[str]:
    staleness = Staleness(response_timeout_s=TIMEOUT_S)
    staleness.calm_since = calm_since
    wrong: list[str] = []
    for each in story:
        match each:
            case Sighting():
                wrong += staleness.saw(each)
            case Answer():
                staleness.heard(each)
    return wrong


def tree(**fields: object) -> TreeView:
    member = MemberView(
        member="Worker/1",
        state="serving",
        reason="",
        since=0,
        pid=10,
        host="localhost",
        port=PORT,
        restarts=0,
        incarnation=1,
    )
    actors = tuple(
        ActorView(name=each.name, parent=None, state="running", reason="", since=0, pid=each.pid, restarts=0)
        for each in OTHERS
        if each.role in {Role.ROOT, Role.AGENT}
    )
    registry = RegistryView(store="memory", state="following", since=0, reason="", locations=1, registered=1)
    agent = AgentView(agent="Worker", phase="running", reason="", waits_for=())
    made = TreeView(
        cluster="c",
        actors=actors,
        agents=(agent,),
        members=(member,),
        balancer_address="127.0.0.1:5150",
        registry=registry,
    )
    return replace(made, **fields)  # type: ignore[arg-type]  # the caller's fields are the class's own


def test__answer__names_a_member_that_lives__is_right() -> None:
    assert judged(seen(0, WORKER), answer(1, PORT), seen(2, WORKER)) == []


def test__answer__names_a_dead_member_within_the_time_allowed__is_right() -> None:
    assert judged(seen(0, WORKER), seen(1), answer(1 + DEAD_S, PORT), seen(9)) == []


def test__answer__names_a_dead_member_later__is_wrong() -> None:
    (wrong,) = judged(seen(0, WORKER), seen(1), answer(1.1 + DEAD_S, PORT), seen(9))
    assert f"names port {PORT}, which had been dead for 2.1 s" in wrong


def test__answer__dead_member_is_back_before_the_next_look__is_right() -> None:
    assert judged(seen(0, WORKER), seen(1), answer(5, PORT), seen(6, WORKER)) == []


def test__answer__names_a_hung_member__is_wrong_only_after_the_probe_s_timeout() -> None:
    known_s = DEAD_S + SILENCE_S + TIMEOUT_S
    assert judged(seen(0, WORKER), seen(1, HUNG), answer(1 + known_s, PORT), seen(99, HUNG)) == []
    assert judged(seen(0, WORKER), seen(1, HUNG), answer(1.1 + known_s, PORT), seen(99, HUNG)) != []


def test__answer__names_nobody_s_port_again_and_again__is_wrong() -> None:
    assert judged(seen(0, WORKER), answer(1, 9), seen(1.5, WORKER), answer(1.1 + DEAD_S, 9), seen(9, WORKER)) != []


def test__answer__while_the_balancer_was_hurt__is_judged_from_then_on() -> None:
    story = (seen(0, WORKER), seen(1), answer(10, PORT), seen(11))
    assert judged(*story, calm_since=9) == []
    assert judged(*story, calm_since=5) != []


def test__two_processes_of_a_member__seen_twice__are_wrong() -> None:
    both = (WORKER, replace(WORKER, pid=11))
    assert doubled(seen(0, *both), seen(1, *both)) == ["Worker/1 has 2 live processes: pids 10, 11"]
    # One of them may have been ending, and another one just begun.
    assert doubled(seen(0, *both), seen(1, WORKER)) == []
    assert doubled(seen(0, *both), seen(1, WORKER, replace(WORKER, pid=12))) == []


def test__whole_cluster__nothing_is_missing() -> None:
    assert not_whole(SPEC, tree(), seen(0, WORKER, *OTHERS), {"Worker": frozenset({PORT})}) is None


@pytest.mark.parametrize(
    ("shown", "there", "told", "why"),
    [
        (None, (WORKER, *OTHERS), {PORT}, "does not answer"),
        (tree(members=()), (WORKER, *OTHERS), {PORT}, "Worker/1 is unknown"),
        (tree(), OTHERS, {PORT}, "said to serve as pid 10, and is not there"),
        (tree(), (HUNG, *OTHERS), {PORT}, "said to serve"),
        (tree(), (WORKER, *OTHERS[1:]), {PORT}, "the launcher is not there"),
        (tree(), (WORKER, *OTHERS[:-1]), {PORT}, "agent/Worker is said to be pid 5, and is not there"),
        (tree(), (WORKER, *OTHERS, replace(OTHERS[3], pid=99)), {PORT}, "root is there 2 times"),
        (tree(), (WORKER, *OTHERS), set(), "clients are told of Worker at []"),
        (tree(registry=None), (WORKER, *OTHERS), {PORT}, "nothing is known of the registry"),
    ],
)
def test__something_missing__is_said(shown: TreeView | None, there: tuple[Seen, ...], told: set[int], why: str) -> None:
    assert why in (not_whole(SPEC, shown, seen(0, *there), {"Worker": frozenset(told)}) or "")


def test__growth__more_descriptors_at_the_end_than_ever_at_the_beginning__is_said() -> None:
    def series(last: int) -> list[Sample]:
        return [Sample(descriptors=10 if n < 9 else last, memory_mb=50) for n in range(ENOUGH)]

    assert trend("root", series(10 + DESCRIPTORS)).growth is None
    assert "root has 19 descriptors, 10 at most" in (trend("root", series(11 + DESCRIPTORS)).growth or "")
    assert trend("root", series(99)[1:]).growth is None


def test__growth__more_memory__is_said() -> None:
    samples = [Sample(descriptors=10, memory_mb=50 + 2 * n) for n in range(ENOUGH)]
    assert "MB at most at the beginning" in (trend("root", samples).growth or "")


def test__verdict__broken__says_how_to_repeat_it() -> None:
    verdict = Verdict(
        seed=5,
        command="quaestor chaos --seed 5",
        seconds=1,
        steps=(),
        broken=("Worker/1 has 2 live processes",),
        trends=(),
        asked=0,
        answered=0,
        interrupted=False,
        evidence=None,
    )
    assert not verdict.held
    assert "BROKEN\n  Worker/1 has 2 live processes\nrepeat it with: quaestor chaos --seed 5" in verdict.text()
