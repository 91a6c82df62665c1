"""A cluster of several hosts: which there are, which one this is, and the cookie that they have in common."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.command_line import quaestor
from support.config_hosts import THREE, TWO_HERE, agent, be, complaints, load

from quaestor_actors import launcher
from quaestor_actors.config import CLUSTER_FILE, LOAD_BALANCER_FILE, load_cluster
from quaestor_actors.console import Console
from quaestor_actors.core.spec import COOKIE_VARIABLE, ClusterSpec, HostSpec
from quaestor_actors.system.source import Source

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")


@pytest.fixture(autouse=True)
def on_a1(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine be 10.0.0.1."""
    be(monkeypatch, "10.0.0.1")


# The hosts, and which one this is


def test__no_hosts__one_machine_as_ever(tmp_path: Path) -> None:
    spec = load(tmp_path, agent("A", "serviceNames: [A]"), config="logLevel: info", environ={}).spec
    assert (spec.hosts, spec.host, spec.allowed_networks, spec.cookie_file) == ((), "", (), None)
    (only,) = spec.agents
    assert (only.hosts, only.floating, only.numbers, only.host_name) == ((), None, None, "localhost")
    assert only.members == {"A/1": 1}


def test__hosts__all_of_them_and_this_one_by_its_address(tmp_path: Path) -> None:
    config = f"hosts: {THREE}, allowedNetworks: [192.168.0.0/16, 10.1.2.3, 192.168.0.0/16]"
    loaded = load(tmp_path, config=config)
    assert loaded.spec.hosts == (
        HostSpec(name="a1", address="10.0.0.1", admin_port=7071),
        HostSpec(name="a2", address="10.0.0.2"),
        HostSpec(name="a3", address="10.0.0.3", admin_port=7000),
    )
    assert loaded.spec.host == "a1"
    assert loaded.spec.allowed_networks == ("192.168.0.0/16", "10.1.2.3/32")
    assert loaded.warnings == ()


def test__several_hosts_on_one_machine__the_user_chooses(tmp_path: Path) -> None:
    assert load(tmp_path, config=TWO_HERE, host="a2").spec.host == "A2"
    assert complaints(tmp_path, config=TWO_HERE) == [
        "clusterConfig.hosts: a1 and A2 are all this machine; say with --host which of them this is"
    ]


@pytest.mark.parametrize(
    ("config", "host", "expected"),
    [
        (
            "hosts: {}",
            None,
            "hosts: expected at least one host, found none; write {NAME: {address: ADDRESS}}, or remove it",
        ),
        ("hosts: [a1]", None, "hosts: expected a mapping, found a list"),
        ("hosts: {a1: 10.0.0.1}", None, "hosts.a1: expected a mapping, found text '10.0.0.1'"),
        ("hosts: {a1: {}}", None, "hosts.a1.address: missing; the other hosts must know where it is"),
        ("hosts: {a1: {adress: 10.0.0.1}}", None, "hosts.a1.adress: unknown key (did you mean address?)"),
        (
            "hosts: {a1: {address: a1.local}}",
            None,
            "hosts.a1.address: expected an IPv4 address such as 10.0.0.7, found text 'a1.local'",
        ),
        (
            "hosts: {a1: {address: '::1'}}",
            None,
            "hosts.a1.address: expected an IPv4 address such as 10.0.0.7, found text '::1'",
        ),
        (
            "hosts: {a1: {address: 0.0.0.0}}",
            None,
            "hosts.a1.address: 0.0.0.0 is no address of one host; write the one that the other hosts reach it by",
        ),
        (
            "hosts: {a1: {address: 10.0.0.1, adminPort: 0}}",
            None,
            "hosts.a1.adminPort: expected a port from 1 to 65535, found 0",
        ),
        (
            "hosts: {1a: {address: 10.0.0.1}}",
            None,
            (
                "hosts.1a: expected the name of a host, a letter and then letters, digits, `.`, `-` or `_`, "
                "60 at most, found text '1a'"
            ),
        ),
        (
            "hosts: {a1: {address: 10.0.0.1}, A1: {address: 10.0.0.2}}",
            None,
            "hosts.A1: the key is there already, in line 2",
        ),
        (
            "hosts: {a1: {address: 10.0.0.1}, a2: {address: 10.0.0.1}}",
            "a1",
            "hosts.a2.address: 10.0.0.1:7071 is a1 already",
        ),
        (
            "hosts: {a1: {address: 10.0.0.1}, a2: {address: 127.0.0.1}}",
            None,
            "hosts.a2.address: 127.0.0.1 cannot be reached by the other hosts; write an address that they can reach",
        ),
        (f"hosts: {THREE}", "a9", "hosts: a9 is none of hosts; name the one that is this machine, or leave it out"),
        (f"hosts: {THREE}", "a2", "hosts: a2, which is 10.0.0.2, is no address of this machine; it has 10.0.0.1"),
        (
            "hosts: {a2: {address: 10.0.0.2}, a3: {address: 10.0.0.3}}",
            None,
            "hosts: none of these is this machine; it has 10.0.0.1",
        ),
        (
            f"hosts: {THREE}, allowedNetworks: [everybody]",
            None,
            "allowedNetworks[0]: expected a network such as 10.0.0.0/24, found text 'everybody'",
        ),
        (
            f"hosts: {THREE}, allowedNetworks: [10.0.0.0/24, 10.0.0.7/24]",
            None,
            "allowedNetworks[1]: 10.0.0.7/24 is an address within a network; did you mean 10.0.0.0/24?",
        ),
    ],
)
def test__hosts__what_is_wrong_with_them(tmp_path: Path, config: str, host: str | None, expected: str) -> None:
    assert complaints(tmp_path, config=config, host=host) == [f"clusterConfig.{expected}"]


