"""What must hold, as pure functions of what was seen; each says in a sentence what does not."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

from quaestor_actors.actors.view import ActorView, TreeView
from quaestor_actors.chaos.plan import Role
from quaestor_actors.chaos.sighting import Sighting
from quaestor_actors.core.group import member_names
from quaestor_actors.core.spec import AgentSpec, ClusterSpec

DEAD_S = 2.0
"""A dead member's address may be in answers so long. It takes milliseconds; the rest is for a busy machine."""
SILENCE_S = 1.0
"""A balancer asks a location that was handed out and is silent for this time (docs/balancer.md)."""
ANSWER_WITHIN_S = 5.0
"""Clients of a balancer that nobody hurts are not without an answer for longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a client was told."""

    asked_at: float
    answered_at: float
    """Both in monotonic seconds."""
    service: str
    ports: frozenset[int]


class Staleness:
    """Checks that answers name only what lives, but for the time in which that cannot be known.

    A port counts as dead when it is in a sighting without a process that can run, and as long as it is in none with
    one. So an answer is judged by the sightings around it, and never too early.
    """

    def __init__(self, *, response_timeout_s: float) -> None:
        """Know nothing yet.

        Args:
            response_timeout_s: how long the balancer waits for a location's answer before it leaves it out.
        """
        self._hung_s = DEAD_S + SILENCE_S + response_timeout_s
        self._alive: frozenset[int] = frozenset()
        self._dead_since: dict[int, float] = {}
        self._hung_since: dict[int, float] = {}
        self._pending: deque[Answer] = deque()
        self.calm_since = -math.inf
        """Whoever answers is itself in trouble until then; ages count from there."""

    def heard(self, answer: Answer) -> None:
        """Take in an answer; it is judged at the next sighting."""
        for port in answer.ports - self._alive - self._dead_since.keys() - self._hung_since.keys():
            # Never seen until now: either very new, or nobody's.
            self._dead_since[port] = answer.asked_at
        self._pending.append(answer)

    def saw(self, sighting: Sighting) -> list[str]:
        """Take in what is there, and return what is wrong with the answers from before."""
        members = [each for each in sighting.processes if each.port is not None]
        running = frozenset(each.port for each in members if each.port and not each.is_stopped)
        hung = frozenset(each.port for each in members if each.port) - running
        for port in self._alive - running - hung:
            self._dead_since.setdefault(port, sighting.at)
        for port in hung:
            self._hung_since.setdefault(port, sighting.at)
            self._dead_since.pop(port, None)
        for port in self._hung_since.keys() - hung - running:
            self._dead_since.setdefault(port, sighting.at)
        self._hung_since = {port: at for port, at in self._hung_since.items() if port in hung}
        self._dead_since = {port: at for port, at in self._dead_since.items() if port not in running}
        self._alive = running
        wrong: list[str] = []
        while self._pending and self._pending[0].answered_at < sighting.at:
            wrong.extend(self._judge(self._pending.popleft()))
        return wrong

    def _judge(self, answer: Answer) -> list[str]:
        wrong = []
        for how, since_by_port, limit_s in (
            ("dead", self._dead_since, DEAD_S),
            ("hung", self._hung_since, self._hung_s),
        ):
            for port in answer.ports & since_by_port.keys():
                age_s = answer.asked_at - max(since_by_port[port], self.calm_since)
                if age_s > limit_s:
                    wrong.append(
                        f"an answer for {answer.service} names port {port}, which had been {how} for {age_s:.1f} s "
                        f"when the question was asked (allowed: {limit_s:g} s)"
                    )
        return wrong


def doubled(before: Sighting, now: Sighting) -> list[str]:
    """Return who has several processes; each of them was there at both times, so none was just ending."""
    found = before.doubled()
    lasting = {name: claimants & found.get(name, frozenset()) for name, claimants in now.doubled().items()}
    return [
        f"{name} has {len(claimants)} live processes: pids {', '.join(str(pid) for pid, _ in sorted(claimants))}"
        for name, claimants in lasting.items()
        if len(claimants) > 1
    ]


def services_of(spec: ClusterSpec) -> list[str]:
    """Return what clients may ask for."""
    return sorted({service for agent in _kept(spec) for service in _offered(agent)})


