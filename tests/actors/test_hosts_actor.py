"""The actor that speaks with the other hosts: who is asked, how long, and what is said of those who are silent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.simple_system import SimpleSystem
from thespian.actors import Actor, ActorSystemConventionUpdate
from thespian.system.simpleSystemBase import PendingSend
from thespian.system.transport.TCPTransport import TCPTransport

from quaestor_actors.actors.agent_messages import Command
from quaestor_actors.actors.base import Identity
from quaestor_actors.actors.hosts import HostsActor
from quaestor_actors.actors.hosts_messages import (
    EVERY_HOST,
    HostsReply,
    HostsRequest,
    PassedOn,
    StartHosts,
)
from quaestor_actors.actors.records_messages import EventsReply, EventsRequest
from quaestor_actors.actors.root_messages import CommandReply, CommandRequest
from quaestor_actors.actors.status_messages import StatusReply, StatusRequest
from quaestor_actors.actors.view import HostView, TreeView
from quaestor_actors.adapters.event_log import read
from quaestor_actors.core.crossing import CAPABILITY
from quaestor_actors.core.membership import FAREWELL, HOST, ROOT
from quaestor_actors.core.spec import HostSpec

NAMES = ("a1", "a2", "a3")
HOSTS = tuple(HostSpec(name=name, address=f"10.0.0.{name[1]}") for name in NAMES)
STATUS = StatusRequest(request_id="")
STOP = CommandRequest(request_id="", command=Command.STOP, selectors=("W/1",))


class Root(Actor):  # type: ignore[misc]  # Thespian has no type information
    """The root of a host: it answers unless it is silent."""

    silent: set[str]
    asked: list[tuple[str, str]]
    name = ""

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if isinstance(message, str):
            self.name = message
            return
        Root.asked.append((self.name, type(message).__name__))
        if self.name in Root.silent:
            return
        match message:
            case StatusRequest():
                tree = TreeView(cluster=self.name, actors=(), agents=(), members=(), balancer_address=None)
                self.send(sender, StatusReply(request_id=message.request_id, tree=tree))
            case CommandRequest():
                self.send(sender, CommandReply(request_id=message.request_id, members=message.selectors, unknown=()))


class World:
    """Host a1, and what stands for the others."""

    def __init__(self, system: SimpleSystem, folder: Path) -> None:
        self.system, self.folder = system, folder
        Root.silent, Root.asked = set(), []
        self.roots = {name: system.create(Root) for name in NAMES}
        for name, root in self.roots.items():
            system.send(root, name)
        self.hosts = system.create(HostsActor)
        start = StartHosts(
            identity=Identity(cluster="c", name="hosts", incarnation=1), hosts=HOSTS, own="a1", log_directory=folder
        )
        # Whoever starts it is its root.
        system._base._pendingSends.append(PendingSend(self.roots["a1"], start, self.hosts))
        self.settle()
        self._requests = 0

    def settle(self) -> None:
        while self.system.step():
            pass

    def pass_time(self, seconds: float) -> None:
        self.system.clock.advance(seconds, at_due=self.settle)
        self.settle()

    def heard(self, name: str, *, there: bool = True, **capabilities: Any) -> None:
        """Let the actor system tell that a host is there, or is not any more."""
        address = TCPTransport.getAddressFromString(f"10.0.0.{name[1]}:7071")
        said = {HOST: name, ROOT: self.roots[name], **capabilities}
        self.system.send(self.hosts, ActorSystemConventionUpdate(address, said, there))
        self.settle()

    def ask(self, *asks: tuple[str, Any]) -> str:
        self._requests += 1
        request = HostsRequest(request_id=str(self._requests), asks=asks)
        external = self.system._base.actorRegistry["System:ExternalRequester"].address
        self.system.send(self.hosts, PassedOn(request=request, reply_to=external))
        self.settle()
        return request.request_id

    def reply(self, request_id: str) -> HostsReply | None:
        found = [one for one in self.system.heard if isinstance(one, HostsReply) and one.request_id == request_id]
        return found[0] if found else None

    def views(self, request_id: str) -> dict[str, HostView]:
        reply = self.reply(request_id)
        assert reply is not None
        assert reply.own == "a1"
        return {host.name: host for host in reply.hosts}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Yield host a1, which has heard of a2 and a3."""
    system = SimpleSystem(seed=0)
    try:
        made = World(system, tmp_path)
        made.heard("a2")
        made.heard("a3")
        yield made
    finally:
        system.close()


def test__all_answer__the_reply_comes_at_once(world: World) -> None:
    views = world.views(world.ask((EVERY_HOST, STATUS)))
    assert {name: (view.state, view.is_current, view.reason) for name, view in views.items()} == {
        "a1": ("here", True, ""),
        "a2": ("joined", True, ""),
        "a3": ("joined", True, ""),
    }
    assert {name: view.tree.cluster for name, view in views.items() if view.tree} == {name: name for name in NAMES}


