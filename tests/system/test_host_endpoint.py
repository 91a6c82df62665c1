"""How a machine takes part in its cluster: alone, or as one of several hosts."""

from __future__ import annotations

import os
import socket
from ipaddress import ip_network
from pathlib import Path

import pytest

from quaestor_actors.core.spec import ClusterSpec, HostSpec
from quaestor_actors.errors import ConflictError, OperationError
from quaestor_actors.system.cookie import COOKIE_VARIABLE
from quaestor_actors.system.host_endpoint import HostEndpoint, endpoint_of
from quaestor_actors.system.transport import LOOPBACK, Interface

HOSTS = (
    HostSpec(name="a1", address="10.0.0.1"),
    HostSpec(name="a2", address="10.0.0.2", admin_port=7000),
    HostSpec(name="a3", address="10.0.0.3"),
)


@pytest.fixture(autouse=True)
def _without_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(COOKIE_VARIABLE, raising=False)


def spec(host: str = "a2", **changes: object) -> ClusterSpec:
    return ClusterSpec(**{"name": "c", "hosts": HOSTS, "host": host, **changes})  # type: ignore[arg-type]  # mixed types


@pytest.mark.parametrize("hosts", [(), HOSTS[:1]])
def test__alone__it_listens_on_loopback_and_makes_its_own_cookie(tmp_path: Path, hosts: tuple[HostSpec, ...]) -> None:
    endpoint = endpoint_of(spec("a1" if hosts else "", hosts=hosts))
    assert endpoint == HostEndpoint(configured_as="a1" if hosts else "")
    assert endpoint.interface == Interface(address=LOOPBACK, networks=())
    cookie = endpoint.cookie(tmp_path)
    assert endpoint.cookie(tmp_path) == cookie
    assert endpoint.port() > 0


def test__one_of_several__listens_for_the_others_alone() -> None:
    endpoint = endpoint_of(spec(allowed_networks=("10.1.0.0/16",)))
    assert endpoint.peers == ("10.0.0.1:7071", "10.0.0.3:7071")
    assert (endpoint.name, endpoint.port(), endpoint.interface.address) == ("a2", 7000, "10.0.0.2")
    expected = ("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.1.0.0/16")
    assert endpoint.interface.networks == tuple(ip_network(text) for text in expected)


def test__none_of_several__is_refused() -> None:
    with pytest.raises(OperationError, match="'b1' is none of the hosts of c"):
        endpoint_of(spec("b1"))


def test__cookie_of_several__is_never_made(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match=f"name its file in cookieFile, or set {COOKIE_VARIABLE}"):
        endpoint_of(spec()).cookie(tmp_path)
    with pytest.raises(OperationError, match="cannot read the cluster's cookie"):
        endpoint_of(spec(cookie_file=str(tmp_path / "cookie"))).cookie(tmp_path)
    assert list(tmp_path.iterdir()) == []


def cookie_file_told(endpoint: HostEndpoint) -> str | None:
    return endpoint.record(1, "x", configuration=None).cookie_file


def test__cookie_of_several__is_that_of_the_file_or_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.touch(mode=0o600)
    file.write_bytes(bytes(range(32)))
    endpoint = endpoint_of(spec(cookie_file=str(file)))
    assert (cookie_file_told(endpoint), endpoint.cookie(tmp_path)) == (str(file), bytes(range(32)))
    monkeypatch.setenv(COOKIE_VARIABLE, "ab" * 32)
    endpoint = endpoint_of(spec(cookie_file=str(file)))
    assert (cookie_file_told(endpoint), endpoint.cookie(tmp_path)) == (None, b"\xab" * 32)
    assert COOKIE_VARIABLE not in os.environ


def test__port__must_be_free_and_the_address_ours() -> None:
    with pytest.raises(OperationError, match="the address of a2, is no address of this machine"):
        endpoint_of(spec()).check_port(0.0)
    with socket.socket() as server:
        server.bind((LOOPBACK, 0))
        server.listen()
        port = server.getsockname()[1]
        endpoint = HostEndpoint(name="a1", interface=Interface(), admin_port=port, peers=("127.0.0.2:1",))
        with pytest.raises(ConflictError, match=f"the port {port} of the actors of a1 is taken by pid {os.getpid()}"):
            endpoint.check_port(0.0)
    endpoint.check_port(0.0)
