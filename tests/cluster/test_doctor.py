"""`quaestor doctor`: each finding, planted for real."""

from __future__ import annotations

import json
import os
import resource
import secrets
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority
from support.cluster import QUAESTOR, Cluster
from support.etcd import run_etcd
from support.host_cluster import make_hosts
from support.ports import free_port
from support.terminal import terminal
from support.waiting import wait_until

from quaestor_actors.config import load_cluster

TIMEOUT_S = 60.0


def findings(cluster: Cluster, *options: str, limit: int | None = None) -> dict[str, dict[str, Any]]:
    """Return what is found, by its check; there is one of each at most, and the exit code says whether there is any."""

    def lower() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    command = [QUAESTOR, "doctor", "-o", "json", *(options or ("-c", str(cluster.directory)))]
    answer = subprocess.run(
        command,
        env=cluster.environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        preexec_fn=lower,
    )
    assert answer.stderr == ""
    found = json.loads(answer.stdout)["findings"]
    assert answer.returncode == (3 if found else 0)
    assert all(one["where"] and one["remedy"] for one in found)
    assert len({one["check"] for one in found}) == len(found), found
    return {one["check"]: one for one in found}


def etcd_at(cluster: Cluster, port: int, *lines: str, host: str = "127.0.0.1") -> None:
    """Let the balancer's file name an etcd, and nothing else that it may have named before."""
    cluster.configure_balancer()
    extra = "".join(f"    {line}\n" for line in lines)
    file = cluster.directory / "quaestor.loadbalancer.config.yml"
    file.write_text(
        f"{file.read_text()}  - agentType: KeyValueStore\n    hostName: {host}\n    ports: [{port}]\n{extra}"
    )


