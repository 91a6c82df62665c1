"""Which ports are free, and who holds those that are not."""

from __future__ import annotations

import os
import socket

import pytest
from support.ports import free_port

from quaestor_actors.adapters import ports


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test__taken_port__of_either_loopback_address__names_its_holder(address: str) -> None:
    port = free_port()
    assert not ports.is_taken("localhost", port)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, port), family=family):
        assert ports.is_taken("localhost", port)
        assert ports.holder_of(port).text.startswith(f"pid {os.getpid()} (")
    assert not ports.is_taken("localhost", port)


def test__free_port__can_be_bound() -> None:
    port = ports.free_port("localhost")
    assert not ports.is_taken("localhost", port)


def test__unknown_host__is_nobody_s_port() -> None:
    assert not ports.is_taken("no such host", 1)
    assert str(ports.holder_of(free_port())) == "a process of another user"
