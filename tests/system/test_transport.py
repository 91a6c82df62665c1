"""The hardened transport with real processes and sockets: it works, it is closed to strangers, it leaves nothing."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest
from support.hostile_frames import attack
from support.tiny_actors import AskPids, Echo, FifoReady, Pids, WatchFifo
from support.tiny_system import TinySystem
from support.waiting import wait_until

from quaestor_actors.errors import NotRunningError
from quaestor_actors.system import base, transport
from quaestor_actors.system.connection import Connection


def pids_of(tiny_system: TinySystem, connection: Connection) -> Pids:
    address = connection.address_of(tiny_system.parent_address)
    return connection.ask(address, AskPids(), timeout_s=10, match=lambda m: isinstance(m, Pids))


def echoes(tiny_system: TinySystem, connection: Connection, text: str) -> bool:
    address = connection.address_of(tiny_system.parent_address)
    return connection.ask(address, Echo(text), timeout_s=10, match=lambda m: m == Echo(text)) is not None


def system_processes(tiny_system: TinySystem, connection: Connection) -> list[psutil.Process]:
    admin = psutil.Process(tiny_system.admin_pid)
    pids_of(tiny_system, connection)
    return [admin, *admin.children(recursive=True)]


def test__messages__go_both_ways(tiny_system: TinySystem, connection: Connection) -> None:
    assert all(echoes(tiny_system, connection, str(number)) for number in range(50))


def test__a_large_message__arrives(tiny_system: TinySystem, connection: Connection) -> None:
    assert echoes(tiny_system, connection, "x" * 2_000_000)


def test__a_watched_descriptor__wakes_its_actor(
    tiny_system: TinySystem, connection: Connection, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    address = connection.address_of(tiny_system.parent_address)
    connection.send(address, WatchFifo(str(fifo)))
    fifo.write_bytes(b"news")
    assert connection.receive(10) == FifoReady(b"news")


def test__every_listening_socket__is_on_loopback(tiny_system: TinySystem, connection: Connection) -> None:
    sockets = [
        listening.laddr.ip
        for process in system_processes(tiny_system, connection)
        for listening in process.net_connections("inet")
        if listening.status == psutil.CONN_LISTEN
    ]
    assert len(sockets) == 4
    assert set(sockets) == {"127.0.0.1"}


def test__a_killed_parent__takes_its_child_with_it(tiny_system: TinySystem, connection: Connection) -> None:
    pids = pids_of(tiny_system, connection)
    os.kill(pids.own, signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(pids.child), timeout_s=5, what="the child actor to end")


def test__a_killed_admin__takes_everything_and_frees_its_port(tiny_system: TinySystem, connection: Connection) -> None:
    processes = system_processes(tiny_system, connection)
    os.kill(tiny_system.admin_pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert not alive
    assert not any(
        listening.laddr.port == tiny_system.admin_port
        for listening in psutil.net_connections("tcp4")
        if listening.status == psutil.CONN_LISTEN
    )


def test__another_cookie__cannot_attach(tiny_system: TinySystem) -> None:
    transport.configure(cookie=b"w" * 32)
    with pytest.raises(NotRunningError):
        base.attach(tiny_system.admin_port)


def test__attach_to_nothing__says_so_and_starts_nothing() -> None:
    transport.configure(cookie=b"w" * 32)
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(NotRunningError):
        base.attach(9)
    assert set(psutil.Process().children(recursive=True)) == before


def test__hostile_frames__are_never_unpickled_and_disturb_nobody(
    tiny_system: TinySystem, connection: Connection, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    ports = {
        listening.laddr.port
        for process in system_processes(tiny_system, connection)
        for listening in process.net_connections("inet")
        if listening.status == psutil.CONN_LISTEN
    }
    assert tiny_system.admin_port in ports
    for port in sorted(ports):
        for turn in range(4):
            attack(port, count=50, seed=turn, canary=canary)
            assert echoes(tiny_system, connection, f"{port} {turn}")
    assert not canary.exists()
