"""A changed configuration: checked whole, shown as a plan, and only what changed is touched."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import replace

import psutil
from support.cluster import Cluster
from support.processes import is_alive
from support.waiting import wait_until

AGENT = """
  - agentType: {name}
    executablePath: /bin/sleep
    commandLineArguments: "{seconds}"
    processCount: {count}
    probe: none
    clusterShutdownAction: Kill
    {extra}
"""


def agent(name: str, *, seconds: int = 100000, count: int = 1, extra: str = "") -> str:
    return AGENT.format(name=name, seconds=seconds, count=count, extra=extra)


def pids(cluster: Cluster) -> dict[str, int]:
    return {member["member"]: member["pid"] for member in cluster.status()["members"]}


def reload(cluster: Cluster) -> None:
    assert cluster.launcher is not None
    cluster.launcher.send_signal(signal.SIGHUP)


HANGS = """
import os, signal
from pathlib import Path

# Whoever reads the configuration tries this class out, and would give up after a while.
os.kill(os.getppid(), signal.SIGSTOP)
Path(__file__).with_name("trial.new").write_text(f"{os.getpid()} {os.getppid()}")
Path(__file__).with_name("trial.new").rename(Path(__file__).with_name("trial"))
signal.pause()
"""


def hang_the_reader(cluster: Cluster) -> list[psutil.Process]:
    """Have the configuration read by somebody who never comes to an end; return who takes part in that."""
    trial = cluster.directory / "trial"
    trial.unlink(missing_ok=True)
    (cluster.directory / "hanging.py").write_text(HANGS)
    file = cluster.directory / "quaestor.loadbalancer.config.yml"
    file.write_text(file.read_text().replace("  hostName", "  ranking: hanging:Ranking\n  hostName"))

    def readers() -> list[psutil.Process] | None:
        # A change that is noticed only now takes the place of the reading before it.
        with contextlib.suppress(FileNotFoundError, psutil.NoSuchProcess):
            return [psutil.Process(int(pid)) for pid in trial.read_text().split()]
        return None

    return wait_until(readers, timeout_s=30, what="the class to be tried out") or []


def test__changed_file__touches_only_what_changed(cluster: Cluster) -> None:
    cluster.write(agent("A") + agent("B", count=2) + agent("Gone"))
    cluster.launch()
    before = pids(cluster)
    new = replace(cluster, directory=cluster.directory / "new")
    new.directory.mkdir()
    new.write(agent("A") + agent("B", count=2, seconds=200000) + agent("New"))
    planned = cluster.run("plan", "-c", str(new.directory))
    assert planned.returncode == 0
    assert planned.stdout.splitlines() == [
        "replace  B/1: arguments changed",
        "replace  B/2: arguments changed",
        "stop     Gone: 1 member, no longer configured",
        "start    New: 1 member, added",
    ]
    (new.directory / "quaestor.cluster.config.yml").rename(cluster.directory / "quaestor.cluster.config.yml")
    # The file is noticed by itself.
    cluster.wait_for_output("the configuration changed")
    wait_until(lambda: set(pids(cluster)) == {"A/1", "B/1", "B/2", "New/1"}, what="the new members")
    cluster.wait_for_member("New/1", "serving")
    after = wait_until(
        lambda: (now := pids(cluster))["B/2"] not in {None, before["B/2"]} and now, what="B to be replaced"
    )
    assert after["A/1"] == before["A/1"]
    assert after["B/1"] != before["B/1"]
    again = cluster.run("plan", "-c", str(cluster.directory))
    assert again.stdout == ""
    assert "nothing would change" in again.stderr
    assert cluster.stop() == 0
    assert not cluster.relatives()


def test__scaling__leaves_the_others_alone(cluster: Cluster) -> None:
    cluster.write(agent("A", count=2))
    cluster.launch()
    before = pids(cluster)
    cluster.write(agent("A", count=4))
    reload(cluster)
    cluster.wait_for_member("A/4", "serving")
    assert {name: pid for name, pid in pids(cluster).items() if name in before} == before
    cluster.write(agent("A", count=1))
    reload(cluster)
    wait_until(lambda: pids(cluster) == {"A/1": before["A/1"]}, what="the surplus to go")


def test__bad_file__is_reported_and_the_old_one_stays(cluster: Cluster) -> None:
    cluster.write(agent("A"))
    cluster.launch()
    before = pids(cluster)
    cluster.write(agent("A", extra="processCuont: 3"))
    reload(cluster)
    cluster.wait_for_output("unknown key (did you mean processCount?)")
    assert "everything goes on as before" in cluster.output
    assert cluster.run("plan", "-c", str(cluster.directory)).returncode == 2
    cluster.write(agent("A", count=2))
    reload(cluster)
    cluster.wait_for_member("A/2", "serving")
    assert pids(cluster)["A/1"] == before["A/1"]


def test__probe_and_log_level__change_without_a_restart(cluster: Cluster) -> None:
    cluster.write(agent("A"))
    cluster.launch()
    before = pids(cluster)
    probed = (
        agent("A")
        .replace("probe: none", 'probe: exec\n    probeCommand: "test ! -e {0}/ill"')
        .replace("{0}", str(cluster.directory))
    )
    cluster.write(
        probed.replace("clusterShutdown", "probeIntervalSeconds: 0.1\n    clusterShutdown"),
        cluster_extra="logLevel: debug",
    )
    reload(cluster)
    cluster.wait_for_output("change   A: probe")
    wait_until(lambda: any(a["name"] == "agent/A/prober" for a in cluster.status()["actors"]), what="the prober")
    assert pids(cluster) == before
    (cluster.directory / "ill").touch()
    cluster.wait_for_output("A/1          stopping     unhealthy")


def test__configuration_fixed_while_stopped__is_applied_to_adopted_members(cluster: Cluster) -> None:
    stays = agent("A").replace("Kill", "None")
    cluster.write(stays)
    cluster.launch()
    before = pids(cluster)
    assert cluster.stop() == 0
    cluster.write(stays.replace("100000", "200000"))
    cluster.launch()
    wait_until(lambda: pids(cluster)["A/1"] not in {None, before["A/1"]}, what="the outdated member to be replaced")
    cluster.write(stays.replace("100000", "200000").replace("None", "Kill"))
    reload(cluster)
    cluster.wait_for_output("change   A: ")
    assert cluster.stop() == 0


def test__changed_balancer_port__moves_the_balancer_and_no_member(cluster: Cluster) -> None:
    cluster.launch()
    before = pids(cluster)
    cluster.balancer_port += 1
    cluster.configure_balancer()
    cluster.wait_for_output("replace  balancer: port changed")
    wait_until(
        lambda: cluster.status()["balancer_address"] == f"127.0.0.1:{cluster.balancer_port}", what="the new port"
    )
    assert pids(cluster) == before


def test__configuration_whose_reader_hangs__holds_up_nothing(cluster: Cluster) -> None:
    cluster.environment_extra["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(cluster.directory), os.environ.get("PYTHONPATH")])
    )
    cluster.launch()
    readers = hang_the_reader(cluster)
    root = cluster.actor_pid("root")
    os.kill(root, signal.SIGKILL)
    wait_until(lambda: cluster.actor_is_replaced("root", root), timeout_s=30, what="another root")
    cluster.configure_balancer()
    reload(cluster)
    cluster.wait_for_output("the new configuration means the same")
    wait_until(lambda: not any(map(is_alive, readers)), what="the end of the reading that is out of date")
    readers = hang_the_reader(cluster)
    assert cluster.stop() == 0
    assert not any(map(is_alive, readers))
    assert not cluster.relatives()