def test__host__chosen_where_there_are_none__is_a_fault(tmp_path: Path) -> None:
    assert complaints(tmp_path, config="logLevel: info", host="a1") == [
        "clusterConfig: there are no hosts, of which --host could choose a1; add hosts, or leave it out"
    ]


def test__one_host__and_keys_that_are_about_others__warn(tmp_path: Path) -> None:
    (warning,) = load(tmp_path, config="hosts: {a1: {address: 10.0.0.1}}", environ={}).warnings
    assert "one host alone is what a cluster without hosts is" in warning
    loaded = load(tmp_path, config="allowedNetworks: [10.0.0.0/8], cookieFile: nowhere", environ={"PATH": ""})
    assert [line.split(": ", 1)[1] for line in loaded.warnings] == [
        "clusterConfig.allowedNetworks: has no effect without hosts",
        "clusterConfig.cookieFile: has no effect without hosts",
    ]
    assert (loaded.spec.allowed_networks, loaded.spec.cookie_file) == ((), None)


@pytest.mark.parametrize("host", ["a1", "A2"])
def test__check__takes_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv(COOKIE_VARIABLE, "0" * 64)
    load(tmp_path, agent("A", "hosts: [a1]"), config=TWO_HERE, host=host)
    answer = quaestor("check", "-c", str(tmp_path), "--host", host)
    assert (answer.code, answer.out) == (0, f"{tmp_path / CLUSTER_FILE}: ok\n")
    answer = quaestor("check", "-c", str(tmp_path))
    assert answer.code == 2
    assert "say with --host which of them this is" in answer.err


def test__cluster__takes_the_host_and_knows_later_that_there_was_a_cookie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = []

    def run(spec: ClusterSpec, *, console: Console, source: Source) -> int:
        del console
        specs.append(spec)
        # As whoever uses it does.
        del os.environ[COOKIE_VARIABLE]
        specs.append(source.begin_reading().result())
        return 0

    monkeypatch.setattr(launcher, "run_cluster", run)
    monkeypatch.setenv(COOKIE_VARIABLE, "0" * 64)
    load(tmp_path, config=TWO_HERE, host="a1")
    assert quaestor("cluster", "-c", str(tmp_path), "--host", "a2").code == 0
    assert [spec.host for spec in specs] == ["A2", "A2"]


