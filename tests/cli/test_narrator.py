"""What the launcher tells of the registry, and of who holds up its stop."""

from __future__ import annotations

import io
import time
from dataclasses import replace

import pytest
from support.listings import member

from quaestor_actors.actors.root_messages import Changed
from quaestor_actors.actors.view import AgentView, MemberView, RegistryView
from quaestor_actors.console import LinesForPeople
from quaestor_actors.core.spec import ClusterSpec
from quaestor_actors.launcher import Narrator

FOLLOWING = RegistryView(
    store="etcd at 10.0.0.7:2379", state="following", since=0.0, reason="", locations=4, registered=2
)


def told(*views: RegistryView) -> list[str]:
    """Return the lines, without the times."""
    stream = io.StringIO()
    narrator = Narrator(ClusterSpec(name="demo"), LinesForPeople(stream))
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


class TerminalText(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


AGENT = AgentView(agent="Worker", phase="stopping", reason="", waits_for=())


def stopping(stream: io.StringIO, *members: MemberView) -> str:
    narrator = Narrator(ClusterSpec(name="demo"), LinesForPeople(stream))
    narrator.changed(Changed(members=members, agents=(AGENT,)))
    before = len(stream.getvalue())
    narrator.waiting(40.2)
    narrator.say("stopped")
    return stream.getvalue()[before:]


def test__stop__on_a_terminal__says_who_holds_it_up_and_for_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    soon, late = (member(number, "stopping", deadline=time.time() + 100 * number) for number in (1, 2))
    told = stopping(TerminalText(), soon, late, member(3, "stopped"), member(4))
    line, rest = told.removeprefix("\r\x1b[K").split("\r\x1b[K")
    assert line.startswith("40 s left: waiting for Worker/2 and 1 more: stopping: cluster start; killed in 3m")
    assert rest.endswith("demo         stopped\n")


def test__stop__nobody_of_the_members_is_left__the_actors_are() -> None:
    assert "40 s left: waiting for the actors to end" in stopping(TerminalText(), member(1, "stopped"))


def test__stop__off_a_terminal__each_change_is_a_line_and_nothing_else() -> None:
    assert "waiting" not in stopping(io.StringIO(), member(1, "stopping"))
