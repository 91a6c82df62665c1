"""A real sample worker for a test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
from support.cluster import WORKER
from support.ports import free_port


@dataclass(frozen=True)
class SampleWorker:
    """A running worker and a channel to it."""

    process: subprocess.Popen[str]
    port: int
    channel: grpc.Channel


@contextmanager
def run_worker(
    *extra: str, service: str = "Worker", port: int | None = None, **environment: str
) -> Iterator[SampleWorker]:
    """Run the sample worker, with more arguments and environment, until the block ends."""
    port = free_port() if port is None else port
    command = [sys.executable, str(WORKER), service, str(port), *extra]
    full = {**os.environ, **environment}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=full) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"{service} serves on ")
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            try:
                yield SampleWorker(process, port, channel)
            finally:
                process.kill()
