"""Run a cluster from Python, without a configuration file.

from quaestor_actors.core.spec import AgentSpec, ClusterSpec
from quaestor_actors.launcher import run_cluster

spec = ClusterSpec(name="demo", agents=(AgentSpec(agent_type="Worker", executable="/opt/demo/worker"),))
raise SystemExit(run_cluster(spec))
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from quaestor_actors.actors.root_messages import Changed
from quaestor_actors.actors.view import ActorView, AgentView, HostView, LocationView, MemberView, RegistryView
from quaestor_actors.console import Console, LinesForPeople, News
from quaestor_actors.core.event import EventKind
from quaestor_actors.core.plan import Plan
from quaestor_actors.core.spec import ClusterSpec
from quaestor_actors.system.guardian import Guardian
from quaestor_actors.system.report import Report
from quaestor_actors.system.source import Source

if TYPE_CHECKING:
    from quaestor_actors.cli.progress import Progress


class Narrator:
    """Tells what happens to a cluster, a line for each change; talk, so it goes to standard error."""

    def __init__(self, spec: ClusterSpec, console: Console) -> None:
        """Tell about this cluster on this console."""
        self._console = console
        self._terminal = console.terminal if isinstance(console, LinesForPeople) else None
        self._name = spec.name
        self._told: dict[str, tuple[str, int]] = {}
        self._registry_told = ""
        self._expected = _members_of(spec)
        self._all_serving = False
        self._has_served = False
        self._agents: dict[str, AgentView] = {}
        self._members: dict[str, MemberView] = {}
        self._progress: Progress | None = None

    def say(self, text: str) -> None:
        """Tell one line about the cluster as a whole."""
        self._tell(EventKind.CLUSTER, self._name, "", text)

    def changed(self, change: Changed) -> None:
        """Tell what a change means for people; what they cannot act on is left out."""
        for agent in change.agents:
            self._agents[agent.agent] = agent
            self._agent(agent)
        for member in change.members:
            self._members[member.member] = member
            self._member(member)
        for name in change.gone:
            self._told.pop(name, None)
            self._members.pop(name, None)
        for location in change.locations:
            self._location(location)
        for actor in change.actors:
            self._actor(actor)
        for text in change.said:
            self.say(text)
        if change.registry is not None:
            self._registry(change.registry)
        for host in change.hosts:
            self._host(host)
        self._whole()

    def reloaded(self, spec: ClusterSpec, plan: Plan) -> None:
        """Tell what a new configuration changes."""
        self._expected = _members_of(spec)
        if not plan.actions:
            same = "the new configuration means the same as the old one"
            self._tell(EventKind.CONFIGURATION, spec.name, "", same)
        for action in plan.actions:
            self._tell(EventKind.CONFIGURATION, spec.name, "", str(action), action=action.verb, subject=action.subject)

    def waiting(self, left_s: float) -> None:
        """Tell on a terminal who holds up the cluster's stop; elsewhere each change is a line, and that is enough."""
        if self._terminal is None:
            return
        from quaestor_actors.cli.progress import Progress  # noqa: PLC0415 - only who stops in a terminal pays for it
        from quaestor_actors.cli.wishes import ending, told_of  # noqa: PLC0415 - likewise

        self._progress = self._progress or Progress(self._terminal, is_drawn=True)
        holding = ending(self._members.values(), self._agents, time.time())
        # Whoever listened may have gone; that is no reason to end.
        with contextlib.suppress(OSError):
            if holding:
                self._progress.show(told_of(holding), left_s=left_s, next_step=holding[0].next_step)
            else:
                self._progress.show("waiting for the actors to end", left_s=left_s)

    def _agent(self, agent: AgentView) -> None:
        if agent.waits_for:
            told = f"for {', '.join(agent.waits_for)}"
            self._tell(EventKind.AGENT, agent.agent, "waiting", told, agent=agent.agent)
        elif agent.phase in {"gave_up", "done"}:
            self._tell(EventKind.AGENT, agent.agent, agent.phase, agent.reason, agent=agent.agent, reason=agent.reason)

    def _member(self, member: MemberView) -> None:
        before, _ = told = self._told.get(member.member, ("pending", 0))
        self._told[member.member] = now = (member.state, member.incarnation)
        # A member that serves at once may be replaced without ever having been seen in another state.
        if now == told or member.state == "pending":
            return
        news = member.reason
        if member.state == "serving":
            # Why it was started has been told unless it served at once.
            why = "" if before == "starting" and told[1] == member.incarnation else f"; {member.reason}"
            news = f"{member.host}:{member.port}, pid {member.pid}{why}"
        self._tell(
            EventKind.MEMBER,
            member.member,
            member.state,
            news,
            member=member.member,
            agent=member.member.rpartition("/")[0],
            incarnation=member.incarnation,
            restarts=member.restarts,
            pid=member.pid,
            address=None if member.port is None else f"{member.host}:{member.port}",
            reason=member.reason,
        )

    def _location(self, location: LocationView) -> None:
        self._tell(
            EventKind.LOCATION,
            "balancer",
            location.state,
            f"{location.service} at {location.address}: {location.detail}",
            service=location.service,
            address=location.address,
            reason=location.detail,
        )

    def _actor(self, actor: ActorView) -> None:
        is_over = actor.state in {"failed", "done"}
        if is_over or (actor.restarts and actor.state == "running"):
            self._tell(
                EventKind.ACTOR,
                actor.name,
                actor.state,
                actor.reason if is_over else f"pid {actor.pid}; {actor.reason}",
                actor=actor.name,
                incarnation=actor.restarts + 1,
                restarts=actor.restarts,
                pid=actor.pid,
                reason=actor.reason,
            )

    def _registry(self, registry: RegistryView) -> None:
        # Its numbers change all the time, and every tree begins with connecting.
        is_news = registry.state != "connecting" or registry.reason
        if registry.store == "memory" or registry.state == self._registry_told or not is_news:
            return
        self._registry_told = registry.state
        reason = f": {registry.reason}" if registry.reason else ""
        self._tell(
            EventKind.REGISTRY,
            "registry",
            registry.state,
            f"{registry.store}{reason}",
            store=registry.store,
            reason=registry.reason or None,
        )

    def _host(self, host: HostView) -> None:
        self._tell(
            EventKind.HOST,
            f"host {host.name}",
            host.state,
            host.reason,
            host=host.name,
            address=host.address,
            reason=host.reason,
        )

    def _whole(self) -> None:
        serving = sum(self._told.get(name, ("", 0))[0] == "serving" for name in self._expected)
        complete = bool(self._expected) and serving == len(self._expected)
        if complete and not self._all_serving:
            hint = "" if self._has_served else "; `quaestor status` shows them, Ctrl+C stops them"
            self._has_served = True
            self.say(f"all {serving} members serve{hint}")
        self._all_serving = complete

    def _tell(self, kind: EventKind, who: str, state: str, text: str, **facts: object) -> None:
        if self._progress is not None:
            with contextlib.suppress(OSError):
                self._progress.clear()
        facts = {"cluster": self._name, "kind": kind.value, **facts}
        self._console(News(who=who, state=state, text=text, facts=facts))


def _members_of(spec: ClusterSpec) -> list[str]:
    agents = [agent for agent in spec.agents if not agent.is_builtin_balancer]
    return [name for agent in agents for name in agent.members]


def run_cluster(
    spec: ClusterSpec,
    *,
    environ: Mapping[str, str] | None = None,
    console: Console | None = None,
    source: Source | None = None,
    ready: Callable[[str], None] | None = None,
) -> int:
    """Run a cluster in the foreground until SIGTERM or SIGINT; return the exit code.

    Members inherit `environ` (default: this process's). What happens is told on `console` (default: lines on stderr).
    With a `source` a changed file, or SIGHUP, leads to a new specification. `ready` is told once,
    when every member that is to serve does, or the longest start-up deadline is over, how it is.

    Raises:
        ConflictError: this cluster runs already.
        OperationError: the actor system cannot be started.
    """
    narrator = Narrator(spec, console or LinesForPeople(sys.stderr))
    guardian = Guardian(
        spec,
        environ=os.environ if environ is None else environ,
        report=Report(
            changed=narrator.changed,
            said=narrator.say,
            reloaded=narrator.reloaded,
            waiting=narrator.waiting,
            ready=ready,
        ),
        source=source,
    )
    return guardian.run()
