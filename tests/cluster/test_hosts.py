"""Three hosts are one cluster: seen and commanded from any of them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest
from support.cluster import QUAESTOR
from support.host_cluster import PATIENCE_S, HostCluster, make_hosts, start_hosts
from support.waiting import wait_until

ALL = {f"Sleeper/{number}@a{host}" for number in (1, 2) for host in (1, 2, 3)}

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[HostCluster]]:
    """Yield three hosts that run and know of each other; tests leave them as they are."""
    hosts = make_hosts(tmp_path_factory.mktemp("hosts"))
    try:
        start_hosts(hosts)
        yield hosts
    finally:
        for host in hosts:
            host.clean_up()


def pids(host: HostCluster) -> dict[str, int | None]:
    return {name: member["pid"] for name, member in host.members().items()}


def test__status__is_the_same_from_every_host(three: list[HostCluster]) -> None:
    seen = [pids(host) for host in three]
    assert seen[0].keys() == ALL
    assert len(set(seen[0].values())) == len(ALL)
    assert seen[1:] == seen[:1] * 2


def test__status__has_a_column_for_the_host(three: list[HostCluster]) -> None:
    lines = three[1].run("status").stdout.splitlines()
    assert lines[0] == "cluster many: 6/6 members serving, 3/3 hosts answer, a1 coordinates"
    assert [line.split()[:3] for line in lines[3:]] == [
        [f"Sleeper/{number}", f"a{host}", "serving"] for number in (1, 2) for host in (1, 2, 3)
    ]


def test__top__measures_the_members_of_its_own_host(three: list[HostCluster]) -> None:
    answer = three[1].run("top", "-o", "json")
    assert (answer.returncode, answer.stderr) == (0, "")
    members = json.loads(answer.stdout)["members"]
    assert len(members) == len(ALL)
    assert {member["cluster_host"] for member in members if member["memory_bytes"]} == {"a2"}


def test__hosts__says_where_it_is_asked_and_who_coordinates(three: list[HostCluster]) -> None:
    rows = [line.split()[:6] for line in three[2].run("hosts", "-o", "tsv").stdout.splitlines()]
    assert rows[0] == ["HOST", "ADDRESS", "STATE", "SINCE", "MEMBERS", "COORDINATOR"]
    assert [(row[0], row[2], row[4], row[5]) for row in rows[1:]] == [
        ("a1", "joined", "2/2", "yes"),
        ("a2", "joined", "2/2", "-"),
        ("a3", "here", "2/2", "-"),
    ]


def test__tree__has_every_host(three: list[HostCluster]) -> None:
    answer = three[0].run("tree")
    assert [line.split()[0] for line in answer.stdout.splitlines() if line.startswith("a")] == ["a1", "a2", "a3"]
    assert answer.stdout.count("Sleeper/1") == 3


@pytest.mark.parametrize("asked", [0, 1, 2])
def test__member_of_one_host__is_commanded_from_any(three: list[HostCluster], asked: int) -> None:
    before = pids(three[0])
    answer = three[asked].run("restart", "Sleeper/2@a3")
    assert (answer.returncode, answer.stdout) == (0, "restart Sleeper/2@a3: serving\n"), answer.stderr
    after = pids(three[0])
    assert {name for name in ALL if after[name] != before[name]} == {"Sleeper/2@a3"}


def test__member_without_host__is_commanded_on_all(three: list[HostCluster]) -> None:
    answer = three[1].run("start", "Sleeper/1")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines() == [f"start Sleeper/1@{host}: serving" for host in ("a1", "a2", "a3")]


def test__member_of_another_host__is_drained_and_put_back(three: list[HostCluster]) -> None:
    answer = three[1].run("drain", "Sleeper/1@a3")
    assert (answer.returncode, answer.stdout) == (0, "drain Sleeper/1@a3: drained\n"), answer.stderr
    assert {name for name, each in three[0].members().items() if each["state"] == "drained"} == {"Sleeper/1@a3"}
    assert "quaestor start Sleeper/1@a3" in three[0].run("explain", "Sleeper/1@a3").stdout
    answer = three[0].run("start", "Sleeper/1@a3")
    assert (answer.returncode, answer.stdout) == (0, "start Sleeper/1@a3: serving\n"), answer.stderr


def test__rolling_restart__of_all_hosts(three: list[HostCluster]) -> None:
    before = pids(three[0])
    answer = three[2].run("restart", "Sleeper", "--rolling")
    assert answer.returncode == 0, answer.stderr
    assert sorted(answer.stdout.splitlines()) == [f"restart {name}: serving" for name in sorted(ALL)]
    after = pids(three[0])
    assert all(after[name] != before[name] for name in ALL)


def test__no_wait__ends_when_the_host_has_been_told(three: list[HostCluster]) -> None:
    answer = three[0].run("restart", "Sleeper/2@a2", "--no-wait")
    assert (answer.returncode, answer.stdout) == (0, "restart Sleeper/2@a2: requested\n"), answer.stderr
    assert three[0].run("start", "Sleeper/2@a2").returncode == 0


def test__ctrl_c__ends_the_watching_and_nothing_else(three: list[HostCluster]) -> None:
    first, before = three[0], pids(three[0])
    held = before["Sleeper/2@a2"]
    assert held is not None
    # It does not hear that it is to end until it goes on.
    os.kill(held, signal.SIGSTOP)
    with subprocess.Popen(
        [QUAESTOR, "restart", "Sleeper/2@a2"],
        env=first.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as watching:
        try:
            assert watching.stderr is not None
            assert "waiting for Sleeper/2@a2: " in watching.stderr.readline()
            watching.send_signal(signal.SIGINT)
            _, told = watching.communicate(timeout=PATIENCE_S)
            assert watching.returncode == 130
            assert "no longer watching; the cluster goes on with restart Sleeper/2@a2" in told
        finally:
            watching.kill()
            # On a very busy machine its time to end may be over already.
            with contextlib.suppress(ProcessLookupError):
                os.kill(held, signal.SIGCONT)
    assert first.run("wait", "Sleeper/2@a2").returncode == 0

    def is_back() -> bool:
        member = first.members()["Sleeper/2@a2"]
        return member["state"] == "serving" and member["pid"] != held

    wait_until(is_back, PATIENCE_S, "the member to be back")


def test__doctor__finds_nothing_wrong_with_a_host_that_runs(three: list[HostCluster]) -> None:
    answer = three[1].run("doctor", "-c", str(three[1].directory), "--host", "a2")
    assert (answer.returncode, answer.stderr) == (0, "nothing is wrong\n"), answer.stdout


@pytest.mark.parametrize("text", ["Sleeper/9", "Sleeper/1@b1", "Nobody@a2"])
def test__nobody__is_an_error_and_nothing_is_done(three: list[HostCluster], text: str) -> None:
    before = pids(three[0])
    answer = three[0].run("restart", "Sleeper", text)
    assert answer.returncode == 5
    assert f"no member {text!r}; nothing was done" in answer.stderr
    assert pids(three[0]) == before


def test__stranger__is_not_listened_to(three: list[HostCluster]) -> None:
    port = int(three[1].hosts()["a2"]["address"].rpartition(":")[2])
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.77", 0))
        stranger.settimeout(PATIENCE_S)
        stranger.connect((three[1].address, port))
        assert stranger.recv(1) == b""


def test__another_cookie__is_not_listened_to(three: list[HostCluster]) -> None:
    three[0].environment_extra["QUAESTOR_COOKIE"] = "ab" * 32
    try:
        assert three[0].run("status").returncode == 4
    finally:
        del three[0].environment_extra["QUAESTOR_COOKIE"]
    assert three[0].run("status").returncode == 0


def test__port_of_the_actors__is_taken__nothing_is_started(three: list[HostCluster]) -> None:
    first = three[0]
    other = HostCluster(
        directory=first.directory.parent, worker_ports=(), balancer_port=0, name="other", host="a1", address="127.0.0.1"
    )
    text = (first.directory / "quaestor.cluster.config.yml").read_text()
    (other.directory / "quaestor.cluster.config.yml").write_text(text.replace("name: many", "name: other"))
    answer = other.run("cluster", "-c", str(other.directory), "--host", "a1")
    assert answer.returncode == 5
    assert "of the actors of a1 is taken by pid" in answer.stderr
    assert not list((other.directory / "run" / "other").glob("admin.pid"))


def test__cookie_that_others_can_read__nothing_is_started(three: list[HostCluster]) -> None:
    first = three[0]
    cookie = first.directory.parent / "open"
    cookie.write_bytes(b"x" * 32)
    cookie.chmod(0o644)
    text = (first.directory / "quaestor.cluster.config.yml").read_text()
    (first.directory.parent / "quaestor.cluster.config.yml").write_text(
        text.replace("name: many", "name: other").replace(str(cookie.with_name("cookie")), str(cookie))
    )
    answer = first.run("cluster", "-c", str(first.directory.parent), "--host", "a1")
    assert answer.returncode == 2
    assert "chmod 600" in answer.stderr


def test__json__says_whose_everything_is(three: list[HostCluster]) -> None:
    document = json.loads(three[0].run("status", "-o", "json").stdout)
    assert document["host"] == "a1"
    for kind in ("members", "agents", "actors"):
        assert {each["cluster_host"] for each in document[kind]} == {"a1", "a2", "a3"}


@pytest.mark.parametrize("asked", [0, 2])
def test__what_has_happened__to_a_member_of_another_host(three: list[HostCluster], asked: int) -> None:
    events = json.loads(three[asked].run("events", "Sleeper/1@a2", "-o", "json").stdout)["events"]
    assert {(each["subject"], each["cluster_host"]) for each in events} == {("Sleeper/1", "a2")}
    assert [each["after"] for each in events][:2] == ["starting", "serving"]
    lines = three[asked].run("events", "Sleeper/1").stdout.splitlines()
    assert {line.split()[3] for line in lines[1:]} == {"Sleeper/1@a1", "Sleeper/1@a2", "Sleeper/1@a3"}


def test__what_members_wrote__on_one_host_or_on_all(three: list[HostCluster]) -> None:
    pid = pids(three[0])["Sleeper/1@a3"]
    answer = three[0].run("logs", "Sleeper/1@a3")
    assert answer.stdout.splitlines()[-1] == f"here is pid {pid}", answer.stderr
    answer = three[1].run("logs", "Sleeper", "--lines", "1")
    assert set(answer.stdout.splitlines()) == {f"{name} | here is pid {pid}" for name, pid in pids(three[0]).items()}
    answer = three[1].run("logs", "Nobody@a3")
    assert (answer.returncode, answer.stdout) == (5, "")
    assert "no member 'Nobody@a3' has written anything on a3" in answer.stderr
    assert three[1].run("logs", "Sleeper@b7").returncode == 5


def test__what_a_member_of_another_host_writes__is_followed(three: list[HostCluster]) -> None:
    first = three[0]
    with subprocess.Popen(
        [QUAESTOR, "logs", "-f", "Sleeper/2@a2", "--lines", "1"],
        env=first.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as following:
        try:
            assert following.stdout is not None
            assert following.stdout.readline() == f"here is pid {pids(first)['Sleeper/2@a2']}\n"
            assert first.run("restart", "Sleeper/2@a2").returncode == 0
            line = following.stdout.readline()
            assert line == f"here is pid {pids(first)['Sleeper/2@a2']}\n"
        finally:
            following.kill()


def test__explain__a_member_of_another_host(three: list[HostCluster]) -> None:
    pid = pids(three[0])["Sleeper/2@a3"]
    shown = three[0].run("explain", "Sleeper/2@a3").stdout
    assert shown.startswith("Sleeper/2@a3: serving for ")
    assert f"pid {pid}, " in shown
    assert f"  here is pid {pid}\n" in shown
    assert "starting -> serving" in shown
    assert three[0].run("explain", "Sleeper").stdout.startswith("agent Sleeper@a1: running, 2/2 members serving")
    assert three[0].run("explain", "Sleeper/2@b7").returncode == 5


def test__completion__knows_members_of_other_hosts(three: list[HostCluster]) -> None:
    asked = {"_QUAESTOR_COMPLETE": "bash_complete", "COMP_WORDS": "quaestor restart Sleeper/1@", "COMP_CWORD": "2"}
    three[0].environment_extra |= asked
    try:
        names = {line.rpartition(",")[2] for line in three[0].run().stdout.split()}
    finally:
        for name in asked:
            del three[0].environment_extra[name]
    assert names == {"Sleeper/1@a1", "Sleeper/1@a2", "Sleeper/1@a3"}


def test__wait__for_all_hosts(three: list[HostCluster]) -> None:
    assert three[2].run("wait").returncode == 0
    answer = three[2].run("wait", "--stopped", "Sleeper/1@a1", "--timeout", "0")
    assert answer.returncode == 124
    assert "Sleeper/1@a1: serving" in answer.stderr


@pytest.mark.parametrize("asked", [0, 1])
def test__scale__from_any_host__until_it_applies_its_configuration(three: list[HostCluster], asked: int) -> None:
    try:
        answer = three[asked].run("scale", "Sleeper@a2", "3")
        who = "Sleeper/3@a2" if asked == 0 else "Sleeper/3"
        assert (answer.returncode, answer.stdout) == (0, f"start {who}: serving\n"), answer.stderr
        assert pids(three[0]).keys() == {*ALL, "Sleeper/3@a2"}
    finally:
        answer = three[1].run("apply", "--yes")
    assert answer.returncode == 0, answer.stderr
    assert pids(three[0]).keys() == ALL


def test__scale__of_nobody__is_an_error_and_nothing_is_done(three: list[HostCluster]) -> None:
    for text, problem in (("Sleeper@b7", "has no host 'b7'; nothing was done"), ("Other@a2", "no agent 'Other'")):
        answer = three[0].run("scale", text, "4")
        assert answer.returncode == 5
        assert problem in answer.stderr
    assert pids(three[0]).keys() == ALL
