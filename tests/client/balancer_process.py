"""A real balancer as a process of its own, told what to do by lines of JSON: python balancer_process.py SPEC.

gRPC's asyncio serves the event loops of one process from one queue, and stumbles when one of them ends before the
others: balancers that are to be killed live elsewhere than asynchronous clients and other balancers.
"""

from __future__ import annotations

import json
import sys

from support.grpc_servers import registration
from support.running_balancer import RunningBalancer


def main() -> None:
    """Print the port, then do what each line asks for and print the answer, until standard input ends."""
    running = RunningBalancer(**json.loads(sys.argv[1]))
    _say(running.port)
    for line in sys.stdin:
        request = json.loads(line)
        if request is not None:
            registered = [registration(port, incarnation=incarnation) for port, incarnation in request]
            running.register(*registered)
            running.expect_offered(*registered)
        _say(running.balancer.status().requests_answered)
    running.close()


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
