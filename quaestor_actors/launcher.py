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
from collections.abc import Mapping
from typing import TextIO

from quaestor_actors.actors.root_messages import Changed
from quaestor_actors.actors.view import ActorView, AgentView, LocationView, MemberView, RegistryView
from quaestor_actors.core.plan import Plan
from quaestor_actors.core.spec import ClusterSpec
from quaestor_actors.system.guardian import Guardian, Report
from quaestor_actors.system.source import Source

MEMBER_WIDTH = 12
STATE_WIDTH = 12


class Narrator:
    """Tells a person what happens to a cluster, a line for each change; talk, so it goes to standard error."""

    def __init__(self, spec: ClusterSpec, stream: TextIO) -> None:
        """Tell about this cluster on this stream."""
        self._stream = stream
        self._name = spec.name
        self._told: dict[str, tuple[str, int]] = {}
        self._registry_told = ""
        self._expected = _members_of(spec)
        self._all_serving = False
        self._has_served = False

    def say(self, text: str) -> None:
        """Tell one line about the cluster as a whole."""
        self._line(self._name, text)

    def changed(self, change: Changed) -> None:
        """Tell what a change means for people; what they cannot act on is left out."""
        for agent in change.agents:
            self._agent(agent)
        for member in change.members:
            self._member(member)
        for name in change.gone:
            self._told.pop(name, None)
        for location in change.locations:
            self._location(location)
        for actor in change.actors:
            self._actor(actor)
        if change.registry is not None:
            self._registry(change.registry)
        for host in change.hosts:
            self._line(f"host {host.name}", f"{host.state:{STATE_WIDTH}} {host.reason}")
        self._whole()

    def reloaded(self, spec: ClusterSpec, plan: Plan) -> None:
        """Tell what a new configuration changes."""
        self._expected = _members_of(spec)
        if not plan.actions:
            self._line(spec.name, "the new configuration means the same as the old one")
        for action in plan.actions:
            self._line(spec.name, str(action))

    def _agent(self, agent: AgentView) -> None:
        if agent.waits_for:
            self._line(agent.agent, f"{'waiting':{STATE_WIDTH}} for {', '.join(agent.waits_for)}")
        elif agent.phase in {"gave_up", "done"}:
            self._line(agent.agent, f"{agent.phase.replace('_', ' '):{STATE_WIDTH}} {agent.reason}")

    def _member(self, member: MemberView) -> None:
        before, _ = told = self._told.get(member.member, ("pending", 0))
        self._told[member.member] = now = (member.state, member.incarnation)
        # A member that serves at once may be replaced without ever having been seen in another state.
        if now == told or member.state == "pending":
            return
        state = member.state.replace("_", " ")
        news = member.reason
        if member.state == "serving":
            # Why it was started has been told unless it served at once.
            why = "" if before == "starting" and told[1] == member.incarnation else f"; {member.reason}"
            news = f"{member.host}:{member.port}, pid {member.pid}{why}"
        self._line(member.member, f"{state:{STATE_WIDTH}} {news}")

    def _location(self, location: LocationView) -> None:
        self._line(
            "balancer",
            f"{location.state:{STATE_WIDTH}} {location.service} at {location.address}: {location.detail}",
        )

    def _actor(self, actor: ActorView) -> None:
        if actor.restarts and actor.state == "running":
            self._line(actor.name, f"{actor.state:{STATE_WIDTH}} pid {actor.pid}; {actor.reason}")

    def _registry(self, registry: RegistryView) -> None:
        # Its numbers change all the time, and every tree begins with connecting.
        is_news = registry.state != "connecting" or registry.reason
        if registry.store == "memory" or registry.state == self._registry_told or not is_news:
            return
        self._registry_told = registry.state
        reason = f": {registry.reason}" if registry.reason else ""
        self._line("registry", f"{registry.state:{STATE_WIDTH}} {registry.store}{reason}")

    def _whole(self) -> None:
        serving = sum(self._told.get(name, ("", 0))[0] == "serving" for name in self._expected)
        complete = bool(self._expected) and serving == len(self._expected)
        if complete and not self._all_serving:
            hint = "" if self._has_served else "; `quaestor status` shows them, Ctrl+C stops them"
            self._has_served = True
            self.say(f"all {serving} members serve{hint}")
        self._all_serving = complete

    def _line(self, who: str, text: str) -> None:
        # Whoever listened may have gone (a closed terminal, a full disk); that is no reason to end.
        with contextlib.suppress(OSError):
            print(f"{time.strftime('%H:%M:%S')} {who:{MEMBER_WIDTH}} {text}", file=self._stream, flush=True)


def _members_of(spec: ClusterSpec) -> list[str]:
    agents = [agent for agent in spec.agents if not agent.is_builtin_balancer]
    return [name for agent in agents for name in agent.members]


def run_cluster(
    spec: ClusterSpec,
    *,
    environ: Mapping[str, str] | None = None,
    stream: TextIO | None = None,
    source: Source | None = None,
) -> int:
    """Run a cluster in the foreground until SIGTERM or SIGINT; return the exit code.

    Members inherit `environ` (default: this process's). What happens is told on `stream` (default: stderr). With a
    `source` a changed file, or SIGHUP, leads to a new specification.

    Raises:
        ConflictError: this cluster runs already.
        OperationError: the actor system cannot be started.
    """
    narrator = Narrator(spec, stream or sys.stderr)
    guardian = Guardian(
        spec,
        environ=os.environ if environ is None else environ,
        report=Report(changed=narrator.changed, said=narrator.say, reloaded=narrator.reloaded),
        source=source,
    )
    return guardian.run()
