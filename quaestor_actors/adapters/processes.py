"""Members' operating-system processes: start, name, watch, signal, reap. Linux only (pidfd, /proc).

A process is named by pid and start time, so a reused pid is never mistaken for it. The end of a process makes its
pidfd readable; nothing is polled.
"""

from __future__ import annotations

import os
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from quaestor_actors.core.lifecycle import ProcessId
from quaestor_actors.core.spec import AgentSpec
from quaestor_actors.errors import SpawnError

MEMBER_VARIABLE = "QUAESTOR_MEMBER"
"""In every member's environment: who it is, for people and for a supervisor that lost its notes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedProcess:
    """A process and the descriptor that becomes readable when it ends."""

    process: ProcessId
    pidfd: int


def start_ticks(pid: int) -> int | None:
    """Return the start time of a live process in clock ticks since boot; None for a zombie or no process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command name in parentheses may itself hold spaces and parentheses: count fields after the last one.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])


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


def command_line(spec: AgentSpec, port: int | None) -> list[str]:
    """Return the argument vector of a member.

    A `.py` file without the executable bit is run by the Python that runs this project; everything else by the
    system (which honours `#!`).
    """
    if spec.executable is None:
        raise SpawnError(f"the agent {spec.agent_type} has no executable")
    replacements = {"{HostName}": spec.host_name, "{Port}": "" if port is None else str(port)}
    arguments = shlex.split(spec.arguments)
    for placeholder, value in replacements.items():
        arguments = [argument.replace(placeholder, value) for argument in arguments]
    interpreted = spec.executable.endswith(".py") and not os.access(spec.executable, os.X_OK)
    return [*([sys.executable] if interpreted else []), spec.executable, *arguments]


def spawn(
    spec: AgentSpec, *, member: str, port: int | None, environment: Mapping[str, str], log_path: Path
) -> WatchedProcess:
    """Start a member in a session of its own, its output appended to a file that survives us.

    Raises:
        SpawnError: the process could not be started; nothing is left behind.
    """
    full_environment = {**environment, **dict(spec.environment), MEMBER_VARIABLE: member}
    try:
        log = log_path.open("ab", buffering=0)
    except OSError as error:
        raise SpawnError(f"cannot write the output to {log_path}: {error.strerror}") from error
    with log:
        try:
            child = subprocess.Popen(
                command_line(spec, port),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=full_environment,
                start_new_session=True,
            )
        except OSError as error:
            raise SpawnError(f"cannot start {spec.executable}: {error.strerror}") from error
        except ValueError as error:
            # An unclosed quote, a NUL, or `=` in a variable's name; a specification from Python may have them.
            raise SpawnError(f"cannot start {spec.executable}: {error}") from error
    # Reaped through the pidfd by `reap`; Popen must not wait for it too.
    child.returncode = 0
    return watch_child(child.pid)


def watch_pid(pid: int) -> WatchedProcess | None:
    """Open a descriptor on a live process that has just told its pid; None if it is gone already."""
    ticks = start_ticks(pid)
    return None if ticks is None else watch(ProcessId(pid=pid, start_ticks=ticks))


def watch_child(pid: int) -> WatchedProcess:
    """Open a descriptor on a child that nobody has reaped yet, dead or alive."""
    pidfd = os.pidfd_open(pid)
    # The /proc entry of an unreaped child exists even when it has ended already.
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    ticks = int(text.rpartition(")")[2].split()[19])
    return WatchedProcess(process=ProcessId(pid=pid, start_ticks=ticks), pidfd=pidfd)


def reap(watched: WatchedProcess) -> str:
    """End what is left of an ended member's process group, close its descriptor, and say how it ended."""
    try:
        # While the leader is an unreaped zombie, its pid and with it the group's id cannot belong to anybody else.
        os.waitid(os.P_PIDFD, watched.pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        signal_group(watched, signal.SIGKILL)
        result = os.waitid(os.P_PIDFD, watched.pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        # Adopted from a predecessor: its end was reported to whoever is its parent now.
        return "ended (exit status unknown: an earlier supervisor had started it)"
    finally:
        forget(watched)
    if result is None:
        return "ended"
    if result.si_code == os.CLD_EXITED:
        return f"exited with code {result.si_status}"
    return f"killed by {_signal_name(result.si_status)}"


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


def signal_group(watched: WatchedProcess, number: signal.Signals) -> None:
    """Send a signal to the process and to all that it started in its session's process group.

    Only while the process is not reaped: until then its pid, which is also its group's id, cannot be reused.
    """
    try:
        os.killpg(watched.process.pid, number)
    except ProcessLookupError:
        # The group is empty: the process ended this moment, its pidfd says so next.
        return
    except PermissionError:
        signal.pidfd_send_signal(watched.pidfd, number)


def find_tagged(tag: str) -> ProcessId | None:
    """Return the live session leader whose environment names it as this member; for a supervisor in doubt."""
    entry = f"{MEMBER_VARIABLE}={tag}".encode()
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit():
            continue
        pid = int(directory.name)
        try:
            tagged = entry in (directory / "environ").read_bytes().split(b"\0")
            if not tagged or os.getsid(pid) != pid:
                continue
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
        if (ticks := start_ticks(pid)) is not None:
            return ProcessId(pid=pid, start_ticks=ticks)
    return None
