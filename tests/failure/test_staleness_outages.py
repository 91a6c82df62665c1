"""What clients are answered while locations come and go, and the etcd of three that all sites share is in trouble.

What is known is not forgotten, the dead are not named, and what is registered or deregistered meanwhile is known
everywhere soon after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest
from support.discovery_history import Cause, Promises
from support.discovery_plan import REST_EVERY, plan
from support.discovery_world import run_world
from support.etcd import EtcdCluster, run_etcd
from support.profiles import examples

BOUND_S = 1.0
"""As without outages: what docs/balancer.md calls milliseconds, on a machine that is busy."""

HOLD_S = 3.0
"""docs/registry.md: what vanishes right after an outage is kept so long."""

RECOVERY_S = 2.0
"""docs/registry.md: after an outage all is known everywhere within half a second, rarely above one."""

PROMISES = Promises(
    bounds_s={**dict.fromkeys(Cause, BOUND_S), Cause.STARTED: BOUND_S + 0.5}, recovered_s=HOLD_S + RECOVERY_S
)

TTL_S = 5.0
"""Shorter ones might end because a registrar waits for a processor."""

REST_S = BOUND_S + 0.8
"""Longer than any bound, so that there is quiet."""

OWNERS = (0, 0, 0, 1, 1, 1)
SEEDS = range(examples(1))
TROUBLES_PER_SEED = 2


@dataclass(frozen=True)
class Trouble:
    """Something that can happen to etcd."""

    name: str
    begin: Callable[[EtcdCluster], None]
    rest_s: float = REST_S
    """Its longest part."""


def _hang_the_first(etcd: EtcdCluster) -> None:
    etcd.nodes[0].pause()


def _hang_all(etcd: EtcdCluster) -> None:
    for node in etcd.nodes:
        node.pause()


def _kill_the_leader(etcd: EtcdCluster) -> None:
    etcd.leader().kill()


def _kill_two(etcd: EtcdCluster) -> None:
    for node in etcd.nodes[:2]:
        node.kill()


TROUBLES = (
    Trouble("all nodes hang for longer than leases last", _hang_all, TTL_S + 1.0),
    Trouble("the leader is killed", _kill_the_leader),
    Trouble("the quorum is lost", _kill_two),
    Trouble("the node that is asked hangs", _hang_the_first),
)


@contextmanager
def in_trouble(etcd: EtcdCluster, trouble: Trouble) -> Iterator[None]:
    """Bring etcd into trouble, and out of it after the block."""
    trouble.begin(etcd)
    yield
    for node in etcd.nodes:
        if node.process.poll() is None:
            node.resume()
        else:
            node.start()
    etcd.expect_ready()


@pytest.mark.parametrize("seed", SEEDS)
def test__etcd_of_three__in_trouble__answers_keep_what_is_promised(tmp_path: Path, seed: int) -> None:
    troubles: Sequence[Trouble] = Random(seed).sample(TROUBLES, TROUBLES_PER_SEED)
    steps = plan(seed, (2 * len(troubles) + 1) * REST_EVERY, owners=OWNERS, rest_s=REST_S, restarts=False)
    chapters = iter([steps[at : at + REST_EVERY] for at in range(0, len(steps), REST_EVERY)])
    with run_etcd(tmp_path, size=3) as etcd, run_world(owners=OWNERS, store=etcd.spec(), ttl_s=TTL_S) as world:
        world.tell(next(chapters))
        for trouble in troubles:
            *steps, rest = next(chapters)
            with world.outage(trouble.name), in_trouble(etcd, trouble):
                world.tell([*steps, replace(rest, pause_s=trouble.rest_s)])
            world.tell(next(chapters))
    world.check(PROMISES)
