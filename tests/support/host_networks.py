"""A network of its own for each host of a test, and a switch between them, out of which a host's cable can be pulled.

Needs root and iproute2. The network namespaces end with the test; processes are ended by whoever started them.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count

_numbers = count()


class HostNetworks:
    """Namespaces with the addresses 10.77.0.1, 10.77.0.2 and so on, on one switch."""

    def __init__(self, hosts: int) -> None:
        mark = f"q{os.getpid()}n{next(_numbers)}"
        self.switch = f"{mark}s"
        self.names = [f"{mark}h{number}" for number in range(1, hosts + 1)]
        self.addresses = [f"10.77.0.{number}" for number in range(1, hosts + 1)]

    def make(self) -> None:
        _ip("netns", "add", self.switch)
        _ip("-n", self.switch, "link", "add", "switch", "type", "bridge")
        _ip("-n", self.switch, "link", "set", "switch", "up")
        for number, (name, address) in enumerate(zip(self.names, self.addresses, strict=True)):
            _ip("netns", "add", name)
            cable = ("link", "add", "eth0", "type", "veth", "peer", "name", f"port{number}", "netns", self.switch)
            _ip("-n", name, *cable)
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", self.switch, "link", "set", f"port{number}", "master", "switch")
            _ip("-n", self.switch, "link", "set", f"port{number}", "up")

    def prefix(self, host: int) -> tuple[str, ...]:
        """Return what runs a command in the network of a host, counted from 0."""
        return ("ip", "netns", "exec", self.names[host])

    def pull(self, host: int) -> None:
        """Pull a host's cable at the switch: what it sends, and what is sent to it, is lost without a word."""
        _ip("-n", self.switch, "link", "set", f"port{host}", "down")

    def plug(self, host: int) -> None:
        """Put it back."""
        _ip("-n", self.switch, "link", "set", f"port{host}", "up")

    def block(self, host: int, other: int) -> None:
        """Keep a host from sending anything to another one, which may still send to it."""
        _ip("-n", self.names[host], "route", "add", "blackhole", f"{self.addresses[other]}/32")

    def unblock(self, host: int, other: int) -> None:
        """Let it send again."""
        _ip("-n", self.names[host], "route", "del", "blackhole", f"{self.addresses[other]}/32")

    def remove(self) -> None:
        for name in (*self.names, self.switch):
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "del", name)


@contextmanager
def host_networks(hosts: int) -> Iterator[HostNetworks]:
    """Make the networks, and remove them when the block ends."""
    networks = HostNetworks(hosts)
    try:
        networks.make()
        yield networks
    finally:
        networks.remove()


def why_impossible() -> str | None:
    """Return why this machine cannot make such networks; None if it can."""
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    try:
        with host_networks(1):
            return None
    except FileNotFoundError:
        return "there is no iproute2"
    except subprocess.CalledProcessError as error:
        return f"network namespaces cannot be made here: {error.stderr.strip()}"


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
