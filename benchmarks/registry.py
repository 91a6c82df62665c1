"""Measures a balancer that follows a registry in etcd: its first view, how soon it sees a change, and what it takes.

Exit code: 0 if every target is kept; 1 if one is not; 2 if something could not be measured; 130 after Ctrl+C.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from balancing.children import Child
from balancing.deployed_balancer import HOST_NAME, SERVICE_NAME, deployed_follower, free_port
from balancing.etcd_server import etcd_server
from balancing.goals import is_broken
from balancing.registry_figures import (
    ASKED,
    CHANGES_HEAD,
    FIRST_VIEW_HEAD,
    QUIET,
    REST_HEAD,
    Change,
    FirstView,
    Found,
    change_line,
    first_view_line,
    goals_of,
    rest_line,
)
from balancing.whole_run import BROKEN_GOAL, conditions, run, say
from measure import processes
from measure.deployment import Deployment
from measure.follower import DeadlineError

COUNTS = (4, 1_000, 10_000)
QUICK_COUNTS = (4, 1_000)
SERVICES = 50
"""Names at each port: fewer than the watchers that a worker allows, so that all can be watched."""
CALLERS = 16
LOCATIONS_PER_PROCESS = 2_500
CHANGES_PER_S = 20.0
CHANGING = "Changing"
"""A service that all ports have and that none is registered with for long."""
EXAMPLE = "example: .venv/bin/python benchmarks/registry.py --quick"

_DEADLINE_S = 120.0
_SETTLE_S = 5.0
_LOOK_PAUSE_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Thoroughness:
    """How often and how long is measured."""

    pairs: int
    """Of changes: one location registered and deregistered."""
    idle_s: float


THOROUGH = Thoroughness(pairs=200, idle_s=20.0)
QUICK = Thoroughness(pairs=50, idle_s=10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What the balancer is to find: services at ports, and who tells of them."""

    services: list[str]
    ports: list[int]
    servers: list[Child]
    client: Child

    def asked(self) -> dict[str, list[float]]:
        """Return when the servers were begun to be watched since this was asked last, in order."""
        answers = [server.ask(deadline_s=_DEADLINE_S, asked=True) for server in self.servers]
        return {name: sorted(itertools.chain(*(each[name] for each in answers))) for name in ("health", "loads")}


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be numbers like 4,1000,10000, got {text!r}") from error


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], epilog=EXAMPLE)
    parser.add_argument("--quick", action="store_true", help="fewer changes and 1,000 locations: for a first look")
    parser.add_argument("--locations", type=_numbers, metavar="N,M", help="default: 4,1000,10000; quick: 4,1000")
    parser.add_argument(
        "--services", type=int, default=SERVICES, metavar="N", help=f"at each port; default: {SERVICES}"
    )
    return parser.parse_args()


