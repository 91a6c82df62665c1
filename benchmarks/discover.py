"""Measures how fast the balancer answers DiscoverTopServices(1), beside an empty gRPC server in the same run.

Exit code: 0 if every target is kept; 1 if one is not; 2 if something could not be measured; 130 after Ctrl+C.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from balancing.children import Child
from balancing.deployed_balancer import HOST_NAME, deployed_balancer, free_port
from balancing.goals import Goal, is_broken
from balancing.whole_run import BROKEN_GOAL, conditions, run, say
from measure import processes
from measure.deployment import Deployment
from measure.follower import DeadlineError

COUNTS = (4, 100, 1_000)
QUICK_COUNTS = (4, 1_000)
CALLERS = 16
LOCATIONS_PER_PROCESS = 250
EXAMPLE = "example: .venv/bin/python benchmarks/discover.py --quick --locations 4,1000"

_START_DEADLINE_S = 60.0
_WARM_UP_S = 1.0
_SETTLE_S = 4.0
"""After the last question. The balancer takes clients for present until 3 s after it, and asks for loads until then:
that belongs to its own rounds, and must not slow down the empty server's."""
_ANSWER_DEADLINE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Thoroughness:
    """How often and how long is measured."""

    pairs: int
    round_s: float
    idle_s: float


THOROUGH = Thoroughness(pairs=15, round_s=2.0, idle_s=20.0)
QUICK = Thoroughness(pairs=6, round_s=1.0, idle_s=10.0)


@dataclass(slots=True, kw_only=True)
class Comparison:
    """Rounds with one number of locations: ours and the empty server's, pair by pair."""

    ours: list[dict[str, float]] = field(default_factory=list)
    empty: list[dict[str, float]] = field(default_factory=list)
    idle_percent: float | None = None

    def ratio(self, name: str) -> float:
        """Return the median of ours by the empty server's, over the pairs."""
        return statistics.median(mine[name] / other[name] for mine, other in zip(self.ours, self.empty, strict=True))

    def line(self, locations: int) -> str:
        """Return the row of the table."""
        cells = [f"{locations:>9,}"]
        for rounds in (self.ours, self.empty):
            for name, form in (("rate", ",.0f"), ("p50_ms", ".2f"), ("p99_ms", ".2f")):
                cells.append(f"{statistics.median(each[name] for each in rounds):>8{form}}")
        cells += [f"{self.ratio(name):>8.2f}" for name in ("rate", "p50_ms", "p99_ms")]
        cells.append(f"{'-':>8}" if self.idle_percent is None else f"{self.idle_percent:>8.2f}")
        return "".join(cells)


_HEAD = (
    f"{'':9}{'balancer':>24}{'empty server':>24}{'ratio':>24}{'idle':>8}\n"
    f"{'locations':>9}" + f"{'req/s':>8}{'p50 ms':>8}{'p99 ms':>8}" * 3 + f"{'% core':>8}"
)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be numbers like 4,100,1000, got {text!r}") from error


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], epilog=EXAMPLE)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: for a first look")
    parser.add_argument("--locations", type=_numbers, metavar="N,M", help="default: 4,100,1000; quick: 4,1000")
    return parser.parse_args()


@contextmanager
def _quiet_locations(count: int) -> Iterator[list[int]]:
    """Have workers that never work; yields their ports."""
    sizes = [min(LOCATIONS_PER_PROCESS, count - begin) for begin in range(0, count, LOCATIONS_PER_PROCESS)]
    with ExitStack() as running:
        children = [running.enter_context(Child("quiet_locations")) for _ in sizes]
        for child, size in zip(children, sizes, strict=True):
            child.tell(count=size)
        yield [port for child in children for port in child.hear(deadline_s=_START_DEADLINE_S)]


def _idle_percent(balancer: Deployment, seconds: float) -> float:
    """Return the processor time of all the balancer's processes, in per cent of a core."""
    time.sleep(_SETTLE_S)
    tree = balancer.tree()
    before, begin = processes.scheduled_ns(tree), time.monotonic()
    time.sleep(seconds)
    used_s = (processes.scheduled_ns(tree) - before) / 1e9
    return 100 * used_s / (time.monotonic() - begin)


