"""A change goes from host to host: another configuration, and another version of quaestor."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cluster import ROOT
from support.host_cluster import PATIENCE_S, SLEEPERS, HostCluster, make_hosts, start_hosts
from support.waiting import wait_until

from quaestor_actors.cli.host_differences import APPLY

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[list[HostCluster]]:
    """Yield two hosts that are not started."""
    hosts = make_hosts(tmp_path, addresses=("127.0.0.1", "127.0.0.2"))
    try:
        yield hosts
    finally:
        for host in hosts:
            host.clean_up()


def add(host: HostCluster, agent: str) -> None:
    """Change the configuration of a host, and have it applied."""
    with (host.directory / "quaestor.cluster.config.yml").open("a") as file:
        file.write(agent)
    answer = host.run("apply", "--yes")
    assert answer.returncode == 0, answer.stderr


def test__another_configuration__and_what_was_scaled__is_told_until_it_is_not_so(two: list[HostCluster]) -> None:
    first, second = two
    start_hosts(two)
    told = f"a1 and a2 have different configurations: {APPLY}"
    assert first.run("hosts").stdout.splitlines()[0].split()[0] == "HOST"
    # What is added does not concern the host on which it is added first.
    added = SLEEPERS.replace("Sleeper", "Other") + "  hosts: [a1]\n"
    add(second, added)
    assert told in first.run("hosts").stdout
    assert told in second.run("status").stdout
    digests = {name: host["configuration"] for name, host in first.hosts().items()}
    assert len(set(digests.values())) == 2
    add(first, added)
    assert "different" not in first.run("hosts").stdout
    assert {host["configuration"] for host in second.hosts().values()} == {digests["a2"]}

    # What was scaled by hand is no matter of the files.
    assert second.run("scale", "Sleeper", "3").returncode == 0
    told = "a2 has another number of Sleeper than its configuration says, as scaled by hand"
    assert told in first.run("hosts").stdout
    assert second.run("apply", "--yes").returncode == 0
    assert told not in first.run("hosts").stdout


def make_version(folder: Path, *, messages: tuple[tuple[str, str, str], ...]) -> None:
    """Copy the package, and change its source: file, pattern, replacement."""
    shutil.copytree(ROOT / "quaestor_actors", folder / "quaestor_actors", ignore=shutil.ignore_patterns("__pycache__"))
    for name, pattern, replacement in messages:
        file = folder / "quaestor_actors" / name
        text, count = re.subn(pattern, replacement, file.read_text())
        assert count == 1, pattern
        file.write_text(text)


def run_by(host: HostCluster, folder: Path) -> None:
    """Have a host run the package of a folder."""
    host.environment_extra["PYTHONPATH"] = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])


def test__host_of_another_minor_version__takes_part(tmp_path: Path, two: list[HostCluster]) -> None:
    first, second = two
    make_version(
        tmp_path / "other",
        messages=(
            # It has one field that this version lacks, and lacks one that this version has.
            ("actors/view.py", r'    scaled: tuple\[str, ...\] = \(\)\n    """[^"]*"""\n', "    mood: str = 'fine'\n"),
            ("actors/root_view.py", r"            scaled=[^\n]*\n", "            mood='better',\n"),
            ("actors/root_view.py", r"= package_version\(\)", "= '0.2.0'"),
            ("cli/render_hosts.py", r'        "scaled": [^\n]*\n', ""),
            ("cli/host_differences.py", r", \*_scaled\(trees\)", ""),
            ("core/crossing.py", r"OLDEST, NEWEST = 1, 1", "OLDEST, NEWEST = 1, 2"),
        ),
    )
    run_by(second, tmp_path / "other")
    start_hosts(two)
    for host in two:
        versions = {name: seen["version"] for name, seen in host.hosts().items()}
        assert versions.pop("a2") == "0.2.0"
        assert "a2 runs quaestor 0.2.0" in host.run("hosts").stdout
    for host, member in ((first, "Sleeper/1@a2"), (second, "Sleeper/1@a1")):
        answer = host.run("restart", member)
        assert (answer.returncode, answer.stdout) == (0, f"restart {member}: serving\n"), answer.stderr
        assert host.run("events", member).stdout.count("Sleeper/1") >= 2
        assert "here is pid" in host.run("logs", member).stdout


def test__host_that_speaks_nothing_in_common__is_told_of(tmp_path: Path, two: list[HostCluster]) -> None:
    first, second = two
    make_version(
        tmp_path / "other", messages=(("core/crossing.py", r"OLDEST, NEWEST = 1, 1", "OLDEST, NEWEST = 2, 3"),)
    )
    run_by(second, tmp_path / "other")
    for host in two:
        host.launch(wait_for="members serve")
    speaks = "speaks versions 2 to 3 of the messages between hosts, this one 1"
    wait_until(lambda: first.hosts()["a2"]["reason"] == speaks, PATIENCE_S, "the first host to tell")
    speaks = "speaks version 1 of the messages between hosts, this one 2 to 3"
    wait_until(lambda: second.hosts()["a1"]["reason"] == speaks, PATIENCE_S, "the second host to tell")
    answer = first.run("restart", "Sleeper/1@a2")
    assert answer.returncode != 0
    for host in two:
        assert host.run("restart", f"Sleeper/1@{host.host}").returncode == 0
        log = "".join(path.read_text() for path in (host.directory / "log").glob("*/*.log"))
        assert "Traceback" not in log
        assert f"{'a2' if host is first else 'a1'}: joined: speaks" in log
