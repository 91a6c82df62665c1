"""Network namespaces as machines of their own: each has a cable to this one, which can be pulled out."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Namespace:
    """One of them."""

    name: str
    gateway: str
    """This machine, as seen from there."""

    @property
    def prefix(self) -> list[str]:
        """What a command there begins with."""
        return ["ip", "netns", "exec", self.name]

    def cut(self) -> None:
        """Pull out the cable."""
        _ip("-n", self.name, "link", "set", "cable", "down")

    def heal(self) -> None:
        """Put the cable back."""
        _ip("-n", self.name, "link", "set", "cable", "up")


def why_not() -> str:
    """Return why no namespaces can be made here; empty if they can."""
    if shutil.which("ip") is None:
        return "there is no ip(8)"
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    name = f"quaestor-{os.getpid()}-try"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        return f"no network namespaces here: {made.stderr.strip()}"
    _ip("netns", "delete", name)
    return ""


@contextmanager
def run_namespace(number: int) -> Iterator[Namespace]:
    """Make a namespace, and remove it after the block; what runs there must have ended by then."""
    # Another run of the tests makes its own at the same time.
    subnet = f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}.{4 * number}"
    first, _, last = subnet.rpartition(".")
    gateway, inside = f"{first}.{int(last) + 1}", f"{first}.{int(last) + 2}"
    name, cable = f"quaestor-{os.getpid()}-{number}", f"q{os.getpid()}-{number}"
    _ip("netns", "add", name)
    try:
        _ip("link", "add", cable, "type", "veth", "peer", "name", "cable", "netns", name)
        _ip("address", "add", f"{gateway}/30", "dev", cable)
        _ip("link", "set", cable, "up")
        _ip("-n", name, "address", "add", f"{inside}/30", "dev", "cable")
        _ip("-n", name, "link", "set", "cable", "up")
        _ip("-n", name, "link", "set", "lo", "up")
        yield Namespace(name, gateway)
    finally:
        _ip("netns", "delete", name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, timeout=30)
