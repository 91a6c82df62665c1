"""A client of the sample cluster: asks the workers, one after the other, how they are.

Run it while the sample cluster runs: python examples/hello_world/client.py [BALANCER...]
Kill a worker or two meanwhile; it goes on. BALANCER is 127.0.0.1:5150 if there is none.
"""

from __future__ import annotations

import sys
import time

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from quaestor_actors.client import Balancers, balanced_channel

REQUEST = health_pb2.HealthCheckRequest(service="Worker")


def main() -> int:
    """Ask once a second until Ctrl+C."""
    with Balancers(sys.argv[1:] or ["127.0.0.1:5150"]) as balancers, balanced_channel("Worker", balancers) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        while True:
            try:
                _, call = health.Check.with_call(REQUEST, timeout=2)
                print(f"a worker serves: {call.code().name}", flush=True)
            except grpc.RpcError as error:
                print(f"no answer: {error.details()}", flush=True)
            time.sleep(1)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(0)
