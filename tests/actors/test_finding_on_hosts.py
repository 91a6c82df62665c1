"""Actors of users on other hosts: the actor for these asks whoever may have one, and says why nobody has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.simple_system import SimpleSystem
from thespian.actors import Actor, ActorSystemConventionUpdate
from thespian.system.simpleSystemBase import PendingSend
from thespian.system.transport.TCPTransport import TCPTransport

from quaestor_actors.actors.base import Identity
from quaestor_actors.actors.hosts import PATIENCE_S, HostsActor
from quaestor_actors.actors.hosts_messages import PassedOn, StartHosts
from quaestor_actors.actors.user_actor_messages import FindElsewhere, FindHere, Located
from quaestor_actors.core.finding import Standing, Trouble
from quaestor_actors.core.membership import HOST, ROOT
from quaestor_actors.core.spec import HostSpec

NAMES = ("a1", "a2", "a3")
HOSTS = tuple(HostSpec(name=name, address=f"10.0.0.{name[1]}") for name in NAMES)
WORKS = Standing()
UNKNOWN = Standing(trouble=Trouble.UNKNOWN, reason="there is none")


class Root(Actor):  # type: ignore[misc]  # Thespian has no type information
    """The root of a host: it says how the actor stands there, or nothing."""

    says: dict[str, Standing]
    asked: list[str]
    name = ""

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if isinstance(message, str):
            self.name = message
        elif isinstance(message, FindHere):
            Root.asked.append(self.name)
            if (standing := Root.says.get(self.name)) is not None:
                name = f"{message.name}@{self.name}"
                address = self.myAddress if standing.trouble is None else None
                self.send(sender, Located(request_id=message.request_id, name=name, standing=standing, address=address))


class World:
    """Host a1, which has heard of a2 and a3."""

    def __init__(self, system: SimpleSystem, folder: Path) -> None:
        self.system = system
        Root.says, Root.asked = {}, []
        self.roots = {name: system.create(Root) for name in NAMES}
        for name, root in self.roots.items():
            system.send(root, name)
        self.hosts = system.create(HostsActor)
        start = StartHosts(
            identity=Identity(cluster="c", name="hosts", incarnation=1), hosts=HOSTS, own="a1", log_directory=folder
        )
        system._base._pendingSends.append(PendingSend(self.roots["a1"], start, self.hosts))
        self.heard("a2")
        self.heard("a3")

    def settle(self) -> None:
        while self.system.step():
            pass

    def heard(self, name: str, *, there: bool = True) -> None:
        address = TCPTransport.getAddressFromString(f"10.0.0.{name[1]}:7071")
        said = {HOST: name, ROOT: self.roots[name]}
        self.system.send(self.hosts, ActorSystemConventionUpdate(address, said, there))
        self.settle()

    def find(self, host: str = "") -> Located | None:
        external = self.system._base.actorRegistry["System:ExternalRequester"].address
        question = FindElsewhere(request_id="q", name="T", host=host)
        self.system.send(self.hosts, PassedOn(request=question, reply_to=external))
        self.settle()
        return self.answer

    @property
    def answer(self) -> Located | None:
        found = [one for one in self.system.heard if isinstance(one, Located)]
        assert all(one.request_id == "q" for one in found)
        return found[-1] if found else None


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    system = SimpleSystem(seed=0)
    try:
        yield World(system, tmp_path)
    finally:
        system.close()


def test__of_a_host__it_alone_is_asked(world: World) -> None:
    Root.says = {"a2": WORKS, "a3": WORKS}
    found = world.find("a3")
    assert found is not None
    assert (found.name, found.standing, Root.asked) == ("T@a3", WORKS, ["a3"])
    assert found.address == world.roots["a3"]


def test__anywhere__the_first_of_the_others_that_has_it(world: World) -> None:
    Root.says = {"a2": UNKNOWN, "a3": WORKS}
    found = world.find()
    assert found is not None
    assert found.name == "T@a3"
    assert sorted(Root.asked) == ["a2", "a3"]


def test__host_that_says_no__is_passed_on(world: World) -> None:
    Root.says = {"a2": UNKNOWN}
    found = world.find("a2")
    assert found is not None
    assert (found.address, found.standing) == (None, UNKNOWN)


def test__host_that_is_silent__is_waited_for_so_long_and_no_longer(world: World) -> None:
    assert world.find("a2") is None
    world.system.clock.advance(PATIENCE_S, at_due=world.settle)
    world.settle()
    assert world.answer is not None
    expected = Standing(trouble=Trouble.AWAY, reason="a2 is there, and does not answer")
    assert world.answer.standing == expected


def test__host_that_is_lost__is_told_at_once_also_while_it_is_waited_for(world: World) -> None:
    assert world.find("a2") is None
    world.heard("a2", there=False)
    lost = Standing(trouble=Trouble.LOST, reason="a2 is lost: not heard any more")
    assert world.answer is not None
    assert world.answer.standing == lost
    Root.says = {"a3": UNKNOWN}
    found = world.find("a2")
    assert found is not None
    assert found.standing == lost
    found = world.find()
    assert found is not None
    reason = "no host that answers has an actor T; a2 is lost: not heard any more"
    assert found.standing == replace(lost, reason=reason)
