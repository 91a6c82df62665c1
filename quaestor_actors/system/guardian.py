"""The guardian: starts the actor system and the root actor, and keeps both until it is told to stop.

It is no actor. It holds the cluster's lock, is the subreaper of everything it started, sleeps until a signal, a
message or the end of one of its two charges, and replaces both when one ends unexpectedly. Members do not notice:
the new tree adopts them.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import time
from collections.abc import Mapping
from enum import StrEnum

from thespian.actors import ActorSystem

from quaestor_actors.actors.base import Crashed, Identity, Ready, Stop, Stopped
from quaestor_actors.actors.root import RootSupervisor
from quaestor_actors.actors.root_messages import (
    Changed,
    Ending,
    Ping,
    Pong,
    Reload,
    Reloaded,
    ReloadWanted,
    Scaled,
    StartRoot,
)
from quaestor_actors.adapters import notify, processes, runtime_directory
from quaestor_actors.adapters.processes import WatchedProcess
from quaestor_actors.adapters.runtime_directory import LauncherLock
from quaestor_actors.core import readiness
from quaestor_actors.core.restart import Backoff
from quaestor_actors.core.spec import ClusterSpec
from quaestor_actors.errors import NotRunningError, OperationError
from quaestor_actors.system import base, transport
from quaestor_actors.system.admin_record import AdminRecord
from quaestor_actors.system.charges import kill_and_wait, newest_child
from quaestor_actors.system.connection import Connection, ReadyFds, format_address
from quaestor_actors.system.cookie import COOKIE_VARIABLE
from quaestor_actors.system.doors import check_doors
from quaestor_actors.system.host_endpoint import endpoint_of
from quaestor_actors.system.parentage import adopt_orphans
from quaestor_actors.system.publication import Publication
from quaestor_actors.system.report import Report
from quaestor_actors.system.service_manager import ServiceManager
from quaestor_actors.system.signals import SignalPipe, reap_orphans
from quaestor_actors.system.source import Source, SourceWatch
from quaestor_actors.system.terminal import Terminal

STOP_MARGIN_S = 15.0
"""What the tree may need beyond the members' own deadline to stop."""
LEFTOVER_DEADLINE_S = 10.0
"""In which a killed launcher's balancer has given its port back, also on a machine that is very busy."""
LOSSES_PERIOD_S = 60.0
PROMPT_RESTARTS = 5
"""A tree that was lost is replaced at once, up to this often within the period; then after growing pauses. There is no
limit: nobody is above the guardian, and members without a supervisor are the worst that can happen."""
BACKOFF = Backoff(cap_s=5.0)
STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})
READY_DEADLINE_S = 10.0
"""A root actor that has not said that it works by then is replaced with its tree."""


class Outcome(StrEnum):
    """Why a tree ended."""

    STOPPED = "stopped"
    LOST = "lost"


