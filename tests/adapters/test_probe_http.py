"""The health check by HTTP against real servers: good, bad, hung, hostile and encrypted ones."""

from __future__ import annotations

import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from support.certificates import Authority
from support.plain_servers import CLOSE, OFTEN_S, PATIENT_S, AnswerServer, HttpProcess, Probing, http, http_answer
from support.waiting import wait_until

from quaestor_actors.core.member import Health


@pytest.fixture
def probing() -> Iterator[Probing]:
    with closing(Probing()) as started:
        yield started


@pytest.fixture
def file_server(tmp_path: Path) -> Iterator[HttpProcess]:
    with HttpProcess(tmp_path) as server:
        yield server


@pytest.mark.parametrize("status", [200, 204, 302, 399])
def test__http__good_status__serves(probing: Probing, status: int) -> None:
    with AnswerServer(http_answer(status, "Location: /elsewhere")) as server:
        probing.add(http(server.port, "/healthz"))
        assert probing.expect(Health.SERVING) == f"GET /healthz is answered with status {status}"
        assert len(server.requests) == 1


@pytest.mark.parametrize("status", [199, 400, 404, 503])
def test__http__other_status__is_not_serving(probing: Probing, status: int) -> None:
    with AnswerServer(http_answer(status)) as server:
        probing.add(http(server.port))
        assert probing.expect(Health.NOT_SERVING) == f"GET / is answered with status {status}"


def test__http__changes__each_is_reported_once(probing: Probing) -> None:
    with AnswerServer(http_answer(200)) as server:
        probing.add(http(server.port, interval_s=OFTEN_S))
        probing.expect(Health.SERVING)
        server.answer = http_answer(503)
        probing.expect(Health.NOT_SERVING)
        asked = len(server.requests)
        wait_until(lambda: len(server.requests) > asked + 3, 10, "more questions")
        server.answer = http_answer(200)
        wait_until(lambda: len(probing.heard.items) == 3, 10, "the third report")
        probing.close_probes()
        expected = [Health.SERVING, Health.NOT_SERVING, Health.SERVING]
        assert [report.health for report in probing.heard.items] == expected


def test__http__request__is_well_formed_whatever_the_path(probing: Probing) -> None:
    with AnswerServer(http_answer(200)) as server:
        probing.add(http(server.port, "/a b/\r\nEvil: ä?deep=1&x=%20"))
        probing.expect(Health.SERVING)
        request = server.requests[0].decode("ascii").split("\r\n")
        assert request[0] == "GET /a%20b/%0D%0AEvil:%20%C3%A4?deep=1&x=%20 HTTP/1.1"
        assert f"Host: localhost:{server.port}" in request
        assert "Connection: close" in request
        assert not any(line.startswith("Evil") for line in request)


def test__http__hung_process__is_a_timeout_until_it_goes_on(probing: Probing, file_server: HttpProcess) -> None:
    probing.add(http(file_server.port, interval_s=OFTEN_S, timeout_s=1.0))
    probing.expect(Health.SERVING)
    file_server.send(signal.SIGSTOP)
    assert probing.expect(Health.TIMEOUT) == "no answer within 1 s"
    file_server.send(signal.SIGCONT)
    probing.expect(Health.SERVING)


def test__http__killed_process__is_unreachable(probing: Probing, file_server: HttpProcess) -> None:
    probing.add(http(file_server.port, interval_s=OFTEN_S))
    probing.expect(Health.SERVING)
    file_server.kill()
    # A check that was under way may find the connection reset before the next one is refused.
    wait_until(lambda: probing.expect(Health.UNREACHABLE).endswith("Connection refused"), 10, "the refusal")


def test__http__server_is_not_cut_off_after_the_status(probing: Probing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quaestor_actors.adapters.probe_http.FAREWELL_S", PATIENT_S)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        probing.add(http(listener.getsockname()[1]))
        client, _ = listener.accept()
        with client:
            client.recv(4096)
            client.sendall(b"HTTP/1.1 200 OK\r\n")
            client.settimeout(0.2)
            with pytest.raises(TimeoutError):
                client.recv(1)
            client.sendall(b"\r\nthe rest")
        probing.expect(Health.SERVING)


def test__http__server_keeps_the_connection__the_deadline_ends_with_the_status(
    probing: Probing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quaestor_actors.adapters.probe_http.FAREWELL_S", 1.5)
    with AnswerServer(http_answer(200), stays_open=True) as server:
        probing.add(http(server.port, timeout_s=1.0))
        probing.expect(Health.SERVING)
        assert len(probing.heard.items) == 1


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", 'the answer is not HTTP: "SSH-2.0-OpenSSH_9.2"'),
        (b"HTTP/1.1 20\r\n\r\n", 'the answer is not HTTP: "HTTP/1.1 20"'),
        (b"HTTP/1.1 200", 'the answer is not HTTP: "HTTP/1.1 200"'),
        (b"\x1b[2Jboo\n", 'the answer is not HTTP: " [2Jboo"'),
    ],
)
def test__http__answer_is_something_else__is_not_serving(probing: Probing, answer: bytes, detail: str) -> None:
    with AnswerServer(answer) as server:
        probing.add(http(server.port))
        assert probing.expect(Health.NOT_SERVING) == detail


def test__http__answer_without_end_of_line__is_cut(probing: Probing) -> None:
    with AnswerServer(b"x" * 1_000_000) as server:
        probing.add(http(server.port))
        assert probing.expect(Health.NOT_SERVING).startswith('the answer is not HTTP: "xxx')


def test__http__closed_without_an_answer__is_unreachable(probing: Probing) -> None:
    with AnswerServer(CLOSE) as server:
        probing.add(http(server.port))
        detail = f"localhost:{server.port} closed the connection without an answer"
        assert probing.expect(Health.UNREACHABLE) == detail


def server_context(files: tuple[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


class StrictAuthority(Authority):
    """Issues what RFC 5280 wants to see; Python insists on it from 3.13 on (`ssl.VERIFY_X509_STRICT`)."""

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        builder = (
            super()
            ._builder(name, key)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if name != self._name:
            return builder
        usage = dict.fromkeys(
            (
                "digital_signature",
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        return builder.add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)


def test__https__trusted_certificate__serves(probing: Probing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = StrictAuthority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", authority.root_file)
    with AnswerServer(http_answer(200), tls=server_context(authority.issue("localhost"))) as server:
        probing.add(http(server.port, use_tls=True))
        probing.expect(Health.SERVING)


def test__https__certificate_of_nobody_s__is_unreachable_with_that_reason(probing: Probing, tmp_path: Path) -> None:
    authority = StrictAuthority(tmp_path)
    with AnswerServer(http_answer(200), tls=server_context(authority.issue("localhost"))) as server:
        probing.add(http(server.port, use_tls=True))
        assert "the certificate is not accepted: " in probing.expect(Health.UNREACHABLE)
        assert server.requests == []


def test__https__plain_server__is_unreachable_with_that_reason(probing: Probing) -> None:
    with AnswerServer(http_answer(400), awaits_request=False) as server:
        probing.add(http(server.port, use_tls=True))
        detail = f"no connection to localhost:{server.port}: TLS failed: "
        assert probing.expect(Health.UNREACHABLE).startswith(detail)
