"""The sample worker: worker.py WORKER PORT [SECONDS_UNTIL_UNHEALTHY [CURRENT_REQUESTS]].

WORKER is the service name. After SECONDS_UNTIL_UNHEALTHY (0 or left out: never) the worker says NOT_SERVING; if
QUAESTOR_WORKER_EXIT_WHEN_UNHEALTHY is true it ends with code 42 instead. CURRENT_REQUESTS is how many running requests
it reports, of a capacity of 1. SIGUSR1 turns its health over, to see what the cluster does about it.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from dataclasses import dataclass

from quaestor_actors.errors import QuaestorError
from quaestor_actors.worker import ServiceLoad, WorkerServer

USAGE = "usage: worker.py WORKER PORT [SECONDS_UNTIL_UNHEALTHY [CURRENT_REQUESTS]]"
EXIT_UNHEALTHY = 42
EXIT_USAGE = 2


@dataclass(frozen=True)
class Arguments:
    """The command line."""

    service_name: str
    port: int
    seconds_until_unhealthy: float = 0.0
    current_requests: int = 0


def parse(words: list[str]) -> Arguments:
    """Read the command line; ValueError if it is not as the usage says."""
    name, port, *rest = words
    seconds, requests, *surplus = [*rest, "0", "0"][: max(2, len(rest))]
    arguments = Arguments(name, int(port), float(seconds), int(requests))
    is_in_range = (
        0 < arguments.port < 2**16
        and 0 <= arguments.seconds_until_unhealthy < math.inf
        and 0 <= arguments.current_requests < 2**31
    )
    if surplus or not name or not is_in_range:
        raise ValueError(words)
    return arguments


def main() -> int:
    """Serve until SIGTERM or until unhealthy; return the exit code."""
    try:
        arguments = parse(sys.argv[1:])
    except ValueError:
        print(USAGE, file=sys.stderr)
        return EXIT_USAGE
    load = ServiceLoad(request_capacity=1, current_requests=arguments.current_requests)
    server = WorkerServer(port=arguments.port, loads={arguments.service_name: load})
    is_healthy = True

    def set_healthy(*, wanted: bool) -> None:
        nonlocal is_healthy
        is_healthy = wanted
        server.set_serving(is_serving=wanted)
        print(f"{arguments.service_name} on {server.port}: {'healthy' if wanted else 'unhealthy'}", flush=True)

    signal.signal(signal.SIGUSR1, lambda *_: set_healthy(wanted=not is_healthy))
    try:
        server.start()
    except QuaestorError as error:
        print(f"worker.py: {error}", file=sys.stderr)
        return EXIT_USAGE
    print(f"{arguments.service_name} serves on {server.port}, pid {os.getpid()}", flush=True)
    unhealthy_at = time.monotonic() + arguments.seconds_until_unhealthy if arguments.seconds_until_unhealthy else None
    exits = os.environ.get("QUAESTOR_WORKER_EXIT_WHEN_UNHEALTHY", "").lower() == "true"

    def look_at_the_clock() -> None:
        if unhealthy_at is None or not is_healthy or time.monotonic() < unhealthy_at:
            return
        if exits:
            os._exit(EXIT_UNHEALTHY)
        set_healthy(wanted=False)

    server.wait(on_tick=look_at_the_clock, tick_s=0.1 if unhealthy_at else None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
