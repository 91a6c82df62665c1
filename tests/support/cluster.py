"""A real cluster for a test: the installed `quaestor` command, real workers, real ports, its own folders."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import psutil
from support.ports import free_port
from support.waiting import wait_until

ROOT = Path(__file__).parents[2]
QUAESTOR = Path(sys.executable).with_name("quaestor")
WORKER = ROOT / "examples" / "hello_world" / "worker.py"

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0


@dataclass
class Cluster:
    """One cluster of sample workers and a balancer, started by the command line."""

    directory: Path
    worker_ports: tuple[int, ...]
    balancer_port: int
    name: str = "test"
    launcher: subprocess.Popen[bytes] | None = None
    environment_extra: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every command of this test."""
        return {
            **os.environ,
            "QUAESTOR_RUNTIME_DIR": str(self.directory / "run"),
            "QUAESTOR_LOG_DIR": str(self.directory / "log"),
            **self.environment_extra,
        }

    @property
    def output(self) -> str:
        """What the launcher has told so far."""
        return (self.directory / "launcher.out").read_text()

    def configure(self, *, shutdown_action: str = "Kill", agent_extra: str = "", cluster_extra: str = "") -> None:
        """Write the configuration files."""
        (self.directory / "quaestor.cluster.config.yml").write_text(
            f"""
clusterConfig:
  name: {self.name}
{cluster_extra}
agents:
  - agentType: Worker
    executablePath: {WORKER}
    commandLineArguments: "Worker {{Port}}"
    processCount: {len(self.worker_ports)}
    ports: {list(self.worker_ports)}
    serviceNames: [Worker]
    clusterShutdownAction: {shutdown_action}
{agent_extra}
  - agentType: LoadBalancer
"""
        )
        self.configure_balancer()

    def write(self, agents: str, *, cluster_extra: str = "") -> None:
        """Write a configuration of the test's own agents, without a balancer."""
        text = f"clusterConfig:\n  name: {self.name}\n{indent(dedent(cluster_extra), '  ')}\nagents:\n{dedent(agents)}"
        replacement = self.directory / "new.yml"
        replacement.write_text(text)
        replacement.rename(self.directory / "quaestor.cluster.config.yml")

    def configure_balancer(self) -> None:
        """Write the balancer's file, with the workers as its own registry."""
        (self.directory / "quaestor.loadbalancer.config.yml").write_text(
            f"""
loadBalancerConfig:
  hostName: 127.0.0.1
  port: {self.balancer_port}
agents:
  - agentType: Worker
    ports: {list(self.worker_ports)}
    serviceNames: [Worker]
"""
        )

    def run(self, *arguments: str, timeout_s: float = 20.0) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            [QUAESTOR, *arguments], env=self.environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )

    def launch(self, verb: str = "cluster", *, wait_for: str | None = "members serve") -> None:
        """Start the launcher, and wait until it told what is waited for."""
        with (self.directory / "launcher.out").open("wb") as output:
            self.launcher = subprocess.Popen(
                [QUAESTOR, verb, "-c", self.directory], env=self.environment, stdout=output, stderr=output
            )
        if wait_for is not None:
            self.wait_for_output(wait_for)

    def wait_for_output(self, text: str) -> None:
        """Wait until the launcher has told something."""
        assert self.launcher is not None
        launcher = self.launcher

        def told() -> bool:
            assert launcher.poll() is None, f"the launcher ended: {self.output}"
            return text in self.output

        wait_until(told, timeout_s=START_TIMEOUT_S, what=f"{text!r} in the launcher's output")

    def status(self) -> dict[str, Any]:
        """Return what `quaestor status -o json` says."""
        answer = self.run("status", "-o", "json", "--cluster", self.name)
        assert answer.returncode == 0, answer.stderr
        document: dict[str, Any] = json.loads(answer.stdout)
        return document

    def status_or_none(self) -> dict[str, Any] | None:
        """Return the status, or None while the tree does not answer."""
        answer = self.run("status", "-o", "json", "--cluster", self.name)
        return json.loads(answer.stdout) if answer.returncode == 0 else None

    def member(self, name: str) -> dict[str, Any]:
        """Return one member of the status."""
        return next(member for member in self.status()["members"] if member["member"] == name)

    def actor_pid(self, name: str) -> int:
        """Return the pid of one actor of the status."""
        return int(next(actor["pid"] for actor in self.status()["actors"] if actor["name"] == name))

    def wait_for_member(self, name: str, state: str) -> dict[str, Any]:
        """Wait until a member is in a state, and return it."""

        def found() -> dict[str, Any] | None:
            members: list[dict[str, Any]] = self.status()["members"]
            return next((one for one in members if one["member"] == name and one["state"] == state), None)

        return wait_until(found, timeout_s=START_TIMEOUT_S, what=f"{name} to be {state}") or {}

    def wait_for_end(self) -> int:
        """Wait until the launcher ends by itself, and return its exit code."""
        assert self.launcher is not None
        return self.launcher.wait(STOP_TIMEOUT_S)

    def told(self, who: str) -> list[str]:
        """Return what the launcher has told about one member or agent, without the times."""
        lines = (line.partition(" ")[2] for line in self.output.splitlines())
        return [line.removeprefix(who).strip() for line in lines if line.split()[:1] == [who]]

    def actor_is_replaced(self, name: str, former: int) -> bool:
        """Return whether an actor runs under another pid than its former one."""
        actors = (self.status_or_none() or {"actors": []})["actors"]
        return any(each["name"] == name and each["state"] == "running" and each["pid"] != former for each in actors)

    def processes(self) -> list[psutil.Process]:
        """Return the launcher, every actor and every member."""
        assert self.launcher is not None
        launcher = psutil.Process(self.launcher.pid)
        return [launcher, *launcher.children(recursive=True)]

    def stop(self, number: signal.Signals = signal.SIGTERM, *, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """End the launcher with a signal and return its exit code."""
        assert self.launcher is not None
        self.launcher.send_signal(number)
        return self.launcher.wait(timeout_s)

    def clean_up(self) -> None:
        """End whatever is left, by pid: first in order, then by force."""
        if self.launcher is None:
            return
        if self.launcher.poll() is None:
            self.launcher.terminate()
            try:
                self.launcher.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.launcher.kill()
                self.launcher.wait()
        # Whatever outlived the launcher, such as a member of a test in which members stay.
        left = self.relatives()
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=5)

    def relatives(self) -> list[psutil.Process]:
        """Return every live process of this test: launchers and members by their environment, actors by their parents.

        An actor's own environment cannot be read from outside, because its title is written over it.
        """
        mark = self.environment["QUAESTOR_RUNTIME_DIR"]
        found = {
            process
            for process in psutil.process_iter()
            if process.pid != os.getpid() and _environment(process).get("QUAESTOR_RUNTIME_DIR") == mark
        }
        for file in Path(mark).glob("*/admin.pid"):
            with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError, ValueError, IndexError):
                admin = psutil.Process(int(file.read_text().split()[0]))
                found |= {admin, *admin.children(recursive=True)}
        return sorted(found, key=lambda process: process.pid)


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return {}


def make_cluster(directory: Path, *, workers: int = 2) -> Cluster:
    """Return a cluster on free ports that is configured and not started."""
    cluster = Cluster(
        directory=directory,
        worker_ports=tuple(free_port() for _ in range(workers)),
        balancer_port=free_port(),
    )
    cluster.configure()
    return cluster
