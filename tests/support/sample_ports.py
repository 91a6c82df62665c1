"""The sample has fixed ports: whoever runs it waits for all others on this machine."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BALANCER_PORT = 5150
WORKER_PORTS = (5161, 5162, 5163, 5164)


@contextmanager
def sample_ports() -> Iterator[None]:
    """Hold the sample's ports until the block ends, against other tests of this and of other runs."""
    with (Path(tempfile.gettempdir()) / f"quaestor-tests-{os.getuid()}-sample-ports.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
