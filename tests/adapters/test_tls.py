"""TLS with real gRPC servers and clients: renewal while running, mutual TLS, whom to trust, and what is refused."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.certificates import Authority, private_pem
from support.grpc_servers import SERVING, TinyServer
from support.waiting import wait_until

from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.tls import (
    LOOK_INTERVAL_S,
    ServerCertificate,
    channel_credentials,
    client_context,
    server_certificate,
)
from quaestor_actors.core.spec import BalancerSpec
from quaestor_actors.errors import ConfigError, OperationError

DEADLINE_S = 10.0


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class AioServer:
    """A server of `grpc.aio` that says SERVING, on a thread of its own."""

    def __init__(self, certificate: ServerCertificate, ports: int) -> None:
        self._crashes: list[BaseException] = []
        self._loop = LoopThread(name="test", on_crash=self._crashes.append)
        self._loop.start()
        self.ports = self._loop.call(self._start(certificate, ports)).result(DEADLINE_S)

    def stop(self) -> None:
        self._loop.call(self._stop()).result(DEADLINE_S)
        self._loop.stop()
        assert self._crashes == []

    async def _stop(self) -> None:
        await self._server.stop(None)
        # The last one closes what the loop is reading from: not to be done on another thread.
        del self._server

    async def _start(self, certificate: ServerCertificate, ports: int) -> tuple[int, ...]:
        self._server = grpc.aio.server()
        health_pb2_grpc.add_HealthServicer_to_server(_Serving(), self._server)
        bound = tuple(self._server.add_secure_port("127.0.0.1:0", certificate.port_credentials()) for _ in range(ports))
        await self._server.start()
        return bound


class _Serving(health_pb2_grpc.HealthServicer):  # type: ignore[misc] # grpc_health has no types
    async def Check(self, _request: Any, _context: Any) -> Any:
        await asyncio.sleep(0)
        return health_pb2.HealthCheckResponse(status=SERVING)


class Side:
    """Ends what a test has started, connections included."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def listen(self, certificate: ServerCertificate | None, *, kind: str = "aio", ports: int = 1) -> Any:
        assert certificate is not None
        if kind == "aio":
            server = AioServer(certificate, ports)
            self._stack.callback(server.stop)
            return server.ports if ports > 1 else server.ports[0]
        return self._stack.enter_context(TinyServer(credentials=certificate.port_credentials())).port

    def connect(self, port: int, credentials: grpc.ChannelCredentials) -> Callable[[], int]:
        """Return a function that asks over one connection, and raises RpcError if it is refused."""
        options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0))
        channel = self._stack.enter_context(grpc.secure_channel(f"localhost:{port}", credentials, options))
        stub = health_pb2_grpc.HealthStub(channel)
        return lambda: int(stub.Check(health_pb2.HealthCheckRequest(), timeout=DEADLINE_S).status)

    def accepts(self, port: int, **files: Any) -> bool:
        """Return whether a new connection with these files comes about."""
        try:
            return self.connect(port, channel_credentials(**files))() == int(SERVING)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return False


@pytest.fixture
def side() -> Iterator[Side]:
    with ExitStack() as stack:
        yield Side(stack)


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    (tmp_path / "ours").mkdir()
    return Authority(tmp_path / "ours", is_strict=True)


@pytest.fixture
def theirs(tmp_path: Path) -> Authority:
    (tmp_path / "theirs").mkdir()
    return Authority(tmp_path / "theirs", is_strict=True)


def spec_of(files: tuple[str, str], *, mutual: bool = False) -> BalancerSpec:
    return BalancerSpec(certificate=files[0], private_key_file=files[1], enforce_mutual_tls=mutual)


def replace(files: tuple[str, str], by: tuple[str, str]) -> None:
    """Put other files in the place of these, as a renewal does it."""
    for old, new in zip(files, by, strict=True):
        Path(new).replace(old)


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


