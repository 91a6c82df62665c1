"""A request that gRPC's asyncio server does not survive: the worker ends, so that it is started again."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from support.hostile_http2 import request_to
from support.ports import free_port

PROGRAM = Path(__file__).with_name("collecting_worker.py")


def test__path_that_is_no_text__ends_an_asyncio_worker_and_says_why() -> None:
    port = free_port()
    command = [sys.executable, str(PROGRAM), str(port), "1", "aio"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as worker:
        try:
            assert worker.stdout is not None
            assert worker.stdout.readline()
            with socket.create_connection(("localhost", port), timeout=10) as connection:
                connection.sendall(request_to(b"/\xff\xfe"))
                _, said = worker.communicate(timeout=20)
        finally:
            worker.kill()
    assert worker.returncode == 1
    assert "RuntimeError: a request whose path is no text has ended the gRPC server" in said