def test__one_is_silent__the_others_are_shown_after_a_second_and_its_last_word_with_its_age(world: World) -> None:
    said_at = world.system.clock.wall_clock()
    world.pass_time(2.0)
    Root.silent = {"a3"}
    asked = world.ask((EVERY_HOST, STATUS))
    world.pass_time(0.99)
    assert world.reply(asked) is None
    world.pass_time(0.02)
    views = world.views(asked)
    assert (views["a2"].is_current, views["a3"].is_current) == (True, False)
    assert (views["a3"].state, views["a3"].reason) == ("joined", "does not answer within 1 s")
    assert views["a3"].tree is not None
    assert views["a3"].tree_at == said_at


def test__silent_one_is_lost_meanwhile__nobody_waits_for_it(world: World) -> None:
    Root.silent = {"a3"}
    asked = world.ask((EVERY_HOST, STATUS))
    assert world.reply(asked) is None
    world.heard("a3", there=False)
    views = world.views(asked)
    assert (views["a3"].state, views["a3"].reason) == ("lost", "not heard any more")
    # From then on it is not asked at all.
    before = len(Root.asked)
    assert world.reply(world.ask(("a3", STATUS))) is not None
    world.pass_time(20.0)
    assert ("a3", "StatusRequest") not in Root.asked[before:]


def test__command__reaches_only_whom_it_is_for(world: World) -> None:
    before = len(Root.asked)
    reply = world.reply(world.ask(("a3", STOP), ("b9", STOP)))
    assert reply is not None
    assert [(host, answer.members) for host, answer in reply.answers] == [("a3", ("W/1",))]
    assert Root.asked[before:] == [("a3", "CommandRequest")]
    assert all(host.tree is None for host in reply.hosts)


def test__time__asks_each_host_again_and_again_whoever_is_silent(world: World) -> None:
    Root.silent = {"a2"}
    before = len(Root.asked)
    world.pass_time(15.5)
    asked = [name for name, _ in Root.asked[before:]]
    assert (asked.count("a2"), asked.count("a3"), asked.count("a1")) == (3, 3, 0)


def test__late_answer__is_remembered_and_nobody_gets_it(world: World) -> None:
    Root.silent = {"a3"}
    asked = world.ask((EVERY_HOST, STATUS))
    world.pass_time(1.01)
    before = len(world.system.heard)
    world.system.clock.advance(1.0)
    tree = TreeView(cluster="late", actors=(), agents=(), members=(), balancer_address=None)
    world.system.send(world.hosts, StatusReply(request_id=f"{asked} a3", tree=tree))
    world.settle()
    assert len(world.system.heard) == before
    again = world.ask((EVERY_HOST, STATUS))
    world.pass_time(1.01)
    assert world.views(again)["a3"].tree == tree


def test__coming_and_going__is_written_down(world: World) -> None:
    world.heard("a3", there=False, **{FAREWELL: True})
    told = [(one.subject, one.before, one.after, one.reason) for one in read(world.folder / "hosts.events")]
    assert told == [
        ("a2", "awaited", "joined", "its actors are at 10.0.0.2:7071"),
        ("a3", "awaited", "joined", "its actors are at 10.0.0.3:7071"),
        ("a3", "joined", "lost", "it has left"),
    ]
    # Its own root was told that it works, and of each change.
    assert [kind for _, kind in Root.asked if kind == "HostsChanged"] == ["HostsChanged"] * 3


def test__records__are_read_for_whoever_asks(world: World) -> None:
    external = world.system._base.actorRegistry["System:ExternalRequester"].address
    request = EventsRequest(request_id="e", selectors=("a2",))
    world.system.send(world.hosts, PassedOn(request=request, reply_to=external))
    world.settle()
    (reply,) = [one for one in world.system.heard if isinstance(one, EventsReply)]
    assert [(event.subject, event.after) for event in reply.events] == [("a2", "joined")]


def test__host_that_speaks_another_version__is_said_to_and_is_not_asked(world: World) -> None:
    world.heard("a3", there=False)
    world.heard("a3", **{CAPABILITY: (7, 8)})
    Root.asked.clear()
    views = world.views(world.ask((EVERY_HOST, STATUS)))
    reason = "speaks versions 7 to 8 of the messages between hosts, this one 1"
    assert (views["a3"].state, views["a3"].is_current, views["a3"].reason) == ("joined", False, reason)
    assert {name for name, _ in Root.asked} == {"a1", "a2"}
    assert views["a2"].is_current