@pytest.mark.parametrize("kind", ["aio", "sync"])
def test__renewal__new_connections_get_it_and_old_ones_go_on(
    side: Side, ours: Authority, theirs: Authority, kind: str
) -> None:
    files = ours.issue("localhost")
    port = side.listen(server_certificate(spec_of(files)), kind=kind)
    before = side.connect(port, channel_credentials(ca_certificate_file=ours.root_file))
    assert before() == SERVING
    replace(files, theirs.issue("localhost"))
    wait_until(lambda: side.accepts(port, ca_certificate_file=theirs.root_file), DEADLINE_S, "the new certificate")
    assert not side.accepts(port, ca_certificate_file=ours.root_file)
    # Whom it trusts could not connect anew.
    assert before() == SERVING


def test__renewal__reaches_every_port_of_a_server(side: Side, ours: Authority, theirs: Authority) -> None:
    files, clock = ours.issue("localhost"), Clock()
    ports = side.listen(server_certificate(spec_of(files), clock=clock), ports=3)
    assert all(side.accepts(port, ca_certificate_file=ours.root_file) for port in ports)
    replace(files, theirs.issue("localhost"))
    clock.now += LOOK_INTERVAL_S
    assert all(side.accepts(port, ca_certificate_file=theirs.root_file) for port in ports)