# The cookie


def test__cookie__none__is_a_fault_that_says_how_to_make_one(tmp_path: Path) -> None:
    (fault,) = complaints(tmp_path, environ={"PATH": ""})
    assert fault == (
        "clusterConfig.hosts: needs cookieFile, a secret that is the same on all hosts; make one on one host with: "
        "(umask 077; head -c 32 /dev/urandom > cookie), and copy it, or set QUAESTOR_COOKIE in the environment"
    )


def test__cookie_file__private_and_long_enough__is_in_the_specification(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(bytes(32))
    file.chmod(0o600)
    config = f"hosts: {THREE}, cookieFile: secret"
    assert load(tmp_path, config=config, environ={"PATH": ""}).spec.cookie_file == str(file)
    file.unlink()
    # With one in the environment it is not looked at.
    assert load(tmp_path, config=config).spec.cookie_file == str(file)


@pytest.mark.parametrize(
    ("size", "mode", "expected"),
    [
        (32, 0o640, "secret is open to other users than its owner; run: chmod 600 "),
        (32, 0o200, "secret cannot be read by its owner; run: chmod 600 "),
        (33, 0o600, "secret has 33 bytes, and a cookie has 32; make one on one host with: "),
        (None, 0, "there is no file secret; make one on one host with: "),
    ],
)
def test__cookie_file__that_cannot_be_used(tmp_path: Path, size: int | None, mode: int, expected: str) -> None:
    if size is not None:
        (tmp_path / "secret").write_bytes(bytes(size))
        (tmp_path / "secret").chmod(mode)
    (fault,) = complaints(tmp_path, config=f"hosts: {THREE}, cookieFile: secret", environ={"PATH": ""})
    assert fault.startswith(f"clusterConfig.cookieFile: {expected}")


def test__cookie_file__a_link_or_a_folder__is_no_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("secret")
    for name in ("link", "."):
        (fault,) = complaints(tmp_path, config=f"hosts: {THREE}, cookieFile: {name}", environ={"PATH": ""})
        assert fault.endswith("is not a regular file; name the file itself")


@AS_ROOT
def test__cookie_file__of_somebody_else__is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(32))
    (tmp_path / "secret").chmod(0o600)
    os.chown(tmp_path / "secret", 65534, 65534)
    (fault,) = complaints(tmp_path, config=f"hosts: {THREE}, cookieFile: secret", environ={"PATH": ""})
    assert "belongs to another user; run as root: chown 0 " in fault


# What the files say, whoever reads them


def digest(folder: Path, host: str, text: str, balancer: str = "") -> str:
    folder.mkdir(exist_ok=True)
    (folder / CLUSTER_FILE).write_text(text)
    (folder / LOAD_BALANCER_FILE).write_text(balancer or "loadBalancerConfig: {port: 5150}")
    return load_cluster(folder, environ={COOKIE_VARIABLE: "ab" * 32}, host=host).spec.digest


def test__digest__is_of_what_the_files_say_and_the_same_on_every_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    be(monkeypatch, "10.0.0.1", "10.0.0.2")
    cluster = "clusterConfig: {name: shop, hosts: {a1: {address: 10.0.0.1}, a2: {address: 10.0.0.2}}}"
    pinned = "- {agentType: A, executablePath: /bin/sh, hosts: [a1]}"
    text = f"{cluster}\nagents:\n{pinned}\n- agentType: LoadBalancer\n"
    one = digest(tmp_path / "1", "a1", text)
    assert one == digest(tmp_path / "2", "a2", text)
    reordered = "- {hosts: [a1], executablePath: /bin/sh,   agentType: A}  # a remark"
    assert one == digest(tmp_path / "1", "a1", text.replace(pinned, reordered))
    others = {
        digest(tmp_path / "1", "a1", text.replace("[a1]", "[a2]")),
        digest(tmp_path / "1", "a1", text + "  excludeFromServiceRegistry: true\n"),
        digest(tmp_path / "1", "a1", text, "loadBalancerConfig: {port: 5151}"),
    }
    assert len({one, *others}) == 4
