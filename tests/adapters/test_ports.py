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


def test__same_port_on_two_addresses__has_two_holders() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert ports.holder_of(port, address="127.0.0.1").pid == os.getpid()
        assert ports.holder_of(port, address="127.0.0.2").pid is None
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104 - that is what is tested
        assert ports.holder_of(server.getsockname()[1], address="127.0.0.2").pid == os.getpid()


def test__free_port__can_be_bound() -> None:
    port = ports.free_port("localhost")
    assert not ports.is_taken("localhost", port)


def test__unknown_host__is_nobody_s_port() -> None:
    assert not ports.is_taken("no such host", 1)
    assert str(ports.holder_of(free_port())) == "a process of another user"
