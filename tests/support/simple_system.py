"""Thespian's simpleSystemBase as if each actor were a process: one message at a time, in a seeded order, sudden death.

That base knows no watches, so the descriptors that would be readable are found here and told to their actors. To kill
an actor is to end its process: the actor and all below it are gone between two messages, or in the middle of one, and
whoever watches the process is told.
"""

from __future__ import annotations

import logging
import random
import resource
import signal
from collections.abc import Iterator
from typing import Any

from support.simple_outside import FakeMailbox, SimpleOutside, World
from thespian.actors import ActorSystem, ChildActorExited, WatchMessage
from thespian.system.simpleSystemBase import PendingSend

from quaestor_actors.actors.agent import AgentSupervisor
from quaestor_actors.actors.base import TreeActor
from quaestor_actors.actors.coordinator import CoordinatorActor
from quaestor_actors.actors.registry import RegistryActor
from quaestor_actors.testing.clock import FakeTimer
from quaestor_actors.testing.processes import FakeProcess

EXTERNAL = "System:ExternalRequester"


class ActorKilled(BaseException):
    """The process of the actor that runs now is gone."""


class SimpleSystem:
    """Actors, their processes, and what is under way between them."""

    def __init__(self, *, seed: int) -> None:
        self.world = World()
        self.clock, self.processes = self.world.clock, self.world.processes
        self.random = random.Random(seed)
        self.steps = 0
        self.spawned: list[FakeProcess] = []
        """Every process of a member that was ever started."""
        self.fates: dict[type, str] = {}
        """What becomes of the next message of a kind: `lost`, `doubled` or `held`."""
        self.dies_after: tuple[str, int] | None = None
        """Which actor dies, and after how many more things that it does to others."""
        self._held: list[PendingSend] = []
        self._actors: dict[str, FakeProcess] = {}
        self._watched: dict[str, list[int]] = {}
        self._running = ""
        self._system = ActorSystem("simpleSystemBase", logDefs=False, transientUnique=True)
        self._base = self._system._systemBase
        self._base.actor_send = self._send
        self._base._callActorWithMessage = self._call
        self.processes.on_spawn = self._spawned
        self._real = (TreeActor.outside, logging.root.level, resource.getrlimit(resource.RLIMIT_NOFILE))
        TreeActor.outside = SimpleOutside(
            clock=self.clock.now,
            boot_clock=self.clock.now,
            wall_clock=self.clock.wall_clock,
            draw=self.random.random,
            processes=self.processes,
            ports=self.processes,
            newest_child_pid=self._newest_child_pid,
            set_title=lambda _title: None,
            log_to_stderr=lambda _level: None,
            substitutes=self.world.substitutes(),
        )

    def close(self) -> None:
        """Put the real outside back."""
        TreeActor.outside, level, limits = self._real
        logging.root.setLevel(level)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        self.world.close()

    @property
    def heard(self) -> list[Any]:
        """All that anybody has told those outside of the system."""
        return list(getattr(self._base.actorRegistry[EXTERNAL].instance, "responses", ()))

    @property
    def actors(self) -> dict[str, TreeActor]:
        """The actors that live, and know who they are, by name."""
        found = (self._instance(address) for address in self._actors)
        return {each.identity.name: each for each in found if each is not None and hasattr(each, "identity")}

    def process_of_actor(self, name: str) -> FakeProcess:
        return self._actors[self.actors[name].myAddress.actorAddressString]

    def create(self, actor_class: type[TreeActor]) -> Any:
        """Make an actor directly below the system, and return its address."""
        address = self._system.createActor(actor_class)
        self._new_process(address.actorAddressString)
        return address

    def lives(self, address: Any) -> bool:
        return address.actorAddressString in self._actors

    def send(self, address: Any, message: Any) -> None:
        """Send something from outside; nobody has dealt with it yet."""
        self._base._pendingSends.append(PendingSend(self._base.actorRegistry[EXTERNAL].address, message, address))

    def release_held(self) -> None:
        """Deliver what was held back, after all that was sent since."""
        self._base._pendingSends.extend(self._held)
        self._held.clear()

    def step(self) -> bool:
        """Let one thing happen, by chance; return whether there was any."""
        self.bury_the_dead()
        choices: list[PendingSend | tuple[str, list[int]]] = [*self._deliverable(), *self._readable()]
        if not choices:
            return False
        self.steps += 1
        chosen = self.random.choice(choices)
        if isinstance(chosen, PendingSend):
            self._base._pendingSends.remove(chosen)
            assert chosen.attempts == 0, "a handler has let an exception out"
            self._base._runSingleSend(chosen)
        else:
            address, ready = chosen
            self.random.shuffle(ready)
            self._run(address, WatchMessage(ready), None)
        self.bury_the_dead()
        return True

    # What can happen next

    def _deliverable(self) -> Iterator[PendingSend]:
        pairs = set()
        for each in self._base._pendingSends:
            # Between two actors messages stay in order; nothing else does.
            pair = (each.sender.actorAddressString, each.toActor.actorAddressString)
            if pair not in pairs and not self._hangs(pair[1]):
                yield each
            pairs.add(pair)

    def _readable(self) -> Iterator[tuple[str, list[int]]]:
        for address, descriptors in self._watched.items():
            actor = self._instance(address)
            if actor is None or self._hangs(address):
                continue
            ready = [fd for fd in descriptors if self._is_readable(actor, fd)]
            if ready:
                yield address, ready

    def _is_readable(self, actor: TreeActor, descriptor: int) -> bool:
        for timer in _timers(actor):
            if descriptor == timer.fd:
                return timer.is_due
        heard = getattr(actor, "_heard", None)
        if isinstance(heard, FakeMailbox) and descriptor == heard.fd:
            return heard.is_readable
        return self.processes.is_readable(descriptor)

    def _hangs(self, address: str) -> bool:
        process = self._actors.get(address)
        return process is not None and process.hangs

    # What actors do

    def _instance(self, address: str) -> TreeActor | None:
        reference = self._base.actorRegistry.get(address)
        return None if reference is None else reference.instance

    def _call(self, target: Any, sent: PendingSend, message: Any, sender: Any) -> None:
        self._run(target.address.actorAddressString, message, sender)
        if isinstance(sent.msg, ChildActorExited) and sent.msg.childAddress in target._yung:
            target._yung.remove(sent.msg.childAddress)

    def _run(self, address: str, message: Any, sender: Any) -> None:
        actor = self._instance(address)
        assert actor is not None
        self._running = address
        try:
            watch = actor.receiveMessage(message, sender)
        except ActorKilled:
            self.processes.send(self._actors[address], signal.SIGKILL)
        else:
            self._watched[address] = [] if watch is None else list(watch.filenos)
        finally:
            self._running = ""

    def _new_process(self, address: str) -> int:
        self._actors[address] = self.processes.start("actor")
        return self._actors[address].pid

    def _newest_child_pid(self, owner: TreeActor) -> int:
        return self._new_process(owner._myRef._yung[-1].actorAddressString)

    def _send(self, sender: Any, receiver: Any, message: Any) -> None:
        self._may_die()
        pending = self._base._pendingSends
        match self.fates.pop(type(message), ""):
            case "lost":
                return
            case "held":
                self._held.append(PendingSend(sender, message, receiver))
                return
            case "doubled":
                pending.append(PendingSend(sender, message, receiver))
        pending.append(PendingSend(sender, message, receiver))

    def _spawned(self, process: FakeProcess) -> None:
        twins = [each for each in self.processes.alive if each.tag and member_of(each) == member_of(process)]
        assert twins == [process], f"{member_of(process)} has several processes"
        self.spawned.append(process)
        self._may_die()

    def _may_die(self) -> None:
        actor = self._instance(self._running) if self._running else None
        if self.dies_after is None or actor is None or not hasattr(actor, "identity"):
            return
        name, left = self.dies_after
        if actor.identity.name == name:
            self.dies_after = (name, left - 1) if left else None
            if not left:
                raise ActorKilled

    # Death

    def bury_the_dead(self) -> None:
        """Take away actors whose process has ended, with all below them."""
        # An actor that ends by itself does so when what it has sent is delivered.
        speaking = {sent.sender.actorAddressString for sent in self._base._pendingSends}
        for address in list(self._actors):
            has_ended = self._instance(address) is None and address not in speaking
            if address in self._actors and (has_ended or not self._actors[address].is_alive):
                self._bury(address)

    def _bury(self, address: str) -> None:
        pending = self._base._pendingSends
        for each in [other for other in self._actors if other == address or other.startswith(f"{address}~")]:
            if (actor := self._instance(each)) is not None:
                self._take_away(actor)
                # What it had sent last may not have left its process.
                said = [sent for sent in pending if sent.sender.actorAddressString == each]
                lost = said[self.random.randint(0, len(said)) :]
                pending[:] = [sent for sent in pending if sent not in lost]
                self._base.actorRegistry[each].instance = None
            pending[:] = [sent for sent in pending if sent.toActor.actorAddressString != each]
            self.processes.exit(self._actors.pop(each))
            self._watched.pop(each, None)

    def _take_away(self, actor: TreeActor) -> None:
        for timer in _timers(actor):
            timer.set(None)
        self.processes.close(*actor._watched)
        match actor:
            case AgentSupervisor() if hasattr(actor, "_processes"):
                self.processes.disown(f"{actor._processes._agent_tag} ")
            case RegistryActor() | CoordinatorActor() if hasattr(actor, "_link"):
                actor._link.stop()
            case _ if (probes := getattr(actor, "_probes", None)) in self.world.probes:
                self.world.probes.remove(probes)
                self.world.idleness.remove(actor._idleness)  # type: ignore[attr-defined]  # a prober has both


def _timers(actor: TreeActor) -> list[FakeTimer]:
    # That of the coordinator goes by another clock.
    own: list[FakeTimer] = [actor._timer]  # type: ignore[list-item]  # this is what is there
    return [*own, actor._deadline] if isinstance(actor, CoordinatorActor) else own  # type: ignore[list-item]  # likewise


def member_of(process: FakeProcess) -> str:
    """Return the member that a process says it is."""
    return process.tag.rsplit(" ", 3)[1]
