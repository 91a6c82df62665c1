"""Measures response times of real workers behind the balancer, beside other policies on the same requests.

Exit code: 0 if every target is kept; 1 if one is not; 2 if something could not be measured; 130 after Ctrl+C.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from balancing.arrivals import Scenario, drawn
from balancing.children import Child
from balancing.comparison import CENTRAL, IDEAL, SIMULATED_ROUND_ROBIN, Comparison
from balancing.goals import is_broken
from balancing.policies import REAL, Bench, bench
from balancing.simulation import central_queue, in_turn, join_shortest
from balancing.whole_run import BROKEN_GOAL, conditions, run, say

EXAMPLE = "example: .venv/bin/python benchmarks/balance.py --workers 8 --utilization 0.85 --policies ours,original"

NOTES = """* simulated on the same requests: all is known at once, and nothing takes time but the work.
"ideal" is the shortest queue. A ratio is the mean over the seeds with its 95 % confidence interval.
Work is exponential with a mean of {mean}: longer than the 50 ms of the targets, so that two processors can run the
whole set-up. Utilisation and queueing are the same, all times are longer alike. What does not grow alike is what the
balancer and gRPC take; "round robin" by "round robin *" shows how much of a figure is gRPC and this machine.
"""

_MS_PER_S = 1_000
_REQUESTS_PER_S = 140.0
"""What two processors can do for hours with reserve: client, balancer, workers and their reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thoroughness:
    """How much is measured."""

    requests: int
    seeds: int


THOROUGH = Thoroughness(requests=2_000, seeds=4)
QUICK = Thoroughness(requests=800, seeds=2)


def _list_of(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def split(text: str) -> tuple[str, ...]:
        chosen = tuple(text.split(","))
        if unknown := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known are {', '.join(known)}")
        return chosen

    return split


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], epilog=EXAMPLE)
    parser.add_argument("--quick", action="store_true", help="8 workers at 0.85, fewer requests: for a first look")
    parser.add_argument("--workers", type=_list_of(("8", "32")), metavar="8,32")
    parser.add_argument("--utilization", type=_list_of(("0.85", "0.95")), metavar="0.85,0.95")
    parser.add_argument("--arrivals", type=_list_of(("single", "bursts")), metavar="single,bursts")
    parser.add_argument("--speeds", type=_list_of(("equal", "unequal")), metavar="equal,unequal")
    parser.add_argument("--policies", type=_list_of(REAL), default=REAL, metavar="A,B", help=f"of {', '.join(REAL)}")
    parser.add_argument("--requests", type=int, help="of each seed")
    parser.add_argument("--seeds", type=int, help="how often each policy has its turn")
    parser.add_argument("--mean-ms", type=float, help="mean work; default: what makes about 140 requests a second")
    return parser.parse_args()


def _scenarios(arguments: argparse.Namespace) -> list[Scenario]:
    quick = arguments.quick
    workers = arguments.workers or (("8",) if quick else ("8", "32"))
    utilizations = arguments.utilization or (("0.85",) if quick else ("0.85", "0.95"))
    arrivals = arguments.arrivals or ("single", "bursts")
    speeds = arguments.speeds or (("equal",) if quick else ("equal", "unequal"))
    return [
        Scenario(
            workers=int(count), utilization=float(busy), is_bursty=coming == "bursts", is_unequal=speed == "unequal"
        )
        for speed, count, busy, coming in itertools.product(speeds, workers, utilizations, arrivals)
    ]


def _thoroughness(arguments: argparse.Namespace) -> Thoroughness:
    usual = QUICK if arguments.quick else THOROUGH
    return Thoroughness(requests=arguments.requests or usual.requests, seeds=arguments.seeds or usual.seeds)


def _mean_s(arguments: argparse.Namespace, scenario: Scenario) -> float:
    """Return the mean work for a scenario; the same for both utilisations and both kinds of arrivals."""
    if arguments.mean_ms is not None:
        return float(arguments.mean_ms) / _MS_PER_S
    # A multiple of 50 ms, as the targets speak of 50 ms.
    return round(scenario.rate(0.05) / scenario.utilization * 0.9 / _REQUESTS_PER_S) * 0.05


def _simulate(comparison: Comparison, *, mean_s: float, thoroughness: Thoroughness) -> None:
    speeds = comparison.scenario.speeds
    for seed in range(thoroughness.seeds):
        requests = drawn(comparison.scenario, mean_s=mean_s, count=thoroughness.requests, seed=seed)
        comparison.add(SIMULATED_ROUND_ROBIN, in_turn(requests, speeds))
        comparison.add(IDEAL, join_shortest(requests, speeds))
        comparison.add(CENTRAL, central_queue(requests, speeds))


def _measure_one(
    comparison: Comparison, benches: dict[str, Bench], *, mean_s: float, thoroughness: Thoroughness
) -> None:
    for seed in range(thoroughness.seeds):
        requests = drawn(comparison.scenario, mean_s=mean_s, count=thoroughness.requests, seed=seed)
        # The turns rotate, so that a disturbance that comes and goes with a period meets all of them.
        policies = list(benches)
        for policy in policies[seed % len(policies) :] + policies[: seed % len(policies)]:
            comparison.add(policy, benches[policy].responses(requests, seed=seed))


def _compare(scenarios: Sequence[Scenario], arguments: argparse.Namespace, *, directory: Path) -> list[Comparison]:
    """Measure scenarios with the same workers."""
    thoroughness, found = _thoroughness(arguments), []
    with ExitStack() as running:
        client, asker = (running.enter_context(Child(name)) for name in ("sending_client", "discovering_client"))
        benches = {
            policy: running.enter_context(
                bench(policy, speeds=scenarios[0].speeds, client=client, asker=asker, directory=directory)
            )
            for policy in arguments.policies
        }
        for scenario in scenarios:
            mean_s = _mean_s(arguments, scenario)
            say(f"{scenario.title}; work {mean_s * _MS_PER_S:g} ms, {scenario.rate(mean_s):.0f} requests/s")
            comparison = Comparison(scenario=scenario, rounds={policy: [] for policy in benches})
            _measure_one(comparison, benches, mean_s=mean_s, thoroughness=thoroughness)
            _simulate(comparison, mean_s=mean_s, thoroughness=thoroughness)
            print("\n".join(comparison.lines()), end="\n\n", flush=True)
            found.append(comparison)
    return found


def _measure(arguments: argparse.Namespace, directory: Path) -> int:
    scenarios, thoroughness = _scenarios(arguments), _thoroughness(arguments)
    means = sorted({_mean_s(arguments, scenario) for scenario in scenarios})
    print(conditions())
    print(f"{thoroughness.requests:,} requests for each of {thoroughness.seeds} seeds, the first tenth not counted.")
    print(NOTES.format(mean=" or ".join(f"{mean * _MS_PER_S:g} ms" for mean in means)), flush=True)
    comparisons: list[Comparison] = []
    for _, alike in itertools.groupby(scenarios, key=lambda scenario: scenario.speeds):
        comparisons += _compare(list(alike), arguments, directory=directory)
    goals = [goal for comparison in comparisons for goal in comparison.goals()]
    print("targets")
    for goal in goals:
        print(goal.line)
    return BROKEN_GOAL if is_broken(goals) else 0


def main() -> int:
    """Run the comparison."""
    arguments = _arguments()
    return run(lambda directory: _measure(arguments, directory), in_memory=True)


if __name__ == "__main__":
    sys.exit(main())
