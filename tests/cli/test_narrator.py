"""What the launcher tells of the registry."""

from __future__ import annotations

import io
from dataclasses import replace

from quaestor_actors.actors.root_messages import Changed
from quaestor_actors.actors.view import RegistryView
from quaestor_actors.console import lines_for_people
from quaestor_actors.core.spec import ClusterSpec
from quaestor_actors.launcher import Narrator

FOLLOWING = RegistryView(
    store="etcd at 10.0.0.7:2379", state="following", since=0.0, reason="", locations=4, registered=2
)


def told(*views: RegistryView) -> list[str]:
    """Return the lines, without the times."""
    stream = io.StringIO()
    narrator = Narrator(ClusterSpec(name="demo"), lines_for_people(stream))
    for view in views:
        narrator.changed(Changed(registry=view))
    return [line.partition(" ")[2] for line in stream.getvalue().splitlines()]


def test__registry__each_new_standing_is_a_line() -> None:
    degraded = replace(FOLLOWING, state="degraded", reason="no answer from 10.0.0.7:2379 within 2 s")
    assert told(
        replace(FOLLOWING, state="connecting"),
        FOLLOWING,
        replace(FOLLOWING, locations=5),
        degraded,
        replace(degraded, reason="no connection"),
        FOLLOWING,
    ) == [
        "registry     following    etcd at 10.0.0.7:2379",
        "registry     degraded     etcd at 10.0.0.7:2379: no answer from 10.0.0.7:2379 within 2 s",
        "registry     following    etcd at 10.0.0.7:2379",
    ]


def test__registry__connecting_is_news_when_something_is_in_the_way() -> None:
    refused = replace(FOLLOWING, state="connecting", reason="10.0.0.7:2379 refuses")
    fallback = replace(refused, state="fallback")
    assert told(refused, fallback) == [
        "registry     connecting   etcd at 10.0.0.7:2379: 10.0.0.7:2379 refuses",
        "registry     fallback     etcd at 10.0.0.7:2379: 10.0.0.7:2379 refuses",
    ]


def test__registry__in_memory_is_no_news() -> None:
    assert told(replace(FOLLOWING, store="memory")) == []