def _kept(spec: ClusterSpec) -> list[AgentSpec]:
    return [agent for agent in spec.agents if not agent.is_builtin_balancer]


def _offered(agent: AgentSpec) -> tuple[str, ...]:
    return () if agent.exclude_from_registry else agent.service_names


def not_whole(
    spec: ClusterSpec, tree: TreeView | None, sighting: Sighting, answers: Mapping[str, frozenset[int]] | None
) -> str | None:
    """Return why a cluster is not as it should be; None if it is.

    Args:
        spec: what it is to be.
        tree: what it says of itself, from before the sighting; None: nothing.
        sighting: what is there.
        answers: the latest answer for each service; None: nobody can ask.
    """
    if tree is None:
        return "the cluster does not answer"
    return (
        _members_missing(spec, tree, sighting)
        or _actors_missing(tree, sighting)
        or _registry_missing(tree)
        or (_answers_missing(spec, tree, answers) if answers is not None else None)
    )


def _members_missing(spec: ClusterSpec, tree: TreeView, sighting: Sighting) -> str | None:
    # An agent whose work is done has no members any more, and that is right.
    done = {each.agent for each in tree.agents if each.phase == "done"}
    expected = {
        name: agent
        for agent in _kept(spec)
        if agent.agent_type not in done
        for name in member_names(agent.agent_type, agent.process_count)
    }
    found = {each.member: each for each in tree.members}
    if surplus := found.keys() - expected.keys() - {n for n in found if n.rpartition("/")[0] in done}:
        return f"{', '.join(sorted(surplus))} should not be there"
    for name in expected:
        member, seen = found.get(name), sighting.by_name(name)
        if member is None:
            return f"{name} is unknown"
        if member.state != "serving":
            return f"{name} is {member.state.replace('_', ' ')}: {member.reason}"
        if seen is None or seen.pid != member.pid or seen.is_stopped:
            return f"{name} is said to serve as pid {member.pid}, and is {seen or 'not there'}"
    return None


def _actors_missing(tree: TreeView, sighting: Sighting) -> str | None:
    counted = Counter(each.name for each in sighting.processes if each.role is not None)
    if many := [name for name, count in counted.items() if count > 1]:
        return f"{many[0]} is there {counted[many[0]]} times"
    if stopped := [each for each in sighting.processes if each.is_stopped]:
        return f"{stopped[0]} is stopped"
    for role in (Role.LAUNCHER, Role.ACTOR_SYSTEM, Role.LOGGER):
        if not sighting.of(role):
            return f"the {role} is not there"
    # Which is the init process or another subreaper for as long as a new launcher has not taken over.
    (launcher,), (system,) = sighting.of(Role.LAUNCHER), sighting.of(Role.ACTOR_SYSTEM)
    if system.parent != launcher.pid:
        return f"{system} belongs to pid {system.parent}, not to {launcher}"
    return next((why for actor in tree.actors if (why := _actor_missing(actor, sighting))), None)


def _actor_missing(actor: ActorView, sighting: Sighting) -> str | None:
    if actor.state != "running":
        return f"{actor.name} is {actor.state.replace('_', ' ')}: {actor.reason}"
    seen = sighting.by_name(actor.name)
    if seen is None or seen.pid != actor.pid:
        return f"{actor.name} is said to be pid {actor.pid}, and is {seen or 'not there'}"
    return None


def _registry_missing(tree: TreeView) -> str | None:
    registry = tree.registry
    if registry is None:
        return "nothing is known of the registry"
    if registry.store != "memory" and registry.state != "following":
        return f"the registry is {registry.state}: {registry.reason}"
    return None


def _answers_missing(spec: ClusterSpec, tree: TreeView, answers: Mapping[str, frozenset[int]]) -> str | None:
    for service in services_of(spec):
        agents = {agent.agent_type for agent in _kept(spec) if service in _offered(agent)}
        found = (each for each in tree.members if each.member.rpartition("/")[0] in agents)
        wanted = frozenset(each.port for each in found if each.port)
        if answers.get(service) != wanted:
            told = sorted(answers.get(service, frozenset()))
            return f"clients are told of {service} at {told}, not {sorted(wanted)}"
    return None
