"""What can happen to an etcd that clusters register in."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from support.etcd import EtcdCluster, EtcdNode

LONG_S = float(os.environ.get("QUAESTOR_OUTAGE_SECONDS", "4"))
"""How long the long ones last: more than a lease, which then is a short one."""

SHORT_LEASE_S = 2


@dataclass(frozen=True)
class Outage:
    """One kind of outage. The name is for people."""

    name: str
    begin: Callable[[EtcdCluster, EtcdNode], None]
    """Given the etcd, and the node that is asked."""
    end: Callable[[EtcdCluster], None]
    """Returns when etcd can be used again."""
    lasts_s: float = 0.0
    """Until it is ended, counted from when everybody has noticed."""
    lease_ttl_s: int = 10
    is_noticed: bool = True
    """Whether it is to be seen in status; one that the other nodes make up for may be over too soon."""


def _kill(etcd: EtcdCluster, _asked: EtcdNode) -> None:
    for node in etcd.nodes:
        node.kill()


def _restart(etcd: EtcdCluster) -> None:
    for node in etcd.nodes:
        if node.process.poll() is not None:
            node.start()
    etcd.expect_ready()


def _wipe(etcd: EtcdCluster, asked: EtcdNode) -> None:
    _kill(etcd, asked)
    for node in etcd.nodes:
        node.wipe()


def _kill_leader(etcd: EtcdCluster, _asked: EtcdNode) -> None:
    etcd.leader().kill()


def _hang(_etcd: EtcdCluster, asked: EtcdNode) -> None:
    asked.pause()


def _lose_quorum(etcd: EtcdCluster, asked: EtcdNode) -> None:
    for node in etcd.nodes:
        if node is not asked:
            node.kill()


def _pause(etcd: EtcdCluster, _asked: EtcdNode) -> None:
    for node in etcd.nodes:
        node.pause()


def _resume(etcd: EtcdCluster) -> None:
    for node in etcd.nodes:
        node.resume()
    etcd.expect_ready()


def _nothing(_etcd: EtcdCluster) -> None:
    """Do nothing: the nodes that are left make up for it."""


OF_ONE_NODE = (
    Outage("killed and restarted", _kill, _restart),
    Outage("killed and restarted without its data", _wipe, _restart),
    Outage("paused for longer than leases last", _pause, _resume, lasts_s=LONG_S, lease_ttl_s=SHORT_LEASE_S),
)
OF_THREE_NODES = (
    Outage("leader killed", _kill_leader, _nothing, is_noticed=False),
    Outage("contacted node hung", _hang, _nothing, is_noticed=False),
    Outage("quorum lost", _lose_quorum, _restart, lasts_s=LONG_S, lease_ttl_s=SHORT_LEASE_S),
)
