"""The launcher under a service manager: what it says on a real notification socket."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

from support.cluster import Cluster
from support.waiting import wait_until


def test__service_manager__is_told_of_the_whole_life(cluster: Cluster) -> None:
    address = str(cluster.directory / "notify")
    said: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(20)
        cluster.environment_extra.update(NOTIFY_SOCKET=address, WATCHDOG_USEC="500000")

        def wait_to_hear(line: str) -> None:
            while line not in said:
                said.extend(manager.recv(4096).decode().splitlines())

        cluster.launch()
        wait_to_hear("READY=1")
        assert "STATUS=2/2 members serving" in said
        wait_to_hear("WATCHDOG=1")
        member = cluster.member("Worker/1")["pid"]
        assert b"NOTIFY_SOCKET" not in Path(f"/proc/{member}/environ").read_bytes()
        root = cluster.actor_pid("root")
        os.kill(root, signal.SIGSTOP)
        manager.settimeout(0.6)
        wait_until(lambda: _is_silent(manager), what="the watchdog not to be fed any more")
        manager.settimeout(20)
        os.kill(root, signal.SIGCONT)
        said.clear()
        wait_to_hear("WATCHDOG=1")
        cluster.launcher.send_signal(signal.SIGHUP)  # type: ignore[union-attr] - launched above
        wait_to_hear("RELOADING=1")
        wait_to_hear("READY=1")
        assert cluster.stop() == 0
        wait_to_hear("STOPPING=1")


def _is_silent(manager: socket.socket) -> bool:
    try:
        manager.recv(4096)
    except TimeoutError:
        return True
    return False
