"""Nobody gets in: where a running cluster listens, and what strangers can do there."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

import psutil
from support.cluster import Cluster
from support.discovery import discovery
from support.hostile_frames import attack
from support.waiting import wait_until

FRAMES_PER_PORT = 1000


def listening(cluster: Cluster) -> set[tuple[str, int]]:
    """Return where the launcher, the actors and the members listen."""
    return {
        (each.laddr.ip.removeprefix("::ffff:"), each.laddr.port)
        for process in cluster.processes()
        for each in process.net_connections("inet")
        if each.status == psutil.CONN_LISTEN
    }


def test__every_port__is_on_loopback(running: Cluster) -> None:
    addresses = {address for address, _ in listening(running)}
    assert addresses <= {"127.0.0.1", "::1"}


def test__every_file__is_private(running: Cluster) -> None:
    for folder in (running.directory / "run", running.directory / "log" / running.name):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    cookie = running.directory / "run" / running.name / "cookie"
    assert stat.S_IMODE(cookie.stat().st_mode) == 0o600
    assert len(cookie.read_bytes()) == 32


def test__the_cookie__is_in_no_argument_and_no_member(cluster: Cluster) -> None:
    secret = "5a" * 32
    cluster.environment_extra["QUAESTOR_COOKIE"] = secret
    cluster.launch()
    for process in cluster.processes():
        assert secret not in " ".join(process.cmdline())
    members = [psutil.Process(member["pid"]) for member in cluster.status()["members"]]
    assert all("QUAESTOR_COOKIE" not in member.environ() for member in members)
    assert secret not in cluster.output


def test__thousand_hostile_frames_on_every_port__change_nothing(running: Cluster) -> None:
    before = running.status()
    with tempfile.TemporaryDirectory() as folder, discovery(running.balancer_port) as client:
        wait_until(lambda: len(client.all()) == 2, what="both locations")
        canary = Path(folder) / "canary"
        ports = sorted(port for _, port in listening(running))
        assert len(ports) >= 10
        for seed, port in enumerate(ports):
            attack(port, count=FRAMES_PER_PORT, seed=seed, canary=canary)
            assert client.all() == sorted(running.worker_ports)
        assert not canary.exists()
    after = running.status()
    assert after["actors"] == [
        {**actor, "for_s": now["for_s"]} for actor, now in zip(before["actors"], after["actors"], strict=True)
    ]
    assert [member["pid"] for member in after["members"]] == [member["pid"] for member in before["members"]]
    assert running.stop() == 0
