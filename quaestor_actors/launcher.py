"""Run a cluster from Python, without a configuration file.

from quaestor_actors.core.spec import AgentSpec, ClusterSpec
from quaestor_actors.launcher import run_cluster

spec = ClusterSpec(name="demo", agents=(AgentSpec(agent_type="Worker", executable="/opt/demo/worker"),))
raise SystemExit(run_cluster(spec))
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import TextIO

from quaestor_actors.actors.root import Changed
from quaestor_actors.actors.view import ActorView, LocationView, MemberView
from quaestor_actors.core.spec import ClusterSpec
from quaestor_actors.system.guardian import Guardian, Report

MEMBER_WIDTH = 12
STATE_WIDTH = 12


class Narrator:
    """Tells a person what happens to a cluster, a line for each change; talk, so it goes to standard error."""

    def __init__(self, spec: ClusterSpec, stream: TextIO) -> None:
        """Tell about this cluster on this stream."""
        self._stream = stream
        self._name = spec.name
        self._states: dict[str, str] = {}
        self._all_serving = False

    def say(self, text: str) -> None:
        """Tell one line about the cluster as a whole."""
        self._line(self._name, text)

    def changed(self, change: Changed) -> None:
        """Tell what a change means for people; what they cannot act on is left out."""
        for member in change.members:
            self._member(member)
        for location in change.locations:
            self._location(location)
        for actor in change.actors:
            self._actor(actor)
        self._whole()

    def _member(self, member: MemberView) -> None:
        before = self._states.get(member.member)
        self._states[member.member] = member.state
        if member.state in {before, "pending"}:
            return
        state = member.state.replace("_", " ")
        news = f"{member.host}:{member.port}, pid {member.pid}" if member.state == "serving" else member.reason
        self._line(member.member, f"{state:{STATE_WIDTH}} {news}")

    def _location(self, location: LocationView) -> None:
        self._line(
            "balancer",
            f"{location.state:{STATE_WIDTH}} {location.service} at {location.address}: {location.detail}",
        )

    def _actor(self, actor: ActorView) -> None:
        if actor.restarts and actor.state == "running":
            self._line(actor.name, f"{actor.state:{STATE_WIDTH}} pid {actor.pid}; {actor.reason}")

    def _whole(self) -> None:
        serving = sum(state == "serving" for state in self._states.values())
        complete = bool(self._states) and serving == len(self._states)
        if complete and not self._all_serving:
            self.say(f"all {serving} members serve; `quaestor status` shows them, Ctrl+C stops them")
        self._all_serving = complete

    def _line(self, who: str, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {who:{MEMBER_WIDTH}} {text}", file=self._stream, flush=True)


def run_cluster(spec: ClusterSpec, *, environ: Mapping[str, str] | None = None, stream: TextIO | None = None) -> int:
    """Run a cluster in the foreground until SIGTERM or SIGINT; return the exit code.

    Members inherit `environ` (default: this process's). What happens is told on `stream` (default: stderr).

    Raises:
        ConflictError: this cluster runs already.
        OperationError: the actor system cannot be started.
    """
    narrator = Narrator(spec, stream or sys.stderr)
    guardian = Guardian(
        spec,
        environ=os.environ if environ is None else environ,
        report=Report(changed=narrator.changed, said=narrator.say),
    )
    return guardian.run()
