"""An actor never outlives its parent: the kernel ends it when the parent's process ends, however it ends."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
ADOPTION_S = 2.0


def die_with_parent() -> None:
    """Have this process killed at its parent's death; end at once if the parent is dead already.

    The setting is not inherited by what this process starts, so members outlive their supervisor. See prctl(2).
    """
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:
        os._exit(1)


def die_with_launcher(launcher: int) -> None:
    """Have the administrator of an actor system killed at its launcher's death.

    It is a grandchild of the launcher at first, and becomes its child when the process between them has ended.
    """
    give_up_at = time.monotonic() + ADOPTION_S
    while os.getppid() != launcher:
        if time.monotonic() > give_up_at:
            os._exit(1)
        time.sleep(0.001)
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != launcher:
        os._exit(1)


def adopt_orphans() -> None:
    """Make this process the parent of whatever its descendants leave behind. See prctl(2)."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"prctl({option}): {os.strerror(error)}")
