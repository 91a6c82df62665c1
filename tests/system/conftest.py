"""An actor system of tiny actors on the hardened transport, launched in a process of its own, as the real one is."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import pytest
from support.ports import free_port
from support.tiny_actors import Parent
from support.waiting import wait_until

from quaestor_actors.system import base, transport
from quaestor_actors.system.connection import Connection, format_address

COOKIE = b"c" * 32


@dataclass(frozen=True)
class TinySystem:
    """A running actor system with one actor."""

    admin_port: int
    admin_pid: int
    parent_address: str
    directory: Path


def _launch(pipe: Pipe, directory: Path, port: int) -> None:
    transport.configure(cookie=COOKIE, log_path=directory / "system.log", pid_path=directory / "admin.pid")
    system = base.start_system(port)
    address = system.createActor(Parent)
    pipe.send(format_address(address))
    pipe.recv()
    system.shutdown()


@pytest.fixture
def tiny_system(tmp_path: Path) -> Iterator[TinySystem]:
    """Yield a running system; it is shut down, and killed if that did not end it."""
    context = get_context("spawn")
    mine, theirs = context.Pipe()
    port = free_port()
    launcher = context.Process(target=_launch, args=(theirs, tmp_path, port))
    launcher.start()
    try:
        assert mine.poll(20), "the actor system did not start"
        address = mine.recv()
        admin_pid = int((tmp_path / "admin.pid").read_text())
        yield TinySystem(admin_port=port, admin_pid=admin_pid, parent_address=address, directory=tmp_path)
        mine.send("stop")
        launcher.join(15)
        assert launcher.exitcode is not None, "the launcher did not end"
        wait_until(lambda: not Path(f"/proc/{admin_pid}").exists(), timeout_s=10, what="the admin to end")
    finally:
        if launcher.is_alive():
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