class Guardian:
    """Runs one cluster until SIGTERM or SIGINT; `run` blocks and returns the exit code."""

    def __init__(
        self, spec: ClusterSpec, *, environ: Mapping[str, str], report: Report, source: Source | None = None
    ) -> None:
        """Take the cluster to run, the environment that its members inherit, and where changes come from."""
        self._spec = spec
        self._environ = dict(environ)
        self._endpoint = endpoint_of(spec)
        self._report = report
        self._source = SourceWatch(source, report.said)
        self._service = ServiceManager(environ, spec, self._ping, ready=report.ready)
        for name in notify.VARIABLES:
            self._environ.pop(name, None)
            # Actors inherit this process's own, and run commands that check members.
            os.environ.pop(name, None)
        self._terminal = Terminal()
        self._connection: Connection | None = None
        self._ready_by: float | None = None
        self._failed = False
        base_directory = runtime_directory.make_private(runtime_directory.base_directory(environ))
        self._directory = runtime_directory.make_private(base_directory / spec.name)
        self._logs = runtime_directory.make_private(runtime_directory.log_directory(environ, spec.name))
        self._publication = Publication(self._directory, report.said)
        self._stop_at: float | None = None
        self._incarnation = 0
        self._admins = AdminRecord()
        self._admin: WatchedProcess | None = None
        self._root: WatchedProcess | None = None

    def run(self) -> int:
        """Run the cluster; return 0 after an orderly stop, 1 if it ended by itself or not everything stopped in time.

        Raises:
            ConflictError: another launcher runs this cluster.
            OperationError: the actor system cannot be started.
        """
        lock = LauncherLock(self._directory, self._spec.name)
        try:
            self._prepare()
            with SignalPipe() as signals:
                return self._keep(signals)
        finally:
            self._source.cancel()
            lock.release()

    def _prepare(self) -> None:
        cookie = self._endpoint.cookie(self._directory)
        self._environ.pop(COOKIE_VARIABLE, None)
        suffix = self._environ.get("QUAESTOR_LOGFILE_SUFFIX", "")
        transport.configure(
            cookie=cookie,
            title=f"quaestor: {self._spec.name}",
            log_path=self._logs / f"system{suffix}.log",
            pid_path=self._directory / runtime_directory.ADMIN_PID_NAME,
            # A killed launcher must not take members' supervision with it; without members nothing is to be left.
            outlives_launcher=any(not agent.is_builtin_balancer for agent in self._spec.agents)
            or bool(self._spec.actors),
            admin_record=self._admins,
            interface=self._endpoint.interface,
        )
        adopt_orphans()
        patience_s = LEFTOVER_DEADLINE_S if self._end_leftover() else 0.0
        check_doors(self._spec, self._endpoint, patience_s)

    def _end_leftover(self) -> bool:
        """End the actor system that a killed launcher left behind; its members live on and are adopted."""
        process = runtime_directory.read_admin(self._directory)
        leftover = None if process is None else processes.watch(process)
        if leftover is None:
            return False
        self._report.said(f"taking over from a launcher that was killed (actor system pid {leftover.process.pid})")
        kill_and_wait(leftover)
        return True

    def _keep(self, signals: SignalPipe) -> int:
        lost: list[float] = []
        while self._try_tree(signals) is Outcome.LOST:
            if self._stop_at is not None and time.monotonic() >= self._stop_at:
                return 1
            now = time.monotonic()
            lost = [*(at for at in lost if at > now - LOSSES_PERIOD_S), now]
            self._pause(BACKOFF.delay_s(len(lost) - PROMPT_RESTARTS), signals)
        self._report.said("stopped")
        return 1 if self._failed else 0

    def _pause(self, delay_s: float, signals: SignalPipe) -> None:
        ready, _, _ = select.select([signals.fd], [], [], delay_s)
        if ready:
            self._note_signals(signals.read())

    def _try_tree(self, signals: SignalPipe) -> Outcome:
        try:
            return self._run_tree(signals)
        except (OperationError, NotRunningError) as error:
            self._report.said(f"the tree did not start: {error}")
            return Outcome.LOST

    def _run_tree(self, signals: SignalPipe) -> Outcome:
        self._incarnation += 1
        # What exists now is shared with every actor; the collector need not touch it there.
        gc.collect()
        gc.freeze()
        port = self._endpoint.port()
        system, admin = self._start_system(port)
        connection = Connection(system)
        self._connection = connection
        try:
            self._start_root(connection, admin)
            outcome = self._attend(signals, connection, port)
        finally:
            self._connection = None
            self._publication.withdraw()
            self._end_system(system, orderly=self._stop_at is not None)
            connection.close()
        return outcome

    def _start_system(self, port: int) -> tuple[ActorSystem, WatchedProcess]:
        self._admins.expect()
        try:
            system = base.start_system(port, peers=self._endpoint.peers, host=self._endpoint.name)
        except OperationError:
            # It may be there all the same, and too late.
            if (late := self._admins.dismiss()) is not None and (watched := processes.watch(late)) is not None:
                kill_and_wait(watched)
            raise
        process = self._admins.process
        self._admin = None if process is None else processes.watch(process)
        if self._admin is None:
            raise OperationError("the actor system ended while it was starting; its log is in " + str(self._logs))
        return system, self._admin

    def _start_root(self, connection: Connection, admin: WatchedProcess) -> None:
        self._root_address = connection.create(RootSupervisor)
        # It may be killed before it says that it works. Until then this is a guess: a new logger may be younger.
        self._root = newest_child(admin)
        connection.send(
            self._root_address,
            StartRoot(
                identity=Identity(cluster=self._spec.name, name="root", incarnation=self._incarnation),
                spec=self._spec,
                environment=tuple(sorted(self._environ.items())),
                state_directory=runtime_directory.make_private(self._directory / "agents"),
                log_directory=self._logs,
            ),
        )
        if self._stop_at is not None:
            connection.send(self._root_address, Stop())

    def _attend(self, signals: SignalPipe, connection: Connection, port: int) -> Outcome:
        """Sleep until something happens, until the tree has stopped or one of the two charges has ended."""
        assert self._admin is not None  # noqa: S101 - set by the caller
        assert self._root is not None  # noqa: S101 - likewise
        fds = [signals.fd, self._admin.pidfd, self._root.pidfd]
        self._ready_by = time.monotonic() + READY_DEADLINE_S
        while True:
            match connection.receive(self._patience_s(), watch_fds=[*fds, *self._source.fds]):
                case ReadyFds(fds=ready):
                    if lost := self._lost(ready):
                        self._report.said(f"the {lost} ended unexpectedly: starting the tree again")
                        self._service.take(readiness.TreeLost(what=lost))
                        return Outcome.LOST
                    self._take_over_read(connection)
                    self._handle_signals(signals.read(), connection)
                case Ready(pid=pid):
                    self._ready_by = None
                    if not self._watch_root(pid):
                        return Outcome.LOST
                    fds = [signals.fd, self._admin.pidfd, self._root.pidfd]
                    self._publication.publish(
                        self._endpoint.record(
                            port, format_address(self._root_address), configuration=self._source.leading_file
                        )
                    )
                    self._service.take(readiness.Heard())
                case Stopped():
                    return Outcome.STOPPED
                case None:
                    if self._stop_at is not None and time.monotonic() >= self._stop_at:
                        self._report.said("the tree did not stop in time and is killed")
                        return Outcome.LOST
                    if self._ready_by is not None and time.monotonic() >= self._ready_by:
                        self._report.said(f"the root actor was not ready within {READY_DEADLINE_S:g} s: starting again")
                        return Outcome.LOST
                    self._tick(connection)
                case message:
                    self._heard(message)

    def _watch_root(self, pid: int) -> bool:
        """Watch the process that says it is the root, whichever was taken for it; return whether it lives."""
        if self._root is not None and self._root.process.pid != pid:
            processes.forget(self._root)
            self._root = processes.watch_pid(pid)
        return self._root is not None

    def _heard(self, message: object) -> None:
        match message:
            case Changed():
                self._report.changed(message)
                self._service.changed(message)
            case Ending(reason=reason, failed=failed):
                self._failed = failed
                self._report.said(reason)
                self._begin_to_stop(reason)
            case Reloaded(plan=plan):
                self._report.reloaded(self._spec, plan)
                self._service.reloaded(self._spec)
            case ReloadWanted():
                self._reload("asked to read the configuration again")
            case Scaled():
                self._scaled(message)
            case Pong():
                self._service.take(readiness.Heard())
            case Crashed(reason=reason):
                self._report.said(f"the root actor crashed: {reason}")

    def _scaled(self, message: Scaled) -> None:  # a reload that is on its way to the root comes after this, and counts
        self._spec = message.after if message.before == self._spec else self._spec
        self._report.said("scaled by hand")
        self._report.reloaded(message.after, message.plan)
        self._service.reloaded(message.after)

    # Time

    def _patience_s(self) -> float | None:
        waiting = [self._stop_at, self._ready_by, self._publication.retry_at]
        times = [*waiting, self._service.wake_at, self._source.wake_at]
        due = min((at for at in times if at is not None), default=None)
        return None if due is None else max(0.0, due - time.monotonic())

    def _tick(self, connection: Connection) -> None:
        self._publication.retry()
        self._service.take(readiness.Woken())
        self._take_over_read(connection)
        if self._stop_at is not None:
            self._report.waiting(self._stop_at - time.monotonic())
        if self._source.has_changed():
            self._reload("the configuration changed")

    def _ping(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(NotRunningError):
                self._connection.send(self._root_address, Ping())

    def _reload(self, why: str) -> None:
        if self._stop_at is not None:
            return
        self._service.reloading()
        if not self._source.begin(why):
            self._service.reloaded(self._spec)

    def _take_over_read(self, connection: Connection) -> None:
        """Go by a new specification as soon as it is there."""
        if not self._source.is_read():
            return
        spec = self._source.finish(self._spec)
        if spec is None:
            self._service.reloaded(self._spec)
            return
        # A tree that is lost now starts again from the new specification.
        self._spec = spec
        with contextlib.suppress(NotRunningError):
            connection.send(self._root_address, Reload(spec=spec))

    def _lost(self, ready: tuple[int, ...]) -> str | None:
        if self._admin is not None and self._admin.pidfd in ready:
            return "actor system"
        if self._root is not None and self._root.pidfd in ready:
            return "root actor"
        return None

    def _handle_signals(self, numbers: set[signal.Signals], connection: Connection) -> None:
        if signal.SIGHUP in numbers and not self._terminal.is_closed():
            self._reload("SIGHUP")
        if (stop := self._note_signals(numbers)) is not None:
            # If the root has ended, its pidfd says so next.
            with contextlib.suppress(NotRunningError):
                connection.send(self._root_address, stop)

    def _note_signals(self, numbers: set[signal.Signals]) -> Stop | None:
        """Return what the root must be told because of signals; None if nothing."""
        reap_orphans()
        asked = numbers & STOP_SIGNALS
        if signal.SIGHUP in numbers and self._terminal.is_closed():
            asked = asked | {signal.SIGHUP}
        if not asked:
            return None
        again = self._stop_at is not None
        name = min(asked).name
        if again:
            self._stop_at = time.monotonic() + STOP_MARGIN_S
            self._report.said(f"{name} again: ending members at once")
        else:
            self._report.said(f"{name}: stopping")
            self._begin_to_stop(f"{name}: stopping")
        return Stop(force=again)

    def _begin_to_stop(self, status: str) -> None:
        self._stop_at = time.monotonic() + STOP_MARGIN_S + readiness.stopped_within_s(self._spec)
        self._source.cancel()
        self._service.stopping(status)

    def _end_system(self, system: ActorSystem, *, orderly: bool) -> None:
        if self._root is not None:
            processes.forget(self._root)
            self._root = None
        if self._admin is None:
            return
        if orderly:
            system.shutdown()
        kill_and_wait(self._admin)
        self._admin = None
        (self._directory / runtime_directory.ADMIN_PID_NAME).unlink(missing_ok=True)
        reap_orphans()
