"""Every key is in the reference, and the reference names no key that there is not."""

from __future__ import annotations

import re
from pathlib import Path

from quaestor_actors.config.schema import (
    ActorKeys,
    ClusterKeys,
    FloatingKeys,
    HostKeys,
    LoadBalancerKeys,
    MetricsKeys,
)
from quaestor_actors.config.schema_agent import AgentKeys

REFERENCE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test__reference__lists_exactly_the_keys_that_there_are() -> None:
    rows = [line.split("|")[1] for line in REFERENCE.read_text().splitlines() if line.startswith("| `")]
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    kinds = (ClusterKeys, HostKeys, ActorKeys, AgentKeys, FloatingKeys, LoadBalancerKeys, MetricsKeys)
    assert listed == {name for kind in kinds for name in kind.names()}
