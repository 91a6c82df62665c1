"""What tests ask about processes that may end at any moment."""

from __future__ import annotations

import psutil


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process runs; one that waits to be reaped does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
