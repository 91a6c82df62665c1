"""The balancer actor: follows the registry, and owns the thread that watches all locations and answers clients."""

from __future__ import annotations

import gc
import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thespian.actors import ActorAddress

from quaestor_actors.actors.base import Identity, Ready, Stop, Stopped, TreeActor
from quaestor_actors.actors.registry_messages import RegistryChanged
from quaestor_actors.actors.root_messages import LoadsReply
from quaestor_actors.actors.view import LoadView, LocationView
from quaestor_actors.adapters.balancer import Balancer, BalancerServing, Notice
from quaestor_actors.adapters.mailbox import Mailbox
from quaestor_actors.core.live_view import LocationOffered, LocationWithheld
from quaestor_actors.core.location import Registration
from quaestor_actors.core.spec import BalancerSpec

DRAIN_GRACE_S = 1.0
"""How long answers in flight may take after the balancer said NOT_SERVING; they take milliseconds."""

NEWS_PAUSE_S = 0.1
"""Between two messages of news. When thousands of locations come at the same time, each one would cost three processes
a message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartBalancer:
    """From the root: listen, and say NOT_SERVING until the registry was heard."""

    identity: Identity
    spec: BalancerSpec
    number: int
    """Of the `spec.frontends` that share the port, from 1."""
    directory: Path
    """Where they find each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancerChanged:
    """To the root: where the balancer listens, and which locations it began or ceased to hand out."""

    address: str
    locations: tuple[LocationView, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListLoads:
    """From the root: answer an operator with a LoadsReply about the locations at these addresses."""

    request_id: str
    reply_to: ActorAddress
    addresses: frozenset[str]


class BalancerActor(TreeActor):
    """Shell around `adapters.balancer`."""

    _balancer: Balancer

    def __init__(self) -> None:
        """Begin with nothing; StartBalancer brings the specification."""
        super().__init__()
        self._heard: Mailbox[Notice | BaseException] = self.outside.make(Mailbox)
        self._parts: list[RegistryChanged] = []
        self._address = ""
        self._is_first = True

    def receive(self, message: Any, sender: ActorAddress) -> None:
        """Handle the root, the registry's news, and operators' questions."""
        match message:
            case StartBalancer():
                self._start(message, sender)
            case RegistryChanged():
                self._follow(message)
            case ListLoads():
                self.send(message.reply_to, LoadsReply(request_id=message.request_id, loads=self._loads(message)))
            case Stop():
                self._balancer.drain(DRAIN_GRACE_S)
                self._balancer.stop()
                self.send(self.parent, Stopped(identity=self.identity))
                self.end()
            case _:
                self.log.warning("unexpected message %s", type(message).__name__)

    def on_wake(self, key: str) -> None:
        """Listen for news again."""
        if key != "news":
            raise ValueError(f"nobody asked to be woken for {key}")
        self.watch(self._heard.fd, self._pass_on)

    def _start(self, message: StartBalancer, sender: ActorAddress) -> None:
        self.begin(message.identity, sender)
        self.watch(self._heard.fd, self._pass_on)
        self._allow_connections()
        self._is_first = message.number == 1
        self._balancer = self.outside.make(
            Balancer,
            message.spec,
            number=message.number,
            directory=message.directory,
            on_notice=self._noticed,
            on_crash=self._heard.post,
        )
        port = self._balancer.start()
        self._address = f"{message.spec.host_name}:{port}"
        self.send(sender, BalancerChanged(address=self._address))
        self.send(sender, Ready(identity=self.identity, pid=os.getpid()))

    def _allow_connections(self) -> None:
        """Take the descriptors that are to be had: there is a connection to each server, and 1,024 are usual."""
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        except (OSError, ValueError) as error:
            self.log.warning("the limit of open files stays as it is: %s", error)

    def _follow(self, change: RegistryChanged) -> None:
        self._parts.append(change)
        if change.more:
            return
        parts, self._parts = self._parts, []
        added = [registration for part in parts for registration in part.added]
        if parts[0].whole:
            self._balancer.set_registrations(added)
        else:
            self._balancer.change_registrations(added=added, removed=parts[0].removed)

    def _loads(self, request: ListLoads) -> tuple[LoadView, ...]:
        return tuple(
            LoadView(service=location.service_name, address=location.address, standing=each.standing, load=each.load)
            for each in self._balancer.status().locations
            if (location := each.registration.location).address in request.addresses
        )

    def _noticed(self, notice: Notice) -> None:
        """Take a notice, on the balancer's thread."""
        if isinstance(notice, BalancerServing):
            # What is there now lives long. To look through all of it for garbage takes 0.7 s with 10,000 locations, in
            # which nobody is answered: so once more now, before clients come, and never again.
            gc.collect()
            gc.freeze()
        self._heard.post(notice)

    def _pass_on(self) -> None:
        self.unwatch(self._heard.fd)
        self.wake_at("news", self.outside.clock() + NEWS_PAUSE_S)
        news: list[LocationView] = []
        for heard in self._heard.drain():
            match heard:
                case BaseException():
                    raise heard
                case LocationOffered(registration=registration):
                    news.append(_view(registration, "offered", "handed out to clients"))
                case LocationWithheld(registration=registration, reason=reason):
                    news.append(_view(registration, "withheld", reason))
                case BalancerServing():
                    self.log.info("the first view is complete: serving on %s", self._address)
        # All frontends see the same; once is enough for people.
        if news and self._is_first:
            self.send(self.parent, BalancerChanged(address=self._address, locations=tuple(news)))


def _view(registration: Registration, state: str, detail: str) -> LocationView:
    location = registration.location
    return LocationView(service=location.service_name, address=location.address, state=state, detail=detail)