def _compare(count: int, thoroughness: Thoroughness, *, directory: Path, empty: str, client: Child) -> Comparison:
    comparison = Comparison()
    place = Path(tempfile.mkdtemp(dir=directory, prefix=""))
    with ExitStack() as running:
        ports = running.enter_context(_quiet_locations(count))
        # Only now: a port that is free before a thousand are taken may be one of them.
        port = free_port()
        ours = f"{HOST_NAME}:{port}"
        balancer = running.enter_context(deployed_balancer(place, port=port, locations=ports))
        balancer.start()
        question: dict[str, Any] = {"await": ours, "locations": count, "seconds": _START_DEADLINE_S}
        if not client.ask(deadline_s=2 * _START_DEADLINE_S, **question):
            raise DeadlineError(f"the balancer does not offer {count} locations; it says: {balancer.output()}")
        comparison.idle_percent = _idle_percent(balancer, thoroughness.idle_s)

        def measured(address: str, seconds: float) -> dict[str, float]:
            answer: dict[str, float] = client.ask(
                measure=address, callers=CALLERS, seconds=seconds, deadline_s=_ANSWER_DEADLINE_S
            )
            return answer

        for address in (ours, empty):
            measured(address, _WARM_UP_S)
        for number in range(thoroughness.pairs):
            # ours, empty, empty, ours, ours, empty ...: half as many pauses, and nobody is always first.
            if number % 2:
                comparison.empty.append(measured(empty, thoroughness.round_s))
            comparison.ours.append(measured(ours, thoroughness.round_s))
            if number % 2 == 0:
                time.sleep(_SETTLE_S)
                comparison.empty.append(measured(empty, thoroughness.round_s))
    return comparison


def _goals(found: dict[int, Comparison]) -> list[Goal]:
    few, many = found.get(COUNTS[0]), found.get(COUNTS[-1])
    return [
        Goal(
            title="rate with 4 locations, by the empty server's",
            limit=0.8,
            is_minimum=True,
            measured=few.ratio("rate") if few else None,
        ),
        Goal(
            title="p99 with 4 locations, by the empty server's",
            limit=1.5,
            measured=few.ratio("p99_ms") if few else None,
        ),
        Goal(
            title="rate with 1,000 locations, by the empty server's",
            limit=0.7,
            is_minimum=True,
            measured=many.ratio("rate") if many else None,
        ),
        Goal(
            title="idle with 1,000 quiet locations, of a core",
            limit=5,
            unit="%",
            measured=many.idle_percent if many else None,
        ),
    ]


def _measure(arguments: argparse.Namespace, directory: Path) -> int:
    thoroughness = QUICK if arguments.quick else THOROUGH
    print(conditions())
    print(
        f"DiscoverTopServices(1), {CALLERS} callers in one process; medians of {thoroughness.pairs} rounds of "
        f"{thoroughness.round_s:g} s\nin turns; a ratio is the median of ours by the empty server's, pair by pair.\n"
    )
    print(_HEAD, flush=True)
    found: dict[int, Comparison] = {}
    with Child("empty_server") as server, Child("discovering_client") as client:
        empty = f"{HOST_NAME}:{server.ask(deadline_s=_ANSWER_DEADLINE_S)}"
        for count in arguments.locations or (QUICK_COUNTS if arguments.quick else COUNTS):
            say(f"{count:,} locations: idle {thoroughness.idle_s:g} s, then {thoroughness.pairs} pairs of rounds")
            found[count] = _compare(count, thoroughness, directory=directory, empty=empty, client=client)
            print(found[count].line(count), flush=True)
    goals = _goals(found)
    print("\ntargets")
    for goal in goals:
        print(goal.line)
    return BROKEN_GOAL if is_broken(goals) else 0


def main() -> int:
    """Run the comparison."""
    arguments = _arguments()
    return run(lambda directory: _measure(arguments, directory), in_memory=True)


if __name__ == "__main__":
    sys.exit(main())
