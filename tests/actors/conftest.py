"""A cluster of real actors in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType

import pytest
from support.simple_tree import SimpleTree, cluster, simple_tree

from quaestor_actors.core.member import Health
from quaestor_actors.core.spec import AgentSpec


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., SimpleTree]]:
    """Give a function that starts a cluster of these agents, and lets it come to rest."""
    with ExitStack() as opened:

        def begin(
            *agents: AgentSpec,
            seed: int = 0,
            first: Health = Health.SERVING,
            fates: Mapping[type, str] = MappingProxyType({}),
            **changes: object,
        ) -> SimpleTree:
            tree = opened.enter_context(simple_tree(tmp_path, cluster(*agents, **changes), seed=seed))
            tree.world.usual_health = first
            tree.fates.update(fates)
            tree.settle()
            return tree

        yield begin
