"""examples/remote_actor as it is written: two hosts on this machine, an actor on one of them, a client on the other."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from support.cluster import QUAESTOR, ROOT
from support.ports import free_port
from support.waiting import wait_until

EXAMPLE = ROOT / "examples" / "remote_actor"
PATIENCE_S = 60.0

pytestmark = pytest.mark.timeout(400)


@dataclass
class Station:
    """The example in a folder of its own, and what its commands have said."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)

    def run(self, *command: str, host: str = "a1") -> subprocess.CompletedProcess[str]:
        """Run a command on a host, to its end."""
        of_host = {"QUAESTOR_RUNTIME_DIR": f"{self.folder}/{host}", "QUAESTOR_LOG_DIR": f"{self.folder}/{host}/log"}
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment | of_host,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def ask(self, *arguments: str, host: str = "a1") -> str:
        """Run the client, and return what it has said."""
        answer = self.run(sys.executable, "client.py", *arguments, host=host)
        return answer.stdout + answer.stderr

    def states(self, host: str = "a1") -> dict[str, str]:
        """Return how the hosts stand, as one of them says."""
        answer = self.run(str(QUAESTOR), "hosts", "-o", "json", host=host)
        hosts = json.loads(answer.stdout)["hosts"] if answer.returncode == 0 else []
        return {each["name"]: each["state"] for each in hosts}

    def end(self, host: str, number: signal.Signals = signal.SIGTERM) -> None:
        """End a host by its launcher and, if that is killed, all below it."""
        launcher = psutil.Process(self.pids.pop(host))
        below = launcher.children(recursive=True)
        for process in [launcher, *(below if number is signal.SIGKILL else [])]:
            process.send_signal(number)
        psutil.wait_procs([launcher, *below], timeout=PATIENCE_S)


def blocks(folder: Path) -> list[str]:
    """Return the commands of the page, in the order in which they are to be given, with folders of this test's."""
    page = (EXAMPLE / "README.md").read_text().replace("/tmp/station", str(folder))  # noqa: S108 - of the page
    return re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """Yield both hosts, started as the page says; only the port is another one."""
    folder = tmp_path_factory.mktemp("station")
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True)
    file = folder / "quaestor.cluster.config.yml"
    file.write_text(re.sub(r"(address: [0-9.]+)", rf"\1, adminPort: {free_port()}", file.read_text()))
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    made = Station(folder=folder, environment={**os.environ, "PATH": path})
    try:
        started = made.run("bash", "-ec", blocks(folder)[0])
        found = re.findall(r"kill (\d+)", started.stderr + started.stdout)
        made.pids = dict(zip(("a2", "a1"), map(int, found), strict=False))
        assert started.returncode == 0, started.stderr
        wait_until(lambda: made.states() == {"a1": "here", "a2": "joined"}, PATIENCE_S, "the hosts to know each other")
        yield made
    finally:
        for host in list(made.pids):
            made.end(host)


def test__client__is_answered_from_the_other_host(station: Station) -> None:
    first, second, third = blocks(station.folder)[1].splitlines()
    for command in (first, second):
        answer = station.run("bash", "-ec", command)
        assert 20 < float(answer.stdout) < 23, answer.stderr
    answer = station.run("bash", "-c", third)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == ("NoSuchActorError: Thermometer@a1: there is no actor Thermometer@a1; there are: none\n")


def test__crash__is_told_and_made_good_on_its_host(station: Station) -> None:
    crash, how_often, tree, explain = blocks(station.folder)[2].splitlines()
    told = station.run("bash", "-c", crash).stderr
    assert told.startswith(
        "ActorFailedError: Thermometer: Thermometer@a2 crashed: ValueError: somebody wants 'nonsense'"
    )
    # The next one has measured as often as a new one does.
    assert station.run("bash", "-ec", how_often).stdout == "1\n"
    wait_until(
        lambda: re.search(r"actor/Thermometer +running .*1 restarts", station.run("bash", "-ec", tree).stdout),
        PATIENCE_S,
        "the tree to show it",
    )
    explained = station.run("bash", "-ec", explain).stdout
    assert explained.startswith("actor Thermometer@a2: running")
    assert "restarted: ValueError: somebody wants 'nonsense'" in explained
    events = station.run(str(QUAESTOR), "events", "Thermometer@a2", "-o", "json").stdout
    assert {event["subject"] for event in json.loads(events)["events"]} == {"actor/Thermometer"}


def test__its_own_host__finds_it_without_a_name(station: Station) -> None:
    assert 20 < float(station.ask("celsius", host="a2")) < 23
    assert 20 < float(station.ask("celsius", "thermometer@A2".title(), host="a2")) < 23


def test__host_lost__is_told_in_time_and_so_is_its_return(station: Station) -> None:
    station.end("a2", signal.SIGKILL)
    begun = time.monotonic()
    # Whether it is known by now or not, an answer is there in the time that the client has.
    said = station.ask("celsius", "Thermometer@a2")
    assert said.startswith(("HostLostError: Thermometer@a2: a2 is lost", "NoAnswerError: Thermometer@a2: "))
    assert time.monotonic() - begun < PATIENCE_S
    wait_until(lambda: station.states().get("a2") == "lost", PATIENCE_S, "a2 to be lost")
    assert station.ask("celsius", "Thermometer@a2") == "HostLostError: Thermometer@a2: a2 is lost: not heard any more\n"
    assert station.ask("celsius") == (
        "HostLostError: Thermometer: no host that answers has an actor Thermometer; a2 is lost: not heard any more\n"
    )
    again = blocks(station.folder)[0].splitlines()[1:3]
    started = station.run("bash", "-ec", "\n".join(again))
    assert started.returncode == 0, started.stderr
    station.pids["a2"] = int(re.findall(r"kill (\d+)", started.stderr + started.stdout)[-1])
    wait_until(lambda: station.states().get("a2") == "joined", PATIENCE_S, "a2 to be back")
    assert 20 < float(station.ask("celsius")) < 23
