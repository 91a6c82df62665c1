"""How a benchmark begins and ends: whatever happens, every process and file that it made goes with it."""

from __future__ import annotations

import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

from measure import processes
from measure.follower import DeadlineError
from peers.ours import program

from balancing.children import ChildError

_MEMORY = Path("/dev/shm")  # noqa: S108 - what is made there is private

BROKEN_GOAL, NOTHING_MEASURED, INTERRUPTED = 1, 2, 130


def run(measure: Callable[[Path], int], *, in_memory: bool = False) -> int:
    """Run a benchmark in a directory of its own and return its exit code.

    Args:
        measure: The benchmark.
        in_memory: The directory is on a tmpfs, where there is one: so is a runtime directory where it usually is.
    """
    if not os.access(program(), os.X_OK):
        say("run this with the Python that has quaestor: .venv/bin/python, after `make run`")
        return NOTHING_MEASURED
    processes.become_subreaper()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    place = _MEMORY if in_memory and _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="qbench-", dir=place) as directory:
        try:
            return measure(Path(directory))
        except (ChildError, DeadlineError, OSError) as error:
            say(f"nothing is said of the rest: {error}")
            return NOTHING_MEASURED
        except KeyboardInterrupt:
            return INTERRUPTED
        finally:
            processes.kill_descendants(of=os.getpid())


def conditions() -> str:
    """Return what the figures of this run depend on."""
    machine = (
        f"{platform.system()} {platform.release()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    )
    return f"{time.strftime('%Y-%m-%d %H:%M:%S')}, {machine}, load before {os.getloadavg()[0]:.2f}"


def say(text: str) -> None:
    """Tell people what is going on, apart from the figures."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    # Once is enough: the next must not disturb the ending of everything.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
