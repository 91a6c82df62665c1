"""Workers that speak TLS and ask for a certificate: watched, asked for their load, and told apart from others."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from support.certificates import Authority
from support.grpc_servers import TinyServer, load_response, registration
from support.plain_servers import AnswerServer, Probing, http, http_answer
from support.running_balancer import RunningBalancer

from quaestor_actors.adapters.tls import server_certificate
from quaestor_actors.core.location import ClientTls, Registration
from quaestor_actors.core.member import Health
from quaestor_actors.core.spec import BalancerSpec


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path, is_strict=True)


@pytest.fixture
def worker(ours: Authority) -> Iterator[TinyServer]:
    certificate, key = ours.issue("localhost")
    spec = BalancerSpec(certificate=certificate, private_key_file=key, enforce_mutual_tls=True)
    presented = server_certificate(spec, ca_certificate_file=ours.root_file)
    assert presented is not None
    with TinyServer(credentials=presented.port_credentials(), report_load=load_response) as server:
        yield server


def offered_by(worker: TinyServer, **tls: str) -> Registration:
    return replace(registration(worker.port, use_tls=True), tls=ClientTls(**tls))


def test__balancer__worker_that_asks_for_a_certificate__is_offered(worker: TinyServer, ours: Authority) -> None:
    both = ours.combine(ours.issue("client"))
    with closing(RunningBalancer(ca_certificate_file=ours.root_file)) as running:
        running.register(nameless := offered_by(worker))
        running.expect_withheld(nameless)
        running.register(named := offered_by(worker, client_certificate=both))
        running.expect_offered(named)
        assert running.all() == [worker.port]


def test__balancer__file_that_is_gone__withholds_with_that_reason_until_it_is_back(
    worker: TinyServer, ours: Authority, tmp_path: Path
) -> None:
    both, away = Path(ours.combine(ours.issue("client"))), tmp_path / "away.pem"
    both.rename(away)
    one = offered_by(worker, ca_certificate_file=ours.root_file, client_certificate=str(both))
    with closing(RunningBalancer()) as running:
        running.register(one)
        assert f"{both} cannot be read: No such file or directory" in running.expect_withheld(one)
        away.rename(both)
        running.expect_offered(one)


def test__https_probe__presents_its_certificate_and_says_what_is_wrong_with_it(ours: Authority) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*ours.issue("localhost"))
    context.load_verify_locations(ours.root_file)
    context.verify_mode = ssl.CERT_REQUIRED
    both = ours.combine(ours.issue("client"))
    with closing(Probing()) as probing, AnswerServer(http_answer(200), tls=context) as server:
        target = http(server.port, use_tls=True)
        probing.add(replace(target, tls=ClientTls(ca_certificate_file=ours.root_file, client_certificate=both)))
        probing.expect(Health.SERVING)
        probing.add(replace(target, tls=ClientTls(ca_certificate_file=f"{both}.gone")))
        assert probing.expect(Health.UNREACHABLE) == f"{both}.gone cannot be read: No such file or directory"
