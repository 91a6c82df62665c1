"""Members' operating-system processes: start, name, watch, signal, reap. Linux only (pidfd, /proc).

A process is named by pid and start time, so a reused pid is never mistaken for it. The end of a process makes its
pidfd readable; nothing is polled.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from quaestor_actors.adapters import launch_options, proc_stat
from quaestor_actors.adapters.launch_options import Account
from quaestor_actors.adapters.proc_stat import start_ticks
from quaestor_actors.core.process_id import ProcessId
from quaestor_actors.core.spec import AgentSpec
from quaestor_actors.errors import SpawnError

MEMBER_VARIABLE = "QUAESTOR_MEMBER"
"""In every member's environment: who it is, for people and for a supervisor that lost its notes."""

_STDERR = 2
_PAGE_BYTES = os.sysconf("SC_PAGESIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedProcess:
    """A process and the descriptor that becomes readable when it ends."""

    process: ProcessId
    pidfd: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a process ended."""

    reason: str
    """For people."""
    normal: bool
    """It exited with code 0. Also False if that is unknown, as of a process that is not our child."""


def rss_bytes(pid: int) -> int | None:
    """Return the resident memory of a process, as roughly as the kernel counts it; None for a zombie or no process."""
    try:
        resident = int(proc_stat.read(f"/proc/{pid}/statm").split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None
    return resident * _PAGE_BYTES or None


def watch(process: ProcessId) -> WatchedProcess | None:
    """Open a descriptor on a live process; None if it is gone or its pid now belongs to another."""
    try:
        pidfd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    # Only after the open is the pid pinned, so only now does the comparison mean anything.
    if start_ticks(process.pid) != process.start_ticks:
        os.close(pidfd)
        return None
    return WatchedProcess(process=process, pidfd=pidfd)


@functools.lru_cache(maxsize=256)
def _split(arguments: str) -> tuple[str, ...]:
    # Agents start the same line again and again, and splitting is slow next to the rest of a start.
    return tuple(shlex.split(arguments))


def command_line(spec: AgentSpec, port: int | None) -> list[str]:
    """Return the argument vector of a member.

    A `.py` file without the executable bit is run by the Python that runs this project; everything else by the
    system (which honours `#!`).

    Raises:
        SpawnError: there is no executable.
        ValueError: a quote in the arguments is not closed.
    """
    if spec.executable is None:
        raise SpawnError(f"agent {spec.agent_type} has no executable; set executablePath")
    replacements = {"{HostName}": spec.host_name, "{Port}": "" if port is None else str(port)}
    arguments = list(_split(spec.arguments))
    for placeholder, value in replacements.items():
        arguments = [argument.replace(placeholder, value) for argument in arguments]
    interpreted = spec.executable.endswith(".py") and not os.access(spec.executable, os.X_OK)
    return [*([sys.executable] if interpreted else []), spec.executable, *arguments]


def spawn(
    spec: AgentSpec, *, member: str, port: int | None, environment: Mapping[str, str], log_path: Path
) -> WatchedProcess:
    """Start a member in a session of its own, its output appended to a file that survives us.

    It runs as the agent's `user`, with that user's groups and HOME, USER, LOGNAME and SHELL unless the agent's own
    environment has them; in its `working_directory`, with its `umask` and `rlimits`. The cluster's own password at etcd
    is not in its environment. Call it from a process without threads: a member with limits is started through a fork
    that runs Python code.

    Raises:
        SpawnError: the process could not be started; nothing is left behind.
    """
    account = launch_options.account_of(spec)
    full_environment = {
        **launch_options.without_secrets(environment),
        **(account.variables if account else {}),
        **dict(spec.environment),
        MEMBER_VARIABLE: member,
    }
    log = _open_log(spec, log_path)
    try:
        command = command_line(spec, port)
        if _is_plain(spec, account):
            pid = _start_plain(command, full_environment, log)
        else:
            pid = _start_prepared(spec, account, command, full_environment, log)
    except OSError as error:
        raise SpawnError(f"agent {spec.agent_type} cannot start {launch_options.start_fault(spec, error)}") from error
    except subprocess.SubprocessError as error:
        fault = launch_options.preparation_fault(spec)
        raise SpawnError(f"agent {spec.agent_type} cannot start {spec.executable}: {fault}") from error
    except ValueError as error:
        # An unclosed quote, a NUL, or `=` in a variable's name; a specification from Python may have them.
        wrong = f"{error}; check its arguments and environment"
        raise SpawnError(f"agent {spec.agent_type} cannot start {spec.executable}: {wrong}") from error
    finally:
        os.close(log)
    return watch_child(pid)


def _open_log(spec: AgentSpec, path: Path) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except OSError as error:
        raise SpawnError(
            f"agent {spec.agent_type} cannot write the output to {path}: {error.strerror}; "
            "the folder must exist and be writable, the file must be no link, and the disk must have room"
        ) from error


def _is_plain(spec: AgentSpec, account: Account | None) -> bool:
    changes_user = account is not None and not account.is_own
    return not changes_user and spec.working_directory is None and spec.umask is None and not spec.rlimits


def _start_plain(command: list[str], environment: Mapping[str, str], log: int) -> int:
    """Start a process the fast way: a third of the time of `subprocess.Popen` is its own code."""
    _keep_descriptors_private()
    return os.posix_spawn(
        command[0],
        command,
        environment,
        # In this order the log may have any number, also one of the three.
        file_actions=[
            (os.POSIX_SPAWN_DUP2, log, 1),
            (os.POSIX_SPAWN_DUP2, log, 2),
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        ],
        setsid=True,
        # Python ignores them for itself, which programs would inherit.
        setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
    )


@functools.cache
def _keep_descriptors_private() -> None:
    """Let no member inherit what we inherited ourselves; what Python opens is private from the start (PEP 446)."""
    inherited = [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]
    for descriptor in inherited:
        if descriptor <= _STDERR:
            continue
        try:
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - positional only
        except OSError as error:
            # The descriptor that read the folder is among its entries.
            if error.errno != errno.EBADF:
                raise


def _start_prepared(
    spec: AgentSpec, account: Account | None, command: list[str], environment: Mapping[str, str], log: int
) -> int:
    """Start a process with a folder, a umask, a user or limits of its own."""
    prepare = launch_options.in_new_process(spec, account)
    switch = account if account is not None and not account.is_own and prepare is None else None
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
        cwd=spec.working_directory,
        umask=-1 if spec.umask is None else spec.umask,
        user=switch.uid if switch else None,
        group=switch.gid if switch else None,
        extra_groups=switch.groups if switch else None,
        preexec_fn=prepare,  # noqa: PLW1509 - our callers have no threads, and limits can be set in no other way
    )
    # Reaped through the pidfd by `reap`; Popen must not wait for it too.
    child.returncode = 0
    return child.pid


def watch_pid(pid: int) -> WatchedProcess | None:
    """Open a descriptor on a live process that has just told its pid; None if it is gone already."""
    ticks = start_ticks(pid)
    return None if ticks is None else watch(ProcessId(pid=pid, start_ticks=ticks))


def watch_child(pid: int) -> WatchedProcess:
    """Open a descriptor on a child that nobody has reaped yet, dead or alive."""
    pidfd = os.pidfd_open(pid)
    # The /proc entry of an unreaped child exists even when it has ended already.
    _, ticks = proc_stat.stat(pid)
    return WatchedProcess(process=ProcessId(pid=pid, start_ticks=ticks), pidfd=pidfd)


def reap(watched: WatchedProcess) -> Ending:
    """End what is left of an ended member's process group, close its descriptor, and say how it ended."""
    try:
        # While the leader is an unreaped zombie, its pid and with it the group's id cannot belong to anybody else.
        os.waitid(os.P_PIDFD, watched.pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        signal_group(watched, signal.SIGKILL)
        result = os.waitid(os.P_PIDFD, watched.pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        # Adopted from a predecessor: its end was reported to whoever is its parent now. As long as its group has
        # processes the group's id is no new process's pid; so if nobody lives under it, the group is the old one.
        if start_ticks(watched.process.pid) is None:
            signal_group(watched, signal.SIGKILL)
        return Ending(reason="ended (exit status unknown: an earlier supervisor had started it)", normal=False)
    finally:
        forget(watched)
    if result is None:
        return Ending(reason="ended", normal=False)
    if result.si_code == os.CLD_EXITED:
        return Ending(reason=f"exited with code {result.si_status}", normal=result.si_status == 0)
    return Ending(reason=f"killed by {_signal_name(result.si_status)}", normal=False)


def wait(watched: WatchedProcess, *, timeout_s: float) -> bool:
    """Wait for a process to end; return whether it did within the time."""
    ready, _, _ = select.select([watched.pidfd], [], [], timeout_s)
    return bool(ready)


def forget(watched: WatchedProcess) -> None:
    """Close the descriptor without waiting for the process."""
    os.close(watched.pidfd)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def kill(watched: WatchedProcess) -> None:
    """End the process itself, and not its group; nothing happens if it has ended already."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(watched.pidfd, signal.SIGKILL)


def signal_group(watched: WatchedProcess, number: signal.Signals) -> None:
    """Send a signal to the process and to all that it started in its session's process group.

    Only while the process is not reaped: until then its pid, which is also its group's id, cannot be reused.
    """
    try:
        try:
            os.killpg(watched.process.pid, number)
        except PermissionError:
            signal.pidfd_send_signal(watched.pidfd, number)
    except ProcessLookupError:
        # The group is empty: the process ended this moment, its pidfd says so next.
        return


def find_tagged(prefix: str) -> dict[ProcessId, str]:
    """Return every live session leader whose environment names it as a member, by what follows the tag's beginning."""
    return _find(prefix, leaders_only=True)


def _find(prefix: str, *, leaders_only: bool) -> dict[ProcessId, str]:
    start = f"{MEMBER_VARIABLE}={prefix}".encode()
    found = {}
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit():
            continue
        tag = _tag(int(directory.name), start, leaders_only=leaders_only)
        if tag is not None and (ticks := start_ticks(int(directory.name))) is not None:
            found[ProcessId(pid=int(directory.name), start_ticks=ticks)] = tag
    return found


def find_marked(prefix: str) -> dict[ProcessId, str]:
    """Return every live process with such an environment, also those that members have started, by the tag's rest."""
    return _find(prefix, leaders_only=False)


def is_tagged(process: ProcessId, prefix: str) -> bool:
    """Return whether a process is a session leader whose environment names it as a member, by the tag's beginning."""
    return _tag(process.pid, f"{MEMBER_VARIABLE}={prefix}".encode(), leaders_only=True) is not None


def _tag(pid: int, start: bytes, *, leaders_only: bool) -> str | None:
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        counts = not leaders_only or os.getsid(pid) == pid
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        return None
    tags = (variable.removeprefix(start) for variable in variables if variable.startswith(start))
    return next((tag.decode(errors="replace") for tag in tags), None) if counts else None