@contextmanager
def _scene(count: int, most_services: int) -> Iterator[Scene]:
    """Have workers that never work, so many ports with so many services each that it makes this count."""
    services = min(most_services, max(count // 2, 1))
    names = [SERVICE_NAME, *(f"{SERVICE_NAME}{number}" for number in range(2, services + 1))]
    ports_per_process = max(LOCATIONS_PER_PROCESS // services, 1)
    number = math.ceil(count / services)
    sizes = [min(ports_per_process, number - begin) for begin in range(0, number, ports_per_process)]
    with ExitStack() as running:
        servers = [running.enter_context(Child("quiet_locations")) for _ in sizes]
        for server, size in zip(servers, sizes, strict=True):
            server.tell(count=size, services=[*names, CHANGING])
        ports = [port for server in servers for port in server.hear(deadline_s=_DEADLINE_S)]
        client = running.enter_context(Child("registering_client"))
        yield Scene(services=names, ports=ports, servers=servers, client=client)


def _actors(balancer: Deployment) -> dict[str, int]:
    """Return the pids of the tree's actors by their names."""
    titles = {pid: " ".join(processes.command_line(pid)) for pid in balancer.tree()}
    return {title.rpartition(": ")[2].strip(): pid for pid, title in titles.items() if title.startswith("quaestor: ")}


def _follows_at(balancer: Deployment) -> float:
    """Return when the launcher said that the registry follows etcd, to about 20 ms."""
    deadline = time.monotonic() + _DEADLINE_S
    while time.monotonic() < deadline:
        if balancer.has_said(f"following    etcd at {HOST_NAME}"):
            return time.monotonic()
        time.sleep(_LOOK_PAUSE_S)
    raise DeadlineError(f"the balancer does not follow etcd; it says: {balancer.output()}")


def _first_view(balancer: Deployment, scene: Scene, address: str) -> FirstView:
    list_s = scene.client.ask(deadline_s=_DEADLINE_S, list=True)
    balancer.start()
    begun = balancer.launched_ns / 1e9
    ports = len(scene.ports)
    scene.client.tell(**{"await": address}, services=scene.services, each=ports, seconds=_DEADLINE_S)
    follows_at = _follows_at(balancer)
    found = scene.client.hear(deadline_s=2 * _DEADLINE_S)
    processor_s = processes.scheduled_ns(balancer.tree()) / 1e9
    if found["all"] is None:
        raise DeadlineError(f"the balancer does not offer all locations; it says: {balancer.output()}")
    watched = scene.asked()
    return FirstView(
        list_s=list_s,
        processor_s=processor_s,
        follows_s=follows_at - begun,
        health_s=watched["health"][-1] - begun,
        loads_s=watched["loads"][-1] - begun,
        serving_s=found["serving"] - begun,
        all_s=found["all"] - begun,
    )


def _idle_percent(balancer: Deployment, seconds: float) -> float:
    """Return the processor time of all the balancer's processes, in per cent of a core."""
    tree = balancer.tree()
    before, begin = processes.scheduled_ns(tree), time.monotonic()
    time.sleep(seconds)
    used_s = (processes.scheduled_ns(tree) - before) / 1e9
    return 100 * used_s / (time.monotonic() - begin)


def _changes(scene: Scene, address: str, pairs: int) -> dict[str, list[Change]]:
    scene.asked()
    found: dict[str, list[list[float]]] = scene.client.ask(
        change=address,
        service=CHANGING,
        ports=scene.ports,
        pairs=pairs,
        per_s=CHANGES_PER_S,
        deadline_s=_DEADLINE_S + 4 * pairs / CHANGES_PER_S,
    )
    # One change at a time: each server that was asked for its health was asked because of the one before.
    asked = scene.asked()["health"]
    puts = []
    for at, written_s, seen_s in found["put"]:
        first = next((when for when in asked if at <= when <= at + seen_s), None)
        asked_s = None if first is None else first - at
        puts.append(Change(written_s=written_s, seen_s=seen_s, asked_s=asked_s))
    deletes = [Change(written_s=written_s, seen_s=seen_s) for _, written_s, seen_s in found["delete"]]
    return {"put": puts, "delete": deletes}


def _measure_one(count: int, thoroughness: Thoroughness, services: int, directory: Path) -> Found:
    found = Found(locations=count)
    place = Path(tempfile.mkdtemp(dir=directory, prefix=""))
    data = Path(tempfile.mkdtemp(dir=directory, prefix=""))
    with ExitStack() as running:
        scene = running.enter_context(_scene(count, services))
        etcd_port = running.enter_context(etcd_server(data))
        scene.client.ask(register=etcd_port, services=scene.services, ports=scene.ports, deadline_s=_DEADLINE_S)
        # Only now: a port that is free before many are taken may be one of them.
        port = free_port()
        address = f"{HOST_NAME}:{port}"
        balancer = running.enter_context(deployed_follower(place, port=port, etcd_port=etcd_port))
        found.first_view = _first_view(balancer, scene, address)
        time.sleep(_SETTLE_S)
        actors = _actors(balancer)
        found.memory = {name: processes.proportional_bytes([pid]) for name, pid in actors.items()}
        found.idle_percent = _idle_percent(balancer, thoroughness.idle_s)
        for kind, changes in _changes(scene, address, thoroughness.pairs).items():
            found.changes[QUIET, kind] = changes
        with Child("discovering_client") as callers:
            seconds = 2 * thoroughness.pairs / CHANGES_PER_S
            callers.tell(measure=address, callers=CALLERS, seconds=seconds, services=scene.services)
            for kind, changes in _changes(scene, address, thoroughness.pairs).items():
                found.changes[ASKED, kind] = changes
            callers.hear(deadline_s=_DEADLINE_S + seconds)
    return found


def _show(title: str, head: str, lines: Sequence[str]) -> None:
    print(f"\n{title}\n{head}")
    for line in lines:
        print(line)


def _measure(arguments: argparse.Namespace, directory: Path) -> int:
    thoroughness = QUICK if arguments.quick else THOROUGH
    print(conditions(), flush=True)
    results: list[Found] = []
    for count in arguments.locations or (QUICK_COUNTS if arguments.quick else COUNTS):
        say(f"{count:,} locations: first view, {thoroughness.idle_s:g} s idle, twice {thoroughness.pairs} changes")
        results.append(_measure_one(count, thoroughness, arguments.services, directory))
        say(first_view_line(results[-1]))
    _show("First view", FIRST_VIEW_HEAD, [first_view_line(each) for each in results])
    _show("At rest", REST_HEAD, [rest_line(each, results[0]) for each in results])
    lines = [change_line(each, asker) for asker in (QUIET, ASKED) for each in results]
    _show(f"Changes, one at a time, {CHANGES_PER_S:g} a second", CHANGES_HEAD, lines)
    goals = goals_of(results[-1])
    print("\ntargets")
    for goal in goals:
        print(goal.line)
    return BROKEN_GOAL if is_broken(goals) else 0


def main() -> int:
    """Run the measurement."""
    arguments = _arguments()
    return run(lambda directory: _measure(arguments, directory))


if __name__ == "__main__":
    sys.exit(main())
