"""A running actor system of tiny actors on the hardened transport, and a connection to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ports import free_port
from support.tiny_system import COOKIE, TinySystem
from support.waiting import wait_until

from quaestor_actors.system import base, transport
from quaestor_actors.system.connection import Connection

TESTS = Path(__file__).parents[1]


@pytest.fixture
def tiny_system(tmp_path: Path) -> Iterator[TinySystem]:
    """Yield a running system; afterwards it must be gone."""
    port = free_port()
    command = [sys.executable, "-m", "support.tiny_system", str(tmp_path), str(port)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as launcher:
        assert launcher.stdin is not None
        assert launcher.stdout is not None
        address = launcher.stdout.readline().strip()
        assert address, "the actor system did not start"
        admin_pid = int((tmp_path / "admin.pid").read_text().split()[0])
        try:
            yield TinySystem(admin_port=port, admin_pid=admin_pid, parent_address=address, directory=tmp_path)
            launcher.stdin.close()
            launcher.wait(30)
            wait_until(lambda: not Path(f"/proc/{admin_pid}").exists(), timeout_s=10, what="the admin to end")
        finally:
            launcher.kill()
            if Path(f"/proc/{admin_pid}").exists():
                os.kill(admin_pid, signal.SIGKILL)


@pytest.fixture
def connection(tiny_system: TinySystem) -> Iterator[Connection]:
    """Yield a connection to the tiny system."""
    transport.configure(cookie=COOKIE)
    attached = Connection(base.attach(tiny_system.admin_port))
    yield attached
    attached.close()
