"""The warden: a small process that ends what floats on a host when nobody else is left to do it.

The coordinator ends it itself, if it can. But a tree may be killed whole, or hang, while members live on and others
are about to run the same copies. So this process belongs to no tree and talks to nobody: it reads when the host's term
ends, sleeps until then less the margin, looks again, and if the term has not been renewed it ends whatever floats here.
"""

from __future__ import annotations

import fcntl
import logging
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from quaestor_actors.adapters import processes
from quaestor_actors.adapters.boot_clock import boot_clock
from quaestor_actors.adapters.floating_processes import FloatingProcesses
from quaestor_actors.adapters.launch_options import without_secrets
from quaestor_actors.adapters.proc_stat import start_ticks
from quaestor_actors.adapters.processes import WatchedProcess
from quaestor_actors.adapters.term_file import RememberedTerm, TermFile
from quaestor_actors.adapters.timer import Timer
from quaestor_actors.core.process_id import ProcessId

LOCK_NAME = "warden.lock"

LOOK_S = 0.25
"""While a term is over it is looked this often for what may have been started by somebody who did not know it yet."""

PATIENCE_S = 30.0
"""So long after the last that was found it is looked; who starts what floats reads the same file just before."""


def start(directory: Path) -> WatchedProcess:
    """Return the warden of a directory: the one that there is, or a new one, which outlives this process.

    One that finds another at work ends at once.
    """
    if (found := _at_work(directory)) is not None:
        return found
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "quaestor_actors.adapters.warden", str(directory)],
        stdin=subprocess.DEVNULL,
        env=without_secrets(os.environ),
        start_new_session=True,
    )
    # It is reaped through its pidfd.
    child.returncode = 0
    return processes.watch_child(child.pid)


def _at_work(directory: Path) -> WatchedProcess | None:
    try:
        pid, ticks = (directory / LOCK_NAME).read_text(encoding="ascii").split()
        return processes.watch(ProcessId(pid=int(pid), start_ticks=int(ticks)))
    except (FileNotFoundError, ValueError):
        return None


def main() -> None:
    """Watch over the directory that the first argument names."""
    logging.basicConfig(format="%(asctime)s %(levelname)s warden: %(message)s", level=logging.INFO)
    directory = Path(sys.argv[1])
    # Whoever is signalled with the launcher's terminal or session has nothing to do with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with (directory / LOCK_NAME).open("a+", encoding="ascii") as lock:
        if _is_taken(lock):
            return
        watch_over(directory)


def _is_taken(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    lock.truncate(0)
    lock.write(f"{os.getpid()} {start_ticks(os.getpid())}\n")
    lock.flush()
    return False


def watch_over(directory: Path) -> None:
    """Return when nothing floats here any more."""
    file, floating = TermFile(directory), FloatingProcesses(directory)
    timer = Timer(clock=time.CLOCK_BOOTTIME)
    found_at = boot_clock()
    while (remembered := file.load()) is not None and remembered.agents:
        now = boot_clock()
        if now < remembered.stops_at:
            found_at = remembered.stops_at
            timer.set(remembered.stops_at)
        else:
            if _end_all(floating, remembered):
                found_at = now
            if now >= found_at + PATIENCE_S:
                break
            timer.set(boot_clock() + LOOK_S)
        select.select([timer.fd], [], [])
        timer.clear()


def _end_all(floating: FloatingProcesses, remembered: RememberedTerm) -> bool:
    ended = floating.end(remembered.agents, lambda _: True)
    for process, slot in ended.items():
        logging.getLogger().warning(
            "%s/%d (pid %d) is ended: the host's lease was not kept alive, and others may run it",
            slot.agent,
            slot.number,
            process.pid,
        )
    return bool(ended)


if __name__ == "__main__":
    main()
