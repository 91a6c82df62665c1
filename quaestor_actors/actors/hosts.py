"""The actor that knows the other hosts of a cluster, and speaks with their roots on behalf of whoever asks.

It hears of them from its own actor system, whose convention every host takes part in. No host is special, none
supervises an actor of another one, and one that does not answer delays nobody but who waits for it, by a second.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from thespian.actors import ActorAddress, ActorSystemConventionUpdate

from quaestor_actors.actors import records
from quaestor_actors.actors.base import Ready, Stop, Stopped, TreeActor
from quaestor_actors.actors.event_ring import EventRing
from quaestor_actors.actors.hosts_messages import (
    EVERY_HOST,
    HostsChanged,
    HostsReply,
    HostsRequest,
    PassedOn,
    StartHosts,
)
from quaestor_actors.actors.records_messages import EventsReply, EventsRequest, OutputReply, OutputRequest
from quaestor_actors.actors.root_messages import CommandReply, LoadsReply, ScaleReply
from quaestor_actors.actors.status_messages import StatusReply, StatusRequest
from quaestor_actors.actors.user_actor_messages import FindElsewhere, FindHere, Located
from quaestor_actors.actors.view import HostView, TreeView
from quaestor_actors.core import finding, inquiry, membership
from quaestor_actors.core.event import Event, EventKind
from quaestor_actors.core.inquiry import Inquiry
from quaestor_actors.core.membership import Host, HostState, Membership

PATIENCE_S = 1.0
"""How long other hosts are waited for. An operator waits three seconds for his own."""

POLL_S = 5.0
"""How often each host is asked how it is, so that there is something to show of one that is lost."""

RING_NAME = "hosts.events"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A question of an operator."""

    request: HostsRequest | FindElsewhere
    reply_to: ActorAddress
    inquiry: Inquiry


