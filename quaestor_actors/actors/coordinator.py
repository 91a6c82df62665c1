"""The coordinator actor: agrees with the other hosts, through etcd, on who coordinates and what floats where.

There is one on each host. It holds the host's lease, tells the root what may run here, and ends at once what may not
any more. What must survive it is in a file, which is written before anything that follows from it is done.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import Any

from thespian.actors import ActorAddress

from quaestor_actors.actors.base import Ready, Stop, Stopped, TreeActor
from quaestor_actors.actors.coordinator_messages import ConfigureCoordinator, CoordinationReported, StartCoordinator
from quaestor_actors.actors.view import CoordinationView, PlaceView
from quaestor_actors.adapters import warden
from quaestor_actors.adapters.floating_processes import FloatingProcesses
from quaestor_actors.adapters.mailbox import Mailbox
from quaestor_actors.adapters.processes import WatchedProcess
from quaestor_actors.adapters.store_link import StoreLink
from quaestor_actors.adapters.term_file import RememberedTerm, TermFile
from quaestor_actors.adapters.timer import Timer
from quaestor_actors.core import cluster_keys, coordination
from quaestor_actors.core.coordination_changes import present_hosts
from quaestor_actors.core.coordination_state import Coordination, Event, Grant, Kill, Leaving, Rules, RunningChanged
from quaestor_actors.core.store_work import ClockAdvanced

KEEP_ALIVE_TIMEOUT_S = 1.0
"""An etcd that does not even keep a lease alive in this time hangs, and another endpoint is asked."""

LAST_WORDS_S = 2.5
"""How long the end waits for etcd to know that this host has left; what it held ends with its lease otherwise."""


class CoordinatorActor(TreeActor):
    """Shell around `core.coordination`."""

    _rules: Rules
    _state: Coordination
    _file: TermFile
    _processes: FloatingProcesses
    _link: StoreLink

    def __init__(self) -> None:
        """Begin with nothing; StartCoordinator brings everything."""
        super().__init__()
        self._heard: Mailbox[Event | BaseException] = self.outside.make(Mailbox)
        # It must go off in time also after the machine has slept, which the timer of all actors does not.
        self._deadline = self.outside.make(Timer, clock=time.CLOCK_BOOTTIME)
        self._remembered: RememberedTerm | None = None
        self._is_written = True
        self._warden: WatchedProcess | None = None
        self._reported: CoordinationView | None = None
        self._is_stopping = False

    def receive(self, message: Any, sender: ActorAddress) -> None:
        """Handle what the root says."""
        match message:
            case StartCoordinator():
                self._start(message, sender)
            case ConfigureCoordinator():
                self._rules = replace(self._rules, floating=message.floating)
                self._apply(ClockAdvanced())
            case RunningChanged() | Leaving():
                self._apply(message)
            case Stop():
                self._stop(message)
            case _:
                self.log.warning("unexpected message %s", type(message).__name__)

    def on_wake(self, _key: str) -> None:
        """Wait for etcd no longer."""
        self._end()

    def _start(self, message: StartCoordinator, sender: ActorAddress) -> None:
        self.begin(message.identity, sender)
        self._rules = _rules(message)
        self._file = TermFile(message.directory)
        self._directory = message.directory
        self._processes = self.outside.make(FloatingProcesses, message.directory)
        before = self._remembered = self._file.load()
        term, granted = (None, {}) if before is None else (before.term, dict(before.granted))
        self._state = coordination.create(now=self.outside.boot_clock(), term=term, granted=granted)
        self._link = self._make_link(message)
        self._link.start()
        self.watch(self._heard.fd, self._take_in)
        self.watch(self._deadline.fd, self._time_is_up)
        self._apply(ClockAdvanced())
        self.send(sender, Ready(identity=self.identity, pid=os.getpid()))

    def _make_link(self, message: StartCoordinator) -> StoreLink:
        # Only where there is one: it takes 4 MB.
        from quaestor_actors.adapters.store_etcd import EtcdStore  # noqa: PLC0415

        patience_s = min(KEEP_ALIVE_TIMEOUT_S, self._rules.ttl_s / 5)
        store = self.outside.make(
            EtcdStore, message.store, environ=os.environ, log=self.log, keep_alive_timeout_s=patience_s
        )
        return self.outside.make(
            StoreLink,
            [store],
            prefix=cluster_keys.prefix_of(self._rules.cluster),
            owner=None,
            on_event=self._heard.post,
            on_crash=self._heard.post,
        )

    # From events to effects

    def _take_in(self) -> None:
        for heard in self._heard.drain():
            if isinstance(heard, BaseException):
                raise heard
            self._apply(heard)

    def _time_is_up(self) -> None:
        self._deadline.clear()
        self._apply(ClockAdvanced())

    def _apply(self, event: Event) -> None:
        now = self.outside.boot_clock()
        self._state, effects = coordination.decide(self._state, event, now, self._rules)
        self._remember()
        for effect in effects:
            match effect:
                case Grant():
                    self.send(self.parent, effect)
                case Kill():
                    self._kill(effect)
                case _:
                    self._link.perform(effect)
        self._deadline.set(coordination.next_deadline(self._state, now, self._rules))
        self._report()
        if self._is_stopping and self._has_left():
            self._end()

    def _kill(self, effect: Kill) -> None:
        ended = self._processes.end({slot.agent for slot in effect.slots}, effect.slots.__contains__)
        for process, slot in ended.items():
            self.log.warning("%s/%d (pid %d) is ended: %s", slot.agent, slot.number, process.pid, effect.reason)

    # What outlives this actor

    def _remember(self) -> None:
        found = RememberedTerm(
            term=self._state.term,
            margin_s=self._rules.margin_s,
            agents=self._agents(),
            granted=self._state.granted,
        )
        if self._remembered is not None and self._state.running is None:
            # Whether the predecessor's still run is not known yet.
            found = replace(found, agents=found.agents | self._remembered.agents)
        if found != self._remembered:
            self._remembered = found
            self._save(found)
        if found.agents and found.term is not None and self._warden is None:
            self._watch_warden(self.outside.make(warden.start, self._directory))

    def _save(self, found: RememberedTerm) -> None:
        try:
            self._file.save(found)
            self._is_written = True
        except OSError as error:
            if self._is_written:
                reason = error.strerror or error
                text = "cannot remember the term, so what floats here ends with the one that is written: %s"
                self.log.error(text, reason)  # noqa: TRY400 - the reason is all there is
            self._is_written = False

    def _agents(self) -> frozenset[str]:
        slots = frozenset(self._state.granted) | (self._state.running or frozenset())
        return frozenset(each.agent for each in self._rules.floating) | {slot.agent for slot in slots}

    def _watch_warden(self, started: WatchedProcess) -> None:
        self._warden = started
        self.watch(started.pidfd, self._warden_ended)

    def _warden_ended(self) -> None:
        if self._warden is not None:
            self.unwatch(self._warden.pidfd)
            self.outside.processes.reap(self._warden)
            # As long as something floats there is another one at the next renewal of the term.
            self._warden = None

    # What people see

    def _report(self) -> None:
        state, before = self._state, self._reported
        trouble = state.trouble or ""
        is_new = before is None or bool(before.trouble) != bool(trouble)
        view = CoordinationView(
            host=self._rules.host,
            coordinator=coordination.coordinator_of(state, self._rules) or "",
            hosts=tuple(host for host in self._rules.hosts if host in present_hosts(state, self._rules)),
            places=self._places(),
            since=self.outside.wall_clock() if before is None or is_new else before.since,
            trouble=trouble,
        )
        if view != before:
            self._reported = view
            self.send(self.parent, CoordinationReported(view=view))

    def _places(self) -> tuple[PlaceView, ...]:
        entries, cluster = self._state.entries, self._rules.cluster
        placed = {slot: each.value for key, each in entries.items() if (slot := cluster_keys.slot_of(cluster, key))}
        claims = {slot: entries.get(cluster_keys.claim_key(cluster, slot)) for slot in placed}
        return tuple(
            PlaceView(
                member=f"{slot.agent}/{slot.number}",
                host=placed[slot],
                claimed_by="" if (claim := claims[slot]) is None else claim.value,
            )
            for slot in sorted(placed)
        )

    # The end

    def _stop(self, message: Stop) -> None:
        self._is_stopping = True
        self.wake_at("last words", self.outside.clock() + LAST_WORDS_S)
        self._apply(Leaving() if message.leaving else ClockAdvanced())

    def _has_left(self) -> bool:
        """Return whether nothing is left to do; a successor goes on where the host does not leave."""
        return not self._state.is_leaving or self._state.term is None

    def _end(self) -> None:
        if self._ending:
            return
        self._link.stop()
        if self._state.is_leaving and not self._state.running:
            self._file.remove()
            if self._warden is not None:
                self.outside.processes.kill(self._warden)
        self.send(self.parent, Stopped(identity=self.identity))
        self.end()


def _rules(message: StartCoordinator) -> Rules:
    ttl_s = message.store.lease_ttl_s
    return Rules(
        cluster=message.identity.cluster,
        host=message.host,
        hosts=message.hosts,
        floating=message.floating,
        ttl_s=ttl_s,
        refresh_s=min(Rules(cluster="", host="", hosts=()).refresh_s, ttl_s / 5),
    )
