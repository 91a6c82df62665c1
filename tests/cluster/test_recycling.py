"""Members that are replaced although they serve: by age, by memory, never too many at once, only when idle."""

from __future__ import annotations

from support.cluster import Cluster
from support.waiting import wait_until


def states_of(cluster: Cluster) -> list[tuple[str, str]]:
    """Return member and state of every line that the launcher told."""
    found = []
    for line in cluster.output.splitlines():
        words = line.split()
        if len(words) > 2 and words[1].startswith("Worker/"):
            found.append((words[1], words[2]))
    return found


def most_away(changes: list[tuple[str, str]]) -> int:
    """Return how many members that had served before were away at once."""
    serving: set[str] = set()
    away: set[str] = set()
    most = 0
    for member, state in changes:
        if state == "serving":
            serving.add(member)
            away.discard(member)
        elif member in serving:
            away.add(member)
            most = max(most, len(away))
    return most


def test__old_members__are_replaced_one_after_the_other(cluster: Cluster) -> None:
    cluster.configure(agent_extra="    recyclingIntervalHours: 0.0003")
    cluster.launch()
    cluster.wait_for_output("Worker/1     draining     recycled: it is older than 0.0003 h")
    cluster.wait_for_output("Worker/2     draining     recycled: it is older than 0.0003 h")
    wait_until(lambda: cluster.status()["members"][1]["restarts"] >= 1, what="both to be replaced")
    assert most_away(states_of(cluster)) == 1


def test__busy_member__is_not_recycled(cluster: Cluster) -> None:
    cluster.configure(agent_extra="    recyclingIntervalHours: 0.0001\n    drainSeconds: 0")
    path = cluster.directory / "quaestor.cluster.config.yml"
    # The workers report a running request each; an agent of idle ones beside them shows that time has passed.
    text = path.read_text().replace('Worker {Port}"', 'Worker {Port} 0 1"')
    idle = """
  - agentType: Idle
    executablePath: /bin/sleep
    commandLineArguments: "100000"
    probe: none
    recyclingIntervalHours: 0.0004
    clusterShutdownAction: Kill
"""
    path.write_text(text + idle)
    cluster.launch()
    cluster.wait_for_output("recycled: it is older than 0.0004 h")
    assert {member["restarts"] for member in cluster.status()["members"] if member["member"] != "Idle/1"} == {0}


def test__large_member__is_replaced(cluster: Cluster) -> None:
    cluster.configure(
        cluster_extra="  heartBeatIntervalSeconds: 0.3",
        agent_extra="    recyclingMemoryMegabytes: 5",
    )
    cluster.launch()
    cluster.wait_for_output("recycled: it uses ")
    wait_until(lambda: cluster.member("Worker/1")["restarts"] >= 1, what="the replacement")
    assert most_away(states_of(cluster)) == 1