class HostsActor(TreeActor):
    """Shell around `core.membership` and `core.inquiry`."""

    _ring: EventRing
    _own: str
    _directory: Path

    def __init__(self) -> None:
        """Begin with nobody; StartHosts brings everything."""
        super().__init__()
        self._membership = Membership()
        self._trees: dict[str, tuple[TreeView, float]] = {}
        """The last status of each host, and when it came, in seconds since the epoch."""
        self._asked: dict[str, _Asked] = {}
        self._questions = 0

    def receive(self, message: Any, sender: ActorAddress) -> None:
        """Handle the actor system's news, questions, and answers of other hosts."""
        match message:
            case StartHosts():
                self._start(message, sender)
            case ActorSystemConventionUpdate():
                self._heard(message)
            case PassedOn(request=HostsRequest() as request):
                self._ask(request, message.reply_to)
            case PassedOn(request=EventsRequest() | OutputRequest() as request):
                self.send(message.reply_to, records.answer(self._directory, request))
            case PassedOn(request=FindElsewhere() as request):
                self._find(request, message.reply_to)
            case (
                StatusReply() | CommandReply() | ScaleReply() | LoadsReply() | EventsReply() | OutputReply() | Located()
            ):
                self._answered(message)
            case Stop():
                self.send(self.parent, Stopped(identity=self.identity))
                self.end()
            case _:
                self.log.warning("unexpected message %s", type(message).__name__)

    def on_wake(self, key: str) -> None:
        """Ask again how everybody is, or give up waiting for somebody."""
        if key == "poll":
            self._poll()
        else:
            self._reply_if_over()

    def _start(self, message: StartHosts, sender: ActorAddress) -> None:
        self.begin(message.identity, sender)
        self._own = message.own
        self._directory = message.log_directory
        self._ring = EventRing(self, message.log_directory / RING_NAME)
        administrators = {host.name: f"{host.address}:{host.admin_port}" for host in message.hosts}
        self._membership = membership.create(administrators, own=message.own, now=self.outside.clock())
        self.send(sender, Ready(identity=self.identity, pid=os.getpid()))
        self.notifyOnSystemRegistrationChanges(True)  # noqa: FBT003 - Thespian's signature
        self.wake_at("poll", self.outside.clock() + POLL_S)

    # Who is there

    def _heard(self, message: ActorSystemConventionUpdate) -> None:
        administrator, now = _written(message.remoteAdminAddress), self.outside.clock()
        capabilities = message.remoteCapabilities or {}
        before = self._membership.at(administrator)
        if message.remoteAdded:
            self._membership, news = membership.heard(self._membership, administrator, capabilities, now)
        else:
            self._membership, news = membership.lost(self._membership, administrator, capabilities, now)
        if before is None:
            self.log.warning("%s is no host of the configuration", administrator)
        elif news is not None:
            self._tell(before, news)
        if before is not None and message.remoteAdded:
            self._ask_how_it_is(before.name)
        elif before is not None:
            self._forget_questions_to(before.name)

    def _tell(self, before: Host, after: Host) -> None:
        reason = after.reason or f"its actors are at {after.administrator}"
        self.log.info("host %s: %s: %s", after.name, after.state.value, reason)
        self._ring.write(
            [
                Event(
                    at=self._ring.now,
                    kind=EventKind.HOST,
                    subject=after.name,
                    before=before.state.value,
                    after=after.state.value,
                    reason=reason,
                )
            ]
        )
        self.send(self.parent, HostsChanged(hosts=(replace(self._view(after), reason=reason),)))

    # Questions

    def _poll(self) -> None:
        self.wake_at("poll", self.outside.clock() + POLL_S)
        for name in self._membership.reachable():
            self._ask_how_it_is(name)

    def _ask_how_it_is(self, name: str) -> None:
        if (root := self._membership.reachable().get(name)) is not None:
            self.send(root, StatusRequest(request_id=_id(0, name)))

    def _ask(self, request: HostsRequest, reply_to: ActorAddress) -> None:
        asks = dict(request.asks)
        if (everywhere := asks.pop(EVERY_HOST, None)) is not None:
            asks = dict.fromkeys(self._membership.hosts, everywhere) | asks
        self._inquire(request, asks, reply_to)

    def _find(self, request: FindElsewhere, reply_to: ActorAddress) -> None:
        question = FindHere(request_id="", name=request.name)
        self._inquire(request, dict.fromkeys(self._candidates(request), question), reply_to)

    def _candidates(self, request: FindElsewhere) -> list[str]:
        """Return the hosts that may have the actor which somebody looks for."""
        others = [name for name in self._membership.hosts if name != self._own]
        return [name for name in others if request.host in {"", name}]

    def _inquire(self, request: HostsRequest | FindElsewhere, asks: dict[str, Any], reply_to: ActorAddress) -> None:
        self._questions += 1
        roots = {self._own: self.parent} | self._membership.reachable()
        reached = [name for name in asks if name in roots]
        question = inquiry.begin(reached, now=self.outside.clock(), patience_s=PATIENCE_S)
        self._asked[str(self._questions)] = _Asked(request=request, reply_to=reply_to, inquiry=question)
        for name in reached:
            self.send(roots[name], replace(asks[name], request_id=_id(self._questions, name)))
        self._reply_if_over()

    def _answered(self, answer: Any) -> None:
        number, _, name = answer.request_id.partition(" ")
        if isinstance(answer, StatusReply) and name in self._membership.hosts:
            self._trees[name] = (answer.tree, self.outside.wall_clock())
        if (asked := self._asked.get(number)) is not None:
            self._asked[number] = replace(asked, inquiry=inquiry.answered(asked.inquiry, name, answer))
            self._reply_if_over()

    def _forget_questions_to(self, name: str) -> None:
        for number, asked in self._asked.items():
            self._asked[number] = replace(asked, inquiry=inquiry.without(asked.inquiry, name))
        self._reply_if_over()

    def _reply_if_over(self) -> None:
        now = self.outside.clock()
        for number in [number for number, asked in self._asked.items() if asked.inquiry.is_over(now)]:
            asked = self._asked.pop(number)
            found = asked.request
            answer = self._located(found, asked) if isinstance(found, FindElsewhere) else self._reply(found, asked)
            self.send(asked.reply_to, answer)
        self.wake_at("questions", min((asked.inquiry.deadline for asked in self._asked.values()), default=None))

    def _located(self, request: FindElsewhere, asked: _Asked) -> Located:
        answers: dict[str, Located] = dict(asked.inquiry.answers)
        standings = {name: answer.standing for name, answer in answers.items()}
        hosts = [self._membership.hosts[name] for name in self._candidates(request)]
        if request.host:
            name, standing = request.host, finding.on_one_host(hosts[0], standings.get(request.host))
        else:
            name, standing = finding.on_any_host(request.name, hosts, standings)
        if (found := answers.get(name)) is not None:
            return replace(found, request_id=request.request_id)
        return Located(request_id=request.request_id, name=request.name, standing=standing)

    def _reply(self, request: HostsRequest, asked: _Asked) -> HostsReply:
        answers = asked.inquiry.answers
        # Who asks for no status has no use for the trees, which may be large.
        is_status = any(isinstance(ask, StatusRequest) for _, ask in request.asks)
        hosts = []
        for host in self._membership.hosts.values():
            view = self._view(host)
            tree, at = self._trees.get(host.name, (None, None))
            if is_status:
                view = replace(view, tree=tree, tree_at=at)
            if host.name not in answers and not view.reason:
                view = replace(view, reason=self._why_no_answer(host))
            hosts.append(replace(view, is_current=host.name in answers))
        told = tuple((name, answer) for name, answer in answers.items() if not isinstance(answer, StatusReply))
        return HostsReply(request_id=request.request_id, own=self._own, hosts=tuple(hosts), answers=told)

    def _why_no_answer(self, host: Host) -> str:
        is_starting = host.state is HostState.JOINED and host.root is None
        return "its root is being started" if is_starting else f"does not answer within {PATIENCE_S:g} s"

    def _view(self, host: Host) -> HostView:
        return HostView(
            name=host.name,
            address=host.administrator,
            state=host.state.value,
            since=self.epoch_of(host.since),
            reason=host.reason,
        )


def _written(address: ActorAddress) -> str:
    """Return an address as the configuration has it."""
    host, port = address.addressDetails.sockname[:2]
    return f"{host}:{port}"


def _id(question: int, host: str) -> str:
    """Return the id of a question to one host; nobody waits for the answer to number 0."""
    return f"{question} {host}"
