"""All peers by name."""

from __future__ import annotations

from peers.circus import FASTEST_CHECK_DELAY_S, Circus
from peers.ours import Ours
from peers.peer import Peer
from peers.runit import Runit
from peers.s6 import S6
from peers.supervisord import Supervisord

DEFAULT = ("ours", "runit", "s6", "supervisord", "circus")
"""Measured unless others are asked for."""


def all_peers() -> dict[str, Peer]:
    """Return every known peer."""
    peers: list[Peer] = [
        Ours(),
        Runit(),
        S6(),
        Supervisord(),
        Circus(),
        Circus("circus-fast", FASTEST_CHECK_DELAY_S),
    ]
    return {peer.name: peer for peer in peers}
