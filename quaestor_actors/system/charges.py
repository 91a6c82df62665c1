"""What a guardian does to the processes it has started: find, end, wait for."""

from __future__ import annotations

import contextlib
import signal
import time
from pathlib import Path

from quaestor_actors.adapters import ports, processes
from quaestor_actors.adapters.processes import WatchedProcess
from quaestor_actors.errors import OperationError

EXIT_DEADLINE_S = 2.0


def newest_child(admin: WatchedProcess) -> WatchedProcess:
    """Return the process of the actor that the administrator has just created; its logger is an older child.

    Raises:
        OperationError: it has ended already.
    """
    pid = admin.process.pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except (FileNotFoundError, ProcessLookupError):
        children = []
    found = processes.watch_pid(int(children[-1])) if len(children) > 1 else None
    if found is None:
        raise OperationError("the root actor ended while it was being created")
    return found


def kill_and_wait(watched: WatchedProcess) -> None:
    """End a process that has had its chance to end by itself, and wait until it has."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(watched.pidfd, signal.SIGKILL)
    processes.wait(watched, timeout_s=EXIT_DEADLINE_S)
    processes.forget(watched)


def comes_free(host: str, port: int, patience_s: float) -> bool:
    """Return whether a port is free, or becomes so within the time in which a killed tree's actors end."""
    give_up_at = time.monotonic() + patience_s
    while ports.is_taken(host, port):
        if time.monotonic() >= give_up_at:
            return False
        time.sleep(0.01)
    return True
