"""A network of its own for each host of a test, and this machine, on a switch that can lose what it is to pass on.

Needs root, iproute2 and /dev/net/tun. Devices and namespaces end with the block; processes are ended by whoever
started them.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

_numbers = count()
_SWITCH = Path(__file__).with_name("frame_switch.py")
_TUN = "/dev/net/tun"
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000

HERE = "here"
"""This machine, where the store is."""


class SwitchedNetworks:
    """Namespaces by the name of their host, each with an address that `address` tells."""

    def __init__(self, hosts: Iterable[str], seed: int) -> None:
        self._mark = f"q{os.getpid()}t{next(_numbers)}"
        # Another run of the tests makes its own at the same time.
        self._subnet = f"10.{150 + os.getpid() % 50}.{os.getpid() // 50 % 250}"
        self._ports = {name: port for port, name in enumerate((*hosts, HERE))}
        self._seed = seed
        self._switch: subprocess.Popen[str] | None = None
        self._cut: frozenset[tuple[str, str]] = frozenset()
        self._loss = 0.0

    def address(self, name: str) -> str:
        return f"{self._subnet}.{self._ports[name] + 1}"

    def prefix(self, name: str) -> tuple[str, ...]:
        """Return what runs a command in the network of a host."""
        return () if name == HERE else ("ip", "netns", "exec", self._namespace(name))

    def cut(self, ways: Iterable[tuple[str, str]]) -> None:
        """Lose what goes these ways, each from one to another, in addition to what is lost already."""
        self._cut |= frozenset(ways)
        self._tell()

    def lose(self, probability: float) -> None:
        """Lose frames by chance."""
        self._loss = probability
        self._tell()

    def heal(self) -> None:
        """Lose nothing any more."""
        self._cut, self._loss = frozenset(), 0.0
        self._tell()

    def separate(self, name: str, others: Iterable[str]) -> None:
        """Lose what goes between one and others, both ways."""
        self.cut(way for other in others for way in ((name, other), (other, name)))

    def isolate(self, *names: str) -> None:
        """Pull out the cables of these."""
        for name in names:
            self.separate(name, self._ports)

    def make(self) -> None:
        devices = [self._make(name) for name in self._ports]
        try:
            self._switch = subprocess.Popen(
                [sys.executable, "-S", "-E", _SWITCH, str(self._seed), *map(str, devices)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                pass_fds=devices,
            )
        finally:
            # The devices end with whoever has them last.
            for device in devices:
                os.close(device)
        self._tell()

    def remove(self) -> None:
        if self._switch is not None:
            self._switch.communicate(timeout=30)
        for name in self._ports:
            with suppress(subprocess.CalledProcessError):
                if name != HERE:
                    _ip("netns", "delete", self._namespace(name))

    def _namespace(self, name: str) -> str:
        return f"{self._mark}{name}"

    def _make(self, name: str) -> int:
        device, address = f"{self._mark}{self._ports[name]}", f"{self.address(name)}/24"
        descriptor = os.open(_TUN, os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", device.encode(), _IFF_TAP | _IFF_NO_PI))
        if name == HERE:
            _ip("address", "add", address, "dev", device)
            _ip("link", "set", device, "up")
            return descriptor
        namespace = self._namespace(name)
        _ip("netns", "add", namespace)
        _ip("link", "set", device, "netns", namespace)
        _ip("-n", namespace, "address", "add", address, "dev", device)
        _ip("-n", namespace, "link", "set", device, "up")
        _ip("-n", namespace, "link", "set", "lo", "up")
        return descriptor

    def _tell(self) -> None:
        assert self._switch is not None
        assert self._switch.stdin is not None
        assert self._switch.stdout is not None
        cut = [(self._ports[source], self._ports[target]) for source, target in self._cut]
        self._switch.stdin.write(json.dumps({"cut": cut, "loss": self._loss}) + "\n")
        self._switch.stdin.flush()
        assert self._switch.stdout.readline() == "done\n"


@contextmanager
def switched_networks(*hosts: str, seed: int = 1) -> Iterator[SwitchedNetworks]:
    """Make the networks, and remove them when the block ends."""
    networks = SwitchedNetworks(hosts, seed)
    try:
        networks.make()
        yield networks
    finally:
        networks.remove()


def why_impossible() -> str:
    """Return why this machine cannot make such networks; empty if it can."""
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    if not os.access(_TUN, os.R_OK | os.W_OK):
        return f"there is no {_TUN}"
    try:
        with switched_networks("try"):
            return ""
    except FileNotFoundError:
        return "there is no iproute2"
    except (OSError, subprocess.CalledProcessError) as error:
        return f"network namespaces with TAP devices cannot be made here: {getattr(error, 'stderr', '') or error}"


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=30)
