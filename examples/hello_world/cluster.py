"""The sample cluster, built in Python instead of from configuration files: four workers and a balancer.

Run it with the Python that has quaestor_actors: python examples/hello_world/cluster.py
"""

from __future__ import annotations

import sys
from pathlib import Path

from quaestor_actors.core.spec import AgentSpec, BalancerSpec, ClusterSpec, ShutdownAction
from quaestor_actors.launcher import run_cluster

WORKERS = AgentSpec(
    agent_type="Worker",
    executable=str(Path(__file__).resolve().with_name("worker.py")),
    arguments="Worker {Port}",
    process_count=4,
    ports=(5161, 5162, 5163, 5164),
    service_names=("Worker",),
    shutdown_action=ShutdownAction.KILL,
)

CLUSTER = ClusterSpec(
    name="hello-python",
    agents=(WORKERS,),
    balancer=BalancerSpec(host_name="127.0.0.1", port=5150),
)

if __name__ == "__main__":
    sys.exit(run_cluster(CLUSTER))