@pytest.fixture
def clock() -> Iterator[tuple[int, list[float]]]:
    """Yield the port of an HTTP server that tells another time, and by how much, in a list."""
    offset = [0.0]

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            self.send_header("Date", formatdate(offset[0], usegmt=True))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Be silent."""

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port, offset
    server.shutdown()
    thread.join()
    server.server_close()


def test__nothing_wrong__is_0_also_of_what_runs(cluster: Cluster) -> None:
    assert findings(cluster) == {}
    cluster.launch()
    assert findings(cluster) == {}
    assert cluster.stop() == 0
    assert findings(cluster) == {}


def test__people__are_told_what_where_and_the_remedy(cluster: Cluster) -> None:
    answer = cluster.run("doctor", "-c", str(cluster.directory))
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "nothing is wrong\n")
    with socket.create_server(("127.0.0.1", cluster.balancer_port)):
        answer = cluster.run("doctor", "-c", str(cluster.directory))
    assert answer.returncode == 3
    first, where, remedy = answer.stdout.splitlines()
    assert first.startswith(f"error: port {cluster.balancer_port} of the balancer is taken by pid {os.getpid()} ")
    assert where == f"  where   127.0.0.1:{cluster.balancer_port}"
    assert remedy.startswith("  remedy  end that process")


def test__port_of_a_member__taken(cluster: Cluster) -> None:
    with socket.create_server(("127.0.0.1", cluster.worker_ports[1])):
        assert "of Worker/2 is taken by" in findings(cluster)["ports"]["what"]


def test__all_killed__orphans_and_stale_files(cluster: Cluster) -> None:
    cluster.configure(shutdown_action="None")
    cluster.launch()
    pids = [member["pid"] for member in cluster.status()["members"]]
    admin = int((cluster.directory / "run" / "test" / "admin.pid").read_text().split()[0])
    assert cluster.launcher is not None
    cluster.launcher.kill()
    cluster.launcher.wait()
    found = findings(cluster)
    assert set(found) == {"launcher"}
    os.kill(admin, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{admin}/stat").exists(), TIMEOUT_S, "the end of the actor system")
    answer = cluster.run("doctor", "-o", "json", "-c", str(cluster.directory))
    documents = json.loads(answer.stdout)["findings"]
    (orphans,) = (one for one in documents if one["check"] == "orphans")
    assert all(str(pid) in orphans["what"] for pid in pids)
    stale = {Path(one["where"]).name for one in documents if one["check"] == "stale"}
    assert stale == {"admin.pid", "system.json"}
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(Path(f"/proc/{pid}/cwd").exists() for pid in pids), TIMEOUT_S, "their end")
    documents = json.loads(cluster.run("doctor", "-o", "json", "-c", str(cluster.directory)).stdout)["findings"]
    assert {Path(one["where"]).name for one in documents} == {"admin.pid", "system.json", "Worker.json"}
    before = sorted((cluster.directory / "run").rglob("*"))
    cluster.run("doctor")
    assert sorted((cluster.directory / "run").rglob("*")) == before


def test__wrong_cookie__in_the_environment_and_in_the_file(cluster: Cluster) -> None:
    cluster.launch()
    cluster.environment_extra["QUAESTOR_COOKIE"] = secrets.token_hex(32)
    assert set(findings(cluster)) == {"cookie", "answer"}
    del cluster.environment_extra["QUAESTOR_COOKIE"]
    file = cluster.directory / "run" / "test" / "cookie"
    right = file.read_bytes()
    file.write_bytes(secrets.token_bytes(32))
    assert set(findings(cluster)) == {"answer"}
    file.write_bytes(right)
    file.chmod(0o644)
    assert "others can read" in findings(cluster)["cookie"]["what"]
    file.chmod(0o600)
    assert findings(cluster) == {}


def test__etcd_unreachable(cluster: Cluster) -> None:
    port = free_port()
    etcd_at(cluster, port)
    found = findings(cluster)
    assert set(found) == {"etcd"}
    assert found["etcd"]["where"] == f"127.0.0.1:{port}"
    assert "refused" in found["etcd"]["what"]


def test__etcd_that_is_well__is_no_finding_and_one_that_has_ended_is(cluster: Cluster, tmp_path: Path) -> None:
    with run_etcd(tmp_path) as etcd:
        etcd_at(cluster, etcd.nodes[0].plan.client_port)
        assert findings(cluster) == {}
    assert set(findings(cluster)) == {"etcd"}
    command = (str(QUAESTOR), "doctor", "-c", str(cluster.directory))
    with terminal(*command, columns=100, environment=cluster.environment) as shown:
        assert shown.end() == 3
    lines = shown.written.replace("\r", "").splitlines()
    assert [line.split()[0] for line in lines] == ["\x1b[31merror\x1b[0m:", "where", "remedy"]
    assert all(len(line.replace("\x1b[31m", "").replace("\x1b[0m", "")) <= 100 for line in lines)


def test__etcd_with_tls__as_it_is_configured_and_otherwise(cluster: Cluster, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("localhost")
    with run_etcd(tmp_path, "--cert-file", certificate, "--key-file", key, scheme="https") as etcd:
        port = etcd.nodes[0].plan.client_port
        etcd_at(cluster, port, "useTLS: true", f"caCertificateFile: {authority.root_file}", host="localhost")
        assert findings(cluster) == {}
        etcd_at(cluster, port, "useTLS: true", host="localhost")
        assert "certificate" in findings(cluster)["etcd"]["what"]
        etcd_at(cluster, port)
        assert set(findings(cluster)) == {"etcd"}


def test__clock_skew(cluster: Cluster, clock: tuple[int, list[float]]) -> None:
    port, at = clock
    etcd_at(cluster, port)
    at[0] = 1_000_000_000.0
    found = findings(cluster)
    assert set(found) == {"clock"}
    assert "ahead of that of etcd" in found["clock"]["what"]


def test__secret_files__that_others_can_read(cluster: Cluster) -> None:
    certificate, key = Authority(cluster.directory).issue("localhost")
    file = cluster.directory / "quaestor.loadbalancer.config.yml"
    tls = f"  certificate: {certificate}\n  privateKeyFile: {key}\n  port:"
    file.write_text(file.read_text().replace("  port:", tls))
    assert findings(cluster) == {}
    Path(key).chmod(0o640)
    found = findings(cluster)
    assert set(found) == {"secrets"}
    assert found["secrets"]["what"] == "the balancer's key can be read or replaced by others (mode 640)"
    assert found["secrets"]["remedy"].startswith(f"chmod 600 {key}")


def test__too_few_file_descriptors(cluster: Cluster) -> None:
    assert findings(cluster, limit=100)["descriptors"]["where"] == "this shell"


def test__library_too_old__and_one_that_fits(cluster: Cluster, tmp_path: Path) -> None:
    shadow = tmp_path / "site"
    for name, version in (("grpcio", "1.50.0"), ("protobuf", "99.0")):
        info = shadow / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    inherited = os.environ.get("PYTHONPATH", "")
    cluster.environment_extra["PYTHONPATH"] = f"{shadow}{os.pathsep}{inherited}"
    found = findings(cluster)
    assert set(found) == {"versions"}
    assert found["versions"]["what"].startswith("grpcio 1.50.0 is installed, and the generated code needs 1.76")


def test__configuration__that_cannot_be_used__or_is_not_there(cluster: Cluster) -> None:
    cluster.configure(agent_extra="    processCuont: 1")
    assert "processCuont" in findings(cluster)["configuration"]["what"]
    answer = cluster.run("doctor", "-c", str(cluster.directory / "missing"))
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "not found in" in answer.stderr


def test__one_of_several_hosts__its_port_and_its_cookie(tmp_path: Path) -> None:
    first = make_hosts(tmp_path)[0]
    options = ("-c", str(first.directory), "--host", "a1")
    assert findings(first, *options) == {}
    port = next(iter(load_cluster(first.directory, environ=os.environ, host="a1").spec.hosts)).admin_port
    with socket.create_server((first.address, port)):
        found = findings(first, *options)
    assert set(found) == {"ports"}
    assert found["ports"]["what"].startswith(f"port {port} of the actors of a1 is taken by pid {os.getpid()} ")
    first.environment_extra["QUAESTOR_COOKIE"] = "short"
    assert "hexadecimal digits" in findings(first, *options)["secrets"]["what"]
    del first.environment_extra["QUAESTOR_COOKIE"]
    (tmp_path / "cookie").chmod(0o640)
    assert "chmod 600" in findings(first, *options)["configuration"]["what"]
