"""Keeps the service manager above the launcher informed, as `core.readiness` decides."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import assert_never

from quaestor_actors.actors.child_plans import BALANCER
from quaestor_actors.actors.root_messages import Changed
from quaestor_actors.adapters.notify import Notifier
from quaestor_actors.core import readiness
from quaestor_actors.core.actor import ActorState
from quaestor_actors.core.member import MemberState
from quaestor_actors.core.spec import ClusterSpec


class ServiceManager:
    """The launcher's voice towards systemd; silent where there is none."""

    def __init__(
        self,
        environ: Mapping[str, str],
        spec: ClusterSpec,
        ask_root: Callable[[], None],
        *,
        ready: Callable[[str], None] | None = None,
    ) -> None:
        """Begin with a cluster of which nothing is known.

        Args:
            environ: the launcher's environment, in which systemd says how to be told.
            spec: the cluster.
            ask_root: has the root give a sign of life.
            ready: is told once when systemd would be told that the start is complete.
        """
        self._notifier = Notifier(environ)
        self._ask_root = ask_root
        self._ready = ready
        self._is_wanted = "NOTIFY_SOCKET" in environ or ready is not None
        self._state = readiness.create(
            spec, now=time.monotonic(), watchdog_interval_s=self._notifier.watchdog_interval_s
        )

    @property
    def wake_at(self) -> float | None:
        """When `take(Woken())` is due."""
        return readiness.wake_at(self._state) if self._is_wanted else None

    def take(self, event: readiness.Event) -> None:
        """Take in what happened, and say what follows."""
        if not self._is_wanted:
            return
        self._state, effects = readiness.decide(self._state, event, time.monotonic())
        for effect in effects:
            match effect:
                case readiness.Announce(status=status):
                    self._notifier.ready(status)
                    if self._ready is not None:
                        self._ready(status)
                        self._ready = None
                case readiness.Tell(status=status):
                    self._notifier.status(status)
                case readiness.AskRoot():
                    self._ask_root()
                case readiness.Beat():
                    self._notifier.watchdog()
                case _:
                    assert_never(effect)

    def changed(self, change: Changed) -> None:
        """Take in what the root tells the launcher."""
        self.take(readiness.Heard())
        if any(actor.name == BALANCER and actor.state == ActorState.RUNNING for actor in change.actors):
            self.take(readiness.BalancerListens())
        if change.members:
            states = {member.member: MemberState(member.state) for member in change.members}
            self.take(readiness.MembersChanged(states=states))

    def reloading(self) -> None:
        """Say that the configuration is being read again."""
        self._notifier.reloading()

    def reloaded(self, spec: ClusterSpec) -> None:
        """Say that this holds now; also when it is what held before."""
        self.take(readiness.Reconfigured(spec=spec))

    def stopping(self, status: str) -> None:
        """Say that the launcher is ending in order."""
        self._notifier.stopping(status)