def test__renewal__is_looked_for_once_a_second(
    side: Side, ours: Authority, theirs: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    files, clock = ours.issue("localhost"), Clock()
    port = side.listen(server_certificate(spec_of(files), clock=clock))
    replace(files, theirs.issue("localhost"))
    clock.now += LOOK_INTERVAL_S * 0.9
    assert side.accepts(port, ca_certificate_file=ours.root_file)
    clock.now += LOOK_INTERVAL_S * 0.1
    assert side.accepts(port, ca_certificate_file=theirs.root_file)
    assert lines(caplog, logging.INFO) == [f"new connections get the new certificate in {files[0]}"]


def test__renewal__unusable_pair__is_logged_once_and_the_old_one_stays(
    side: Side, ours: Authority, theirs: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    files, clock = ours.issue("localhost"), Clock()
    port = side.listen(server_certificate(spec_of(files), clock=clock))
    certificate, key = theirs.issue("localhost")
    secret = Path(files[1]).read_text()
    Path(certificate).replace(files[0])
    for _ in range(3):
        clock.now += LOOK_INTERVAL_S
        assert side.accepts(port, ca_certificate_file=ours.root_file)
    reason = f"{files[1]} is unusable: it is not the key of {files[0]} (KEY_VALUES_MISMATCH)"
    assert lines(caplog, logging.ERROR) == [f"the certificate before stays in use: {reason}"]
    assert not any(line in caplog.text for line in secret.splitlines() if not line.startswith("-"))
    Path(key).replace(files[1])
    clock.now += LOOK_INTERVAL_S
    assert side.accepts(port, ca_certificate_file=theirs.root_file)


def test__renewal__files_gone__is_logged_once_and_the_old_one_stays(
    side: Side, ours: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    files, clock = ours.issue("localhost"), Clock()
    port = side.listen(server_certificate(spec_of(files), clock=clock))
    for file in files:
        Path(file).unlink()
    for _ in range(2):
        clock.now += LOOK_INTERVAL_S
        assert side.accepts(port, ca_certificate_file=ours.root_file)
    reason = f"{files[0]} cannot be read: No such file or directory"
    assert lines(caplog, logging.ERROR) == [f"the certificate before stays in use: {reason}"]


@pytest.mark.parametrize("kind", ["aio", "sync"])
def test__mutual_tls__lets_in_whom_the_authority_knows(
    side: Side, ours: Authority, theirs: Authority, kind: str
) -> None:
    spec = spec_of(ours.issue("localhost"), mutual=True)
    port = side.listen(server_certificate(spec, ca_certificate_file=ours.root_file), kind=kind)
    certificate, key = ours.issue("client")
    known: dict[str, Any] = {"ca_certificate_file": ours.root_file}
    assert side.accepts(port, **known, client_certificate=certificate, client_private_key_file=key)
    assert side.accepts(port, **known, client_certificate=ours.combine((certificate, key)))
    assert not side.accepts(port, **known)
    assert not side.accepts(port, **known, client_certificate=theirs.combine(theirs.issue("client")))


def test__mutual_tls__expired_client__is_refused(side: Side, ours: Authority, caplog: pytest.LogCaptureFixture) -> None:
    spec = spec_of(ours.issue("localhost"), mutual=True)
    port = side.listen(server_certificate(spec, ca_certificate_file=ours.root_file))
    expired = ours.combine(ours.issue("client", valid_for=-timedelta(minutes=5)))
    for _ in range(2):
        assert not side.accepts(port, ca_certificate_file=ours.root_file, client_certificate=expired)
    # Once, and not at every attempt.
    (warning,) = lines(caplog, logging.WARNING)
    assert warning.startswith(f"{expired} expired at 2")


def test__mutual_tls__authorities_of_the_clients__may_be_replaced(
    side: Side, ours: Authority, theirs: Authority, tmp_path: Path
) -> None:
    clients = tmp_path / "clients.pem"
    clients.write_bytes(ours.root_pem)
    clock = Clock()
    spec = spec_of(ours.issue("localhost"), mutual=True)
    port = side.listen(server_certificate(spec, ca_certificate_file=str(clients), clock=clock))
    one, other = ours.combine(ours.issue("client")), theirs.combine(theirs.issue("client"))
    assert side.accepts(port, ca_certificate_file=ours.root_file, client_certificate=one)
    clients.write_bytes(theirs.root_pem + ours.root_pem)
    clock.now += LOOK_INTERVAL_S
    assert side.accepts(port, ca_certificate_file=ours.root_file, client_certificate=other)
    clients.write_bytes(theirs.root_pem)
    clock.now += LOOK_INTERVAL_S
    assert not side.accepts(port, ca_certificate_file=ours.root_file, client_certificate=one)


def test__client__wrong_authority__is_refused(side: Side, ours: Authority, theirs: Authority) -> None:
    port = side.listen(server_certificate(spec_of(ours.issue("localhost"))))
    assert side.accepts(port, ca_certificate_file=ours.root_file)
    assert not side.accepts(port, ca_certificate_file=theirs.root_file)


def test__client__wrong_host_name__is_refused(side: Side, ours: Authority) -> None:
    port = side.listen(server_certificate(spec_of(ours.issue("elsewhere"))))
    assert not side.accepts(port, ca_certificate_file=ours.root_file)


def test__client__without_an_authority__trusts_the_system_s_roots(
    side: Side, ours: Authority, theirs: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = side.listen(server_certificate(spec_of(ours.issue("localhost"))))
    monkeypatch.setenv("SSL_CERT_FILE", ours.root_file)
    assert side.accepts(port)
    monkeypatch.setenv("SSL_CERT_FILE", theirs.root_file)
    assert not side.accepts(port)
    assert side.accepts(port, ca_certificate_file=ours.root_file)


def test__client__takes_new_files_for_the_next_connection(side: Side, ours: Authority, theirs: Authority) -> None:
    spec = spec_of(ours.issue("localhost"), mutual=True)
    port = side.listen(server_certificate(spec, ca_certificate_file=ours.root_file))
    files = theirs.issue("client")
    named: dict[str, Any] = {
        "ca_certificate_file": ours.root_file,
        "client_certificate": files[0],
        "client_private_key_file": files[1],
    }
    before = channel_credentials(**named)
    assert channel_credentials(**named) is before
    assert not side.accepts(port, **named)
    replace(files, ours.issue("client"))
    assert channel_credentials(**named) is not before
    assert side.accepts(port, **named)


def test__https_client__presents_its_certificate(side: Side, ours: Authority, theirs: Authority) -> None:
    spec = spec_of(ours.issue("localhost"), mutual=True)
    port = side.listen(server_certificate(spec, ca_certificate_file=ours.root_file))

    def greeting(**files: Any) -> bytes:
        context = client_context(**files)
        context.set_alpn_protocols(["h2"])
        with (
            socket.create_connection(("127.0.0.1", port), DEADLINE_S) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            return secure.recv(1)

    known = {"ca_certificate_file": ours.root_file, "client_certificate": ours.combine(ours.issue("client"))}
    assert greeting(**known)
    assert client_context(**known) is client_context(**known)
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        greeting(ca_certificate_file=theirs.root_file)


def wrong_files(ours: Authority, folder: Path) -> list[tuple[tuple[str, str], str]]:
    """Return pairs of files that cannot be used, and the complaint about each."""
    certificate, key = ours.issue("localhost")
    rubbish = folder / "rubbish.pem"
    rubbish.write_bytes(b"\xff no certificate\n")
    locked = folder / "locked.key"
    secret: Any = load_pem_private_key(Path(key).read_bytes(), password=None)
    locked.write_bytes(private_pem(secret, password=b"open sesame"))
    missing = str(folder / "missing.pem")
    return [
        ((missing, key), f"{missing}.*cannot be read: No such file"),
        ((certificate, missing), f"{missing}.*cannot be read: No such file"),
        ((str(folder), key), "cannot be read: Is a directory"),
        ((str(rubbish), key), f"{rubbish}.*not a certificate chain in PEM form"),
        ((key, key), f"{key}.*not a certificate chain in PEM form"),
        ((certificate, str(rubbish)), f"{rubbish}.*no private key in PEM form without a password"),
        ((certificate, certificate), f"{certificate}.*no private key in PEM form without a password"),
        ((certificate, str(locked)), f"{locked}.*no private key in PEM form without a password"),
        ((certificate, ours.issue("other")[1]), "is not the key of"),
        (ours.issue("localhost", key=ed25519.Ed25519PrivateKey.generate()), "P-256 and P-384"),
        (ours.issue("localhost", key=ec.generate_private_key(ec.SECP521R1())), "P-256 and P-384"),
    ]


def test__unusable_files__are_an_error_that_says_which_and_why(ours: Authority, tmp_path: Path) -> None:
    for (certificate, key), complaint in wrong_files(ours, tmp_path):
        with pytest.raises(ConfigError, match=complaint):
            server_certificate(spec_of((certificate, key)))
        for make in (channel_credentials, client_context):
            with pytest.raises(OperationError, match=complaint):
                make(ca_certificate_file=ours.root_file, client_certificate=certificate, client_private_key_file=key)


def test__unusable_authorities__are_an_error_and_nobody_else_is_trusted(
    ours: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("nobody\n")
    missing = str(tmp_path / "missing.pem")
    spec = spec_of(ours.issue("localhost"), mutual=True)
    for file, complaint in ((missing, "No such file"), (str(rubbish), "holds no certificates in PEM form")):
        with pytest.raises(ConfigError, match=f"caCertificateFile: .*{complaint}"):
            server_certificate(spec, ca_certificate_file=file)
        with pytest.raises(OperationError, match=complaint):
            channel_credentials(ca_certificate_file=file)
        with pytest.raises(OperationError, match=complaint):
            client_context(ca_certificate_file=file)
    monkeypatch.setenv("SSL_CERT_FILE", missing)
    for make in (channel_credentials, client_context, lambda: server_certificate(spec)):
        with pytest.raises(OperationError, match=f"SSL_CERT_FILE names {missing}"):
            make()


def test__key_without_certificate__is_an_error(ours: Authority) -> None:
    _, key = ours.issue("client")
    with pytest.raises(OperationError, match="without a client certificate"):
        channel_credentials(ca_certificate_file=ours.root_file, client_private_key_file=key)


@pytest.mark.parametrize(
    "key",
    [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())],
    ids=["rsa", "p384"],
)
def test__other_kinds_of_keys__work(
    side: Side, ours: Authority, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
) -> None:
    port = side.listen(server_certificate(spec_of(ours.issue("localhost", key=key))))
    assert side.accepts(port, ca_certificate_file=ours.root_file)


def test__expired_certificate__is_served_with_a_warning(ours: Authority, caplog: pytest.LogCaptureFixture) -> None:
    files = ours.issue("localhost", valid_for=-timedelta(minutes=5))
    assert server_certificate(spec_of(files)) is not None
    (warning,) = lines(caplog, logging.WARNING)
    assert warning.startswith(f"{files[0]} expired at 2")


def test__authorities_of_a_real_system__are_read(tmp_path: Path, ours: Authority) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes("# Müller & Söhne\n".encode() + ours.root_pem + b"\n# the same\n" + ours.root_pem)
    assert channel_credentials(ca_certificate_file=str(bundle)) is not None
    assert channel_credentials() is not None
