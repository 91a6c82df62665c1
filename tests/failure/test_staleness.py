"""What clients are answered while locations come and go in every way: nothing that is gone for too long, and all else.

Several registrars share a store, each with a balancer of its own, and clients ask all balancers without pause.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.discovery_history import Cause, Promises
from support.discovery_plan import plan
from support.discovery_world import run_world
from support.etcd import run_etcd
from support.profiles import examples

BOUND_S = 1.0
"""What docs/balancer.md calls milliseconds, or at once. On a test machine everybody waits for a processor, clients that
never cease to ask above all."""

PROMISES = Promises(
    bounds_s={
        **dict.fromkeys(Cause, BOUND_S),
        # A dead address is tried again after a 25th of the time it has been away, half a second at most.
        Cause.STARTED: BOUND_S + 0.5,
    },
    # There is no outage but that of a registrar, whose successor says everything at once.
    recovered_s=BOUND_S,
)

REST_S = BOUND_S + 0.8
"""Longer than any bound, so that there is quiet."""

OWNERS = (0, 0, 0, 1, 1, 1)
STEPS = 24
SEEDS = range(examples(1))


@pytest.mark.parametrize("seed", SEEDS)
def test__memory__answers_keep_what_is_promised(seed: int) -> None:
    with run_world(owners=OWNERS) as world:
        world.tell(plan(seed, STEPS, owners=OWNERS, rest_s=REST_S))
    world.check(PROMISES)


@pytest.mark.parametrize("seed", SEEDS)
def test__etcd__answers_keep_what_is_promised(tmp_path: Path, seed: int) -> None:
    with run_etcd(tmp_path) as etcd, run_world(owners=OWNERS, store=etcd.spec()) as world:
        world.tell(plan(seed, STEPS, owners=OWNERS, rest_s=REST_S))
    world.check(PROMISES)
