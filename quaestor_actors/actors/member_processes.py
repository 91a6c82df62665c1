"""An agent supervisor's hands on the processes of its members: start, find, watch, signal, measure, rotate output."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from quaestor_actors.actors.base import TreeActor
from quaestor_actors.adapters import member_log
from quaestor_actors.adapters.member_log import LogRotationError
from quaestor_actors.adapters.processes import WatchedProcess
from quaestor_actors.adapters.term_file import TermFile
from quaestor_actors.core.adoption import FoundProcess
from quaestor_actors.core.member import (
    Fact,
    Found,
    Member,
    MemoryMeasured,
    ProcessExited,
    Spawn,
    Spawned,
    SpawnFailed,
)
from quaestor_actors.core.placement import Slot
from quaestor_actors.core.probe import ProbeKind
from quaestor_actors.core.process_id import ProcessId
from quaestor_actors.core.spec import FENCING_TOKEN_VARIABLE, AgentSpec
from quaestor_actors.errors import SpawnError

ExitHandler = Callable[[str, ProcessExited], None]


class MemberProcesses:
    """The live processes of one agent's members, by member id."""

    def __init__(
        self,
        owner: TreeActor,
        *,
        spec: AgentSpec,
        environment: Mapping[str, str],
        log_directory: Path,
        tag: str,
        on_exit: ExitHandler,
    ) -> None:
        """Know of no process yet.

        Args:
            owner: in whose watch the processes' descriptors are.
            spec: what is started; `spec` may be replaced at any time.
            environment: what members inherit.
            log_directory: where their output goes.
            tag: names this agent among all agents of the machine, in its members' environment: the path of a file
                beside which it is written what this host may run of what floats.
            on_exit: told of every end.
        """
        self.spec = spec
        self._owner = owner
        self._outside = owner.outside
        self._environment = environment
        self._logs = log_directory
        self._agent_tag = tag
        self._terms = TermFile(Path(tag).parent)
        self._on_exit = on_exit
        self._processes: dict[str, WatchedProcess] = {}
        self._output_starts: dict[str, int] = {}
        self._complained: set[str] = set()

    def __contains__(self, member_id: str) -> bool:
        """Return whether a live process of the member is known."""
        return member_id in self._processes

    # Starting and finding

    def spawn(self, effect: Spawn) -> Fact:
        """Start a member's process, unless somebody holds its port."""
        number = int(effect.member_id.rpartition("/")[2])
        if self.spec.floating is not None and (refusal := self._refusal(number)) is not None:
            return SpawnFailed(incarnation=effect.incarnation, reason=refusal)
        port = self.spec.ports[number - 1] if self.spec.ports else self._outside.ports.free_port(self.spec.host_name)
        if self.spec.ports and self._outside.ports.is_taken(self.spec.host_name, port):
            return self._taken(effect, port)
        log_path = self._log_path(effect.member_id)
        self._output_starts[effect.member_id] = member_log.size(log_path)
        try:
            watched = self._outside.processes.spawn(
                self.spec,
                member=f"{self._agent_tag} {effect.member_id} {effect.incarnation} {port}",
                port=port,
                environment=self._environment_of(number),
                log_path=log_path,
            )
        except SpawnError as error:
            return SpawnFailed(incarnation=effect.incarnation, reason=str(error))
        self._watch(effect.member_id, effect.incarnation, watched)
        return Spawned(incarnation=effect.incarnation, process=watched.process, port=port)

    def _refusal(self, number: int) -> str | None:
        """Return why a copy of what floats must not be started: nobody may have been told that it runs elsewhere."""
        token = self.spec.token(number)
        if token is None:
            return "it is not to run on this host"
        return self._terms.refusal(Slot(self.spec.agent_type, number), token, now=self._outside.boot_clock())

    def _environment_of(self, number: int) -> Mapping[str, str]:
        token = self.spec.token(number)
        return self._environment if token is None else {**self._environment, FENCING_TOKEN_VARIABLE: str(token)}

    def _taken(self, effect: Spawn, port: int) -> Fact:
        holder = self._outside.ports.holder_of(port)
        if self.spec.probe.kind is ProbeKind.NONE or self.spec.floating is not None:
            # Of what floats nobody is taken over: nobody could say when it started, or end it in time.
            return SpawnFailed(incarnation=effect.incarnation, reason=f"port {port} is taken by {holder.text}")
        found = None if holder.pid is None else self._outside.processes.watch_pid(holder.pid)
        if found is not None and self._outside.processes.is_tagged(
            found.process, f"{self._agent_tag} {effect.member_id} "
        ):
            # Ours all the same: left behind by a cluster whose notes are lost.
            self._watch(effect.member_id, effect.incarnation, found)
            return Spawned(incarnation=effect.incarnation, process=found.process, port=port)
        if found is not None:
            self._watch(effect.member_id, effect.incarnation, found, is_foreign=True)
        return Found(
            incarnation=effect.incarnation,
            process=None if found is None else found.process,
            port=port,
            holder=holder.text,
        )

    def adopt(self, member: Member) -> bool:
        """Watch the recorded process of a member; return whether it still runs."""
        watched = self._outside.processes.watch(member.process) if member.process else None
        if watched is not None:
            self._watch(member.member_id, member.incarnation, watched, is_foreign=member.foreign)
        return watched is not None

    def find_all(self) -> list[FoundProcess]:
        """Return every live process that says it is a member of this agent."""
        found = []
        for process, tag in self._outside.processes.find_tagged(f"{self._agent_tag} ").items():
            # The agent's name may hold spaces.
            member_id, incarnation, port = tag.rsplit(" ", 2)
            found.append(
                FoundProcess(member_id=member_id, incarnation=int(incarnation), port=int(port), process=process)
            )
        return found

    def end_stray(self, stray: FoundProcess) -> None:
        """Kill a process that its member does not go on with."""
        watched = self._outside.processes.watch(stray.process)
        if watched is not None:
            self._owner.log.warning("%s has a second process, %s: killed", stray.member_id, stray.process)
            self._outside.processes.signal_group(watched, signal.SIGKILL)
            self._outside.processes.forget(watched)

    def _log_path(self, member_id: str) -> Path:
        return self._logs / f"{member_id.replace('/', '-')}.log"

    # Watching and ending

    def _watch(self, member_id: str, incarnation: int, watched: WatchedProcess, *, is_foreign: bool = False) -> None:
        self.let_go(member_id)
        self._processes[member_id] = watched
        handler = self._foreign_exited if is_foreign else self._exited
        self._owner.watch(watched.pidfd, lambda: handler(member_id, incarnation))

    def _exited(self, member_id: str, incarnation: int) -> None:
        watched = self._processes.pop(member_id)
        self._owner.unwatch(watched.pidfd)
        ending = self._outside.processes.reap(watched)
        output = "" if ending.normal else self._last_output(member_id)
        fact = ProcessExited(incarnation=incarnation, reason=ending.reason, normal=ending.normal, output=output)
        self._on_exit(member_id, fact)

    def _last_output(self, member_id: str) -> str:
        path, since = self._log_path(member_id), self._output_starts.get(member_id)
        if since is None:
            # A predecessor started it; what is above the last line may be an earlier process's.
            return member_log.last_lines(path, since=0, count=1)
        # Most processes that are killed have said nothing, and somebody waits for the replacement.
        return member_log.last_lines(path, since=since) if member_log.size(path) != since else ""

    def _foreign_exited(self, member_id: str, incarnation: int) -> None:
        # What is left of its group is nobody's business here.
        self.let_go(member_id)
        self._on_exit(member_id, ProcessExited(incarnation=incarnation, reason="the process that was taken over ended"))

    def let_go(self, member_id: str) -> None:
        """Watch a member's process no longer; it goes on."""
        if watched := self._processes.pop(member_id, None):
            self._owner.unwatch(watched.pidfd)
            self._outside.processes.forget(watched)

    def signal(self, member_id: str, process: ProcessId, number: signal.Signals) -> None:
        """Send a signal to the process group of a member, if that process still lives."""
        watched = self._processes.get(member_id)
        if watched is not None and watched.process == process:
            self._outside.processes.signal_group(watched, number)

    # From time to time

    def measure(self, members: Mapping[str, Member]) -> list[tuple[str, MemoryMeasured]]:
        """Return the memory of every member that has a process of ours."""
        measured = []
        for name, watched in self._processes.items():
            used = self._outside.processes.rss_bytes(watched.process.pid)
            if used is not None and name in members:
                fact = MemoryMeasured(incarnation=members[name].incarnation, resident_bytes=used)
                measured.append((name, fact))
        return measured

    def rotate_output(self) -> None:
        """Rotate what has grown too large; a file that cannot be rotated is complained about once."""
        output = self.spec.output
        if output.max_bytes <= 0:
            return
        for name in self._processes:
            path = self._log_path(name)
            try:
                if member_log.rotate(path, max_bytes=output.max_bytes, files=output.files):
                    self._output_starts[name] = 0
                self._complained.discard(name)
            except LogRotationError as error:
                if name not in self._complained:
                    self._complained.add(name)
                    self._owner.log.warning("%s", error)
