"""Certificates, private keys and authorities are tried before anything uses them; each complaint has its place."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from support.certificates import Authority, private_pem

from quaestor_actors.config import load_balancer, load_cluster
from quaestor_actors.config.certificate import check_authorities, check_client_certificate
from quaestor_actors.config.locate import CLUSTER_FILE, LOAD_BALANCER_FILE
from quaestor_actors.config.report import Place, Report
from quaestor_actors.config.schema import Keys
from quaestor_actors.config.sections import Section, read_section
from quaestor_actors.config.value_rules import FileName
from quaestor_actors.config.yaml_document import read_document
from quaestor_actors.core.location import ClientTls
from quaestor_actors.errors import ConfigError

A_WHILE_AGO = timedelta(minutes=-5)


class ClientKeys(Keys):
    """The keys of a client's side."""

    client_certificate: FileName | None = None
    client_private_key_file: FileName | None = None
    ca_certificate_file: FileName | None = None


class Client:
    """A file with the keys of a client's side, read and checked."""

    def __init__(self, folder: Path, **keys: str) -> None:
        file = folder / "client.yml"
        file.write_text("".join(f"{key}: {value}\n" for key, value in keys.items()))
        self.report = Report(file="f")
        section: Section[ClientKeys] = read_section(
            read_document(file, self.report), ClientKeys, report=self.report, place=Place(line=1, column=1)
        )
        given = section.keys
        self.pair = check_client_certificate(
            section, given.client_certificate, given.client_private_key_file, folder=folder, report=self.report
        )
        self.authorities = check_authorities(section, given.ca_certificate_file, folder=folder, report=self.report)

    @property
    def faults(self) -> list[str]:
        """What makes the file unusable."""
        return [str(fault) for fault in self.report.faults]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed and may surprise."""
        return self.report.warning_lines()


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def balancer(folder: Path, certificate: str, key: str) -> Any:
    text = f"loadBalancerConfig:\n  certificate: {certificate}\n  privateKeyFile: {key}\n"
    (folder / LOAD_BALANCER_FILE).write_text(text)
    return load_balancer(folder, environ={})


def complaints(folder: Path, certificate: str, key: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        balancer(folder, certificate, key)
    return [str(fault).removeprefix(f"{folder / LOAD_BALANCER_FILE}:") for fault in caught.value.faults]


def warnings_of(folder: Path, certificate: str, key: str) -> list[str]:
    found = balancer(folder, certificate, key).warnings
    return [line.removeprefix(f"{folder / LOAD_BALANCER_FILE}:") for line in found if "nothing is balanced" not in line]


def locked(folder: Path, key: str) -> str:
    secret: Any = load_pem_private_key(Path(key).read_bytes(), password=None)
    (folder / "locked.key").write_bytes(private_pem(secret, password=b"open sesame"))
    return "locked.key"


def test__server__usable_pair__gives_absolute_paths_and_no_word(tmp_path: Path, ours: Authority) -> None:
    for kind in (None, rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())):
        certificate, key = (Path(file).name for file in ours.issue("localhost", key=kind))
        spec = balancer(tmp_path, certificate, key).spec.balancer
        assert (spec.certificate, spec.private_key_file) == (str(tmp_path / certificate), str(tmp_path / key))
        assert warnings_of(tmp_path, certificate, key) == []


def test__server__unusable_pair__is_a_fault_at_the_key_that_names_it(tmp_path: Path, ours: Authority) -> None:
    ours.issue("localhost", file_name="one")
    ours.issue("localhost", file_name="two")
    ours.issue("localhost", file_name="odd", key=ed25519.Ed25519PrivateKey.generate())
    ours.issue("localhost", file_name="big", key=ec.generate_private_key(ec.SECP521R1()))
    locked(tmp_path, str(tmp_path / "one.key"))
    (tmp_path / "rubbish.pem").write_bytes(b"\xff\x00")
    at_certificate = "2:16: loadBalancerConfig.certificate: "
    at_key = "3:19: loadBalancerConfig.privateKeyFile: "
    kinds = "is of a kind that gRPC cannot use; it knows RSA keys and the elliptic curves P-256 and P-384"
    for certificate, key, expected in (
        ("gone.pem", "one.key", [f"{at_certificate}there is no file {tmp_path}/gone.pem"]),
        (".", "one.key", [f"{at_certificate}there is no file {tmp_path}"]),
        (
            "gone.pem",
            "gone.key",
            [f"{at_certificate}there is no file {tmp_path}/gone.pem", f"{at_key}there is no file {tmp_path}/gone.key"],
        ),
        ("rubbish.pem", "one.key", [f"{at_certificate}{tmp_path}/rubbish.pem is not a certificate chain in PEM form"]),
        (
            "one.pem",
            "rubbish.pem",
            [f"{at_key}{tmp_path}/rubbish.pem is not a private key in PEM form without a password"],
        ),
        (
            "one.pem",
            "locked.key",
            [f"{at_key}{tmp_path}/locked.key is not a private key in PEM form without a password"],
        ),
        ("one.pem", "two.key", [f"{at_key}{tmp_path}/two.key is not the key of {tmp_path}/one.pem"]),
        ("odd.pem", "odd.key", [f"{at_certificate}{tmp_path}/odd.pem {kinds}"]),
        ("big.pem", "big.key", [f"{at_certificate}{tmp_path}/big.pem {kinds}"]),
    ):
        assert complaints(tmp_path, certificate, key) == expected


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test__server__unreadable_key__is_a_fault(tmp_path: Path, ours: Authority) -> None:
    certificate, key = ours.issue("localhost")
    Path(key).chmod(0)
    assert complaints(tmp_path, certificate, key)[0].endswith(f"{key} cannot be read by this user")


def test__server__expired_certificate__is_a_warning_with_the_date(tmp_path: Path, ours: Authority) -> None:
    certificate, key = ours.issue("localhost", valid_for=A_WHILE_AGO)
    (warning,) = warnings_of(tmp_path, certificate, key)
    assert warning.startswith(f"2:16: loadBalancerConfig.certificate: {certificate} has expired on 2")


@pytest.mark.parametrize(
    ("mode", "what"), [(0o644, "read"), (0o604, "read"), (0o602, "overwritten"), (0o640, ""), (0o600, "")]
)
def test__server__key_open_to_everybody__is_a_warning_with_the_remedy(
    tmp_path: Path, ours: Authority, mode: int, what: str
) -> None:
    certificate, key = ours.issue("localhost")
    Path(key).chmod(mode)
    Path(certificate).chmod(0o644)
    expected = (
        f"3:19: loadBalancerConfig.privateKeyFile: {key} can be {what} by every user of this machine; "
        f"`chmod o= {key}` keeps the private key private"
    )
    assert warnings_of(tmp_path, certificate, key) == ([expected] if what else [])


def test__client__one_file_or_two__gives_absolute_paths(tmp_path: Path, ours: Authority) -> None:
    files = ours.issue("client", file_name="me")
    both = ours.combine(files)
    assert Client(tmp_path).pair == (None, None)
    apart = Client(tmp_path, clientCertificate="me.pem", clientPrivateKeyFile="me.key")
    together = Client(tmp_path, clientCertificate=Path(both).name)
    assert (apart.pair, together.pair) == (files, (both, None))
    assert apart.faults + together.faults == []
    assert apart.warnings + together.warnings == ()


def test__client__unusable_files__are_faults_with_the_remedy(tmp_path: Path, ours: Authority) -> None:
    certificate, key = ours.issue("client", file_name="me")
    other = ours.issue("other", file_name="other")
    (tmp_path / "wrong.pem").write_bytes(Path(other[0]).read_bytes() + Path(key).read_bytes())
    locked(tmp_path, key)
    (tmp_path / "both.pem").write_bytes(Path(certificate).read_bytes() + (tmp_path / "locked.key").read_bytes())
    no_key = "holds no private key without a password; add it, or name its file in clientPrivateKeyFile"
    first = "its first certificate; the own certificate comes first"
    for keys, expected in (
        (
            {"clientPrivateKeyFile": "me.key"},
            "1:23: clientPrivateKeyFile: clientCertificate is missing; a key is of no use without its certificate",
        ),
        (
            {"clientCertificate": "me.pem"},
            f"1:20: clientCertificate: {certificate} {no_key}",
        ),
        (
            {"clientCertificate": "both.pem"},
            f"1:20: clientCertificate: {tmp_path}/both.pem {no_key}",
        ),
        (
            {"clientCertificate": "wrong.pem"},
            f"1:20: clientCertificate: the private key in {tmp_path}/wrong.pem is not that of {first}",
        ),
        (
            {"clientCertificate": "me.pem", "clientPrivateKeyFile": "other.key"},
            f"2:23: clientPrivateKeyFile: {other[1]} is not the key of {certificate}",
        ),
        ({"clientCertificate": "gone.pem"}, f"1:20: clientCertificate: there is no file {tmp_path}/gone.pem"),
        (
            {"clientCertificate": "me.key"},
            f"1:20: clientCertificate: {key} is not a certificate chain in PEM form",
        ),
    ):
        assert Client(tmp_path, **keys).faults == [f"f:{expected}"]


def test__client__value_that_is_no_path__is_one_fault(tmp_path: Path) -> None:
    assert len(Client(tmp_path, clientCertificate="[]", clientPrivateKeyFile="x").faults) == 1
    assert len(Client(tmp_path, clientCertificate="''").faults) == 1


def test__client__file_with_its_key_open_to_everybody__is_a_warning(tmp_path: Path, ours: Authority) -> None:
    both = ours.combine(ours.issue("client"))
    Path(both).chmod(0o644)
    (warning,) = Client(tmp_path, clientCertificate=both).warnings
    assert warning.startswith(f"f:1:20: clientCertificate: {both} can be read by every user of this machine; ")


def test__authorities__are_read_as_systems_have_them(tmp_path: Path, ours: Authority) -> None:
    (tmp_path / "ca.pem").write_bytes("# Müller & Söhne\n".encode() + ours.root_pem * 2)
    client = Client(tmp_path, caCertificateFile="ca.pem")
    assert (client.authorities, client.faults, client.warnings) == (str(tmp_path / "ca.pem"), [], ())
    assert Client(tmp_path).authorities is None


def test__authorities__unusable_file__is_a_fault(tmp_path: Path, ours: Authority) -> None:
    _, key = ours.issue("client")
    (tmp_path / "rubbish.pem").write_bytes(b"\xff\x00")
    (tmp_path / "broken.pem").write_bytes(ours.root_pem[:-60])
    for file, expected in (
        ("gone.pem", f"there is no file {tmp_path}/gone.pem"),
        ("rubbish.pem", f"{tmp_path}/rubbish.pem holds no certificates in PEM form"),
        ("broken.pem", f"{tmp_path}/broken.pem holds no certificates in PEM form"),
        (key, f"{key} holds no certificates in PEM form"),
    ):
        assert Client(tmp_path, caCertificateFile=file).faults == [f"f:1:20: caCertificateFile: {expected}"]


def test__authorities__all_expired__is_a_warning_with_the_date(tmp_path: Path, ours: Authority) -> None:
    expired = Authority(tmp_path, file_name="old.pem", valid_for=A_WHILE_AGO)
    (warning,) = Client(tmp_path, caCertificateFile="old.pem").warnings
    expected = f"f:1:20: caCertificateFile: every certificate in {expired.root_file} has expired, the last one on 2"
    assert warning.startswith(expected)
    (tmp_path / "both.pem").write_bytes(expired.root_pem + ours.root_pem)
    assert Client(tmp_path, caCertificateFile="both.pem").warnings == ()


def test__complaints__never_hold_a_part_of_a_key(tmp_path: Path, ours: Authority) -> None:
    _, key = ours.issue("client")
    secret = [line for line in Path(key).read_text().splitlines() if not line.startswith("-")]
    Path(key).write_text(Path(key).read_text().replace("PRIVATE KEY", "CERTIFICATE"))
    told = str(Client(tmp_path, clientCertificate=key, caCertificateFile=key).faults)
    assert "not a certificate chain" in told
    assert not any(line in told for line in secret)


def test__file_names__cannot_forge_lines(tmp_path: Path, ours: Authority) -> None:
    both = ours.combine(ours.issue("client"))
    Path(both).rename(tmp_path / "a\nb.pem")
    (tmp_path / "a\nb.pem").chmod(0o644)
    client = Client(tmp_path, clientCertificate='"a\\nb.pem"', caCertificateFile='"c\\nd"')
    assert len(client.warnings) == len(client.faults) == 1
    assert "\n" not in client.warnings[0] + client.faults[0]


def cluster(folder: Path, text: str, balancer_text: str = "") -> Any:
    (folder / "run.py").touch()
    (folder / CLUSTER_FILE).write_text(text)
    (folder / LOAD_BALANCER_FILE).write_text(balancer_text or "loadBalancerConfig: {}\n")
    return load_cluster(folder, environ={"PATH": ""})


def test__cluster__agent_s_files_first_then_the_cluster_s(tmp_path: Path, ours: Authority) -> None:
    files = ours.issue("client", file_name="me")
    own = Authority(tmp_path, file_name="own.pem").root_file
    loaded = cluster(
        tmp_path,
        "clusterConfig: {name: c, caCertificateFile: root.pem}\n"
        "agents:\n"
        "  - {agentType: A, executablePath: run.py, useTLS: true}\n"
        "  - {agentType: B, executablePath: run.py, useTLS: true, caCertificateFile: own.pem,\n"
        "     clientCertificate: me.pem, clientPrivateKeyFile: me.key}\n"
        "  - agentType: LoadBalancer\n",
    )
    first, second, _ = loaded.spec.agents
    assert first.tls == ClientTls(ca_certificate_file=ours.root_file)
    assert second.tls == ClientTls(
        ca_certificate_file=own, client_certificate=files[0], client_private_key_file=files[1]
    )
    assert loaded.spec.balancer.ca_certificate_file == ours.root_file
    assert loaded.warnings == ()


def test__cluster__balancer_s_own_authorities__come_before_the_cluster_s(tmp_path: Path, ours: Authority) -> None:
    own = Authority(tmp_path, file_name="own.pem").root_file
    loaded = cluster(
        tmp_path,
        "clusterConfig: {name: c, caCertificateFile: root.pem}\nagents: [{agentType: LoadBalancer}]\n",
        "loadBalancerConfig: {caCertificateFile: own.pem}\n",
    )
    assert loaded.spec.balancer.ca_certificate_file == own != ours.root_file


def test__cluster__unusable_files__are_located_faults(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        cluster(
            tmp_path,
            "clusterConfig: {name: c, caCertificateFile: a.pem}\n"
            "agents:\n"
            "  - {agentType: A, executablePath: run.py, useTLS: true, clientCertificate: b.pem}\n",
        )
    assert [str(fault) for fault in caught.value.faults] == [
        f"{tmp_path / CLUSTER_FILE}:1:45: clusterConfig.caCertificateFile: there is no file {tmp_path}/a.pem",
        f"{tmp_path / CLUSTER_FILE}:3:77: agents[0].clientCertificate: there is no file {tmp_path}/b.pem",
    ]


def test__cluster__files_without_tls__are_warned_of(tmp_path: Path, ours: Authority) -> None:
    ours.combine(ours.issue("client", file_name="me"))
    loaded = cluster(
        tmp_path,
        "clusterConfig: {name: c}\n"
        "agents:\n"
        "  - {agentType: A, executablePath: run.py, clientCertificate: me.both.pem, caCertificateFile: root.pem}\n",
    )
    assert [line.split(": ", 1)[1] for line in loaded.warnings] == [
        "agents[0].clientCertificate: has no effect without useTLS: true",
        "agents[0].caCertificateFile: has no effect without useTLS: true",
    ]


def test__balancer_alone__services_without_authorities_of_their_own__have_the_balancer_s(
    tmp_path: Path, ours: Authority
) -> None:
    both = ours.combine(ours.issue("client"))
    (tmp_path / LOAD_BALANCER_FILE).write_text(
        "loadBalancerConfig: {caCertificateFile: root.pem}\n"
        f"agents: [{{agentType: Worker, ports: [1], useTLS: true, clientCertificate: {both}}}]\n"
    )
    (worker,) = load_balancer(tmp_path, environ={}).spec.static_agents
    assert worker.tls == ClientTls(ca_certificate_file=ours.root_file, client_certificate=both)


def test__mutual_tls__open_to_clients_of_public_authorities__is_a_warning(tmp_path: Path, ours: Authority) -> None:
    certificate, key = ours.issue("localhost")
    text = f"loadBalancerConfig: {{certificate: {certificate}, privateKeyFile: {key}, enforceMutualTls: true"
    told = []
    for end in ("}\n", ", caCertificateFile: root.pem}\n"):
        (tmp_path / LOAD_BALANCER_FILE).write_text(text + end)
        told.append([line for line in load_balancer(tmp_path, environ={}).warnings if "any public authority" in line])
    assert [len(lines) for lines in told] == [1, 0]
