"""Where in the store the hosts of one cluster agree on who coordinates, who is there, and who runs what.

    quaestor/clusters/{cluster}/hosts/{host}             under the host's lease: it is there
    quaestor/clusters/{cluster}/coordinator              under the lease of the host that coordinates; its name
    quaestor/clusters/{cluster}/slots/{agent}/{number}   where a copy of a floating agent is to run: a host's name
    quaestor/clusters/{cluster}/claims/{agent}/{number}  under the lease of the host that runs it; the host's name

Names are escaped like those of locations, so that no `/` breaks a key. A key and what it says correspond one to one, so
whatever is not exactly such a key is none.
"""

from __future__ import annotations

import re

from quaestor_actors.core.location_key import escaped, plain
from quaestor_actors.core.placement import Slot

_NUMBER = re.compile("[1-9][0-9]{0,8}")


def prefix_of(cluster: str) -> str:
    """Return what all keys of a cluster begin with."""
    return f"quaestor/clusters/{escaped(cluster)}/"


def coordinator_key(cluster: str) -> str:
    """Return the key of who coordinates."""
    return f"{prefix_of(cluster)}coordinator"


def host_key(cluster: str, host: str) -> str:
    """Return the key of a host that is there."""
    return f"{prefix_of(cluster)}hosts/{escaped(host)}"


def slot_key(cluster: str, slot: Slot) -> str:
    """Return the key of where a copy is to run."""
    return f"{prefix_of(cluster)}slots/{_path(slot)}"


def claim_key(cluster: str, slot: Slot) -> str:
    """Return the key of who runs a copy."""
    return f"{prefix_of(cluster)}claims/{_path(slot)}"


def host_of(cluster: str, key: str) -> str | None:
    """Return the host that is there by this key, or None if it is another kind of key."""
    host = plain(key.removeprefix(f"{prefix_of(cluster)}hosts/"))
    return host if host and key == host_key(cluster, host) else None


def slot_of(cluster: str, key: str) -> Slot | None:
    """Return the copy whose place this key says, or None if it is another kind of key."""
    slot = _slot(key)
    return slot if slot is not None and key == slot_key(cluster, slot) else None


def claimed_by(cluster: str, key: str) -> Slot | None:
    """Return the copy that is claimed by this key, or None if it is another kind of key."""
    slot = _slot(key)
    return slot if slot is not None and key == claim_key(cluster, slot) else None


def _path(slot: Slot) -> str:
    return f"{escaped(slot.agent)}/{slot.number}"


def _slot(key: str) -> Slot | None:
    path, _, number = key.rpartition("/")
    agent = path.rpartition("/")[2]
    return Slot(plain(agent), int(number)) if agent and _NUMBER.fullmatch(number) else None
