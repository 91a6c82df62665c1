"""Agents that wait for others at the start, and outlive them at the stop."""

from __future__ import annotations

from support.cluster import Cluster

STORE_AND_WORKERS = """
  - agentType: Worker
    executablePath: /bin/sleep
    commandLineArguments: "100000"
    probe: none
    processCount: 2
    dependsOn: {{Store: {condition}}}
    clusterShutdownAction: Kill
  - agentType: Store
    executablePath: /bin/sh
    commandLineArguments: "-c '{script}'"
    probe: exec
    probeCommand: "test -e {marker}"
    startupWaitSeconds: 60
    clusterShutdownAction: Kill
    {extra}
"""


def test__depends_on_serving__waits_for_it_and_stops_before_it(cluster: Cluster) -> None:
    marker = cluster.directory / "serves"
    cluster.write(STORE_AND_WORKERS.format(condition="serving", marker=marker, script="exec sleep 100000", extra=""))
    cluster.launch(wait_for="Store/1      starting")
    assert "agent Worker waits for Store (serving)" in cluster.run("status").stdout
    assert [member["state"] for member in cluster.status()["members"] if member["member"] != "Store/1"] == [
        "pending"
    ] * 2
    marker.touch()
    cluster.wait_for_output("all 3 members serve")
    serving = [line.split()[1] for line in cluster.output.splitlines() if " serving " in line]
    assert serving[0] == "Store/1"
    assert cluster.stop() == 0
    stopped = [line.split()[1] for line in cluster.output.splitlines() if " stopped  " in line]
    assert sorted(stopped[:2]) == ["Worker/1", "Worker/2"]
    assert stopped[2] == "Store/1"


def test__depends_on_completed__waits_for_a_job_to_be_done(cluster: Cluster) -> None:
    go = cluster.directory / "go"
    script = f"while ! test -e {go}; do sleep 0.01; done"
    agents = STORE_AND_WORKERS.format(condition="completed", marker="/", script=script, extra="restart: transient")
    cluster.write(agents)
    cluster.launch(wait_for="Store/1      serving")
    assert cluster.member("Worker/1")["state"] == "pending"
    go.touch()
    cluster.wait_for_member("Worker/2", "serving")
    assert cluster.member("Store/1")["state"] == "stopped"


def test__start_concurrency__limits_how_many_start_at_once(cluster: Cluster) -> None:
    cluster.write(
        f"""
  - agentType: Job
    executablePath: /bin/sleep
    commandLineArguments: "100000"
    processCount: 5
    startConcurrency: 2
    probe: exec
    probeCommand: "test -e {cluster.directory}/{{Port}}"
    startupWaitSeconds: 60
    clusterShutdownAction: Kill
"""
    )
    cluster.launch(wait_for="Job/2        starting")
    started: list[str] = []
    for already in range(0, 5, 2):
        cluster.wait_for_output(f"Job/{min(already + 2, 5)}        starting")
        starting = [member for member in cluster.status()["members"] if member["state"] == "starting"]
        assert len(starting) <= 2
        # Job/5 starts when the first of those before it serves; the other one may not be seen to serve yet.
        new = [member for member in starting if member["member"] not in started]
        assert len(new) == min(2, 5 - already)
        for member in new:
            started.append(member["member"])
            (cluster.directory / str(member["port"])).touch()
    cluster.wait_for_output("all 5 members serve")
    assert started == [f"Job/{number}" for number in range(1, 6)]
