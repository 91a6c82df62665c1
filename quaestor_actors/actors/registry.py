"""The registry actor: who serves what where.

What serves on this machine its owners, the agents, tell it. It makes the store say the same, and tells its followers,
the balancers, every change of what serves here and of what others have registered in the store.
"""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from typing import Any

from thespian.actors import ActorAddress

from quaestor_actors.actors.base import Ready, Stop, Stopped, TreeActor
from quaestor_actors.actors.registry_messages import (
    STATIC_OWNER,
    Announce,
    Deregister,
    Follow,
    ListRegistrations,
    Register,
    RegistryChanged,
    RegistryReported,
    StartRegistry,
)
from quaestor_actors.actors.root_messages import RegistryReply
from quaestor_actors.actors.view import RegistrationView, RegistryView
from quaestor_actors.adapters.lease_file import LeaseFile, RememberedLease
from quaestor_actors.adapters.mailbox import Mailbox
from quaestor_actors.adapters.store_link import StoreLink
from quaestor_actors.adapters.store_memory import MemoryStore
from quaestor_actors.core import location_key, registrar, registry
from quaestor_actors.core.location import Location, Registration, join_address
from quaestor_actors.core.owner_record import Owner
from quaestor_actors.core.registrar_state import Event, OwnChanged, OwnComplete, Registrar, Rules, Standing, Tell, Warn
from quaestor_actors.core.registrar_view import standing_of
from quaestor_actors.core.registry import Registry
from quaestor_actors.core.spec import StoreSpec
from quaestor_actors.core.store import NO_LEASE, Store
from quaestor_actors.core.store_work import ClockAdvanced

WAIT_FOR_OWNERS_S = 2.0
"""A registry that was restarted goes on with what it has after this time, complete or not."""

LAST_WRITES_S = 1.0
"""How long the end waits for what is still to be written."""

REPORT_PAUSE_S = 0.5
"""What changes all the time is reported this often."""

KEEP_ALIVE_TIMEOUT_S = 1.0
"""An etcd that does not even keep a lease alive in this time hangs, and another one is asked."""

MEMORY_REFRESH_S = 5.0
"""Our own memory does not go away."""

PART = 2000
"""Registrations in one message: it must stay well below the largest frame."""


class RegistryActor(TreeActor):
    """Shell around `core.registry`, what serves here, and `core.registrar`, what is in the store."""

    _link: StoreLink
    _lease_file: LeaseFile | None

    def __init__(self) -> None:
        """Begin empty; StartRegistry brings everything."""
        super().__init__()
        self._registry = Registry()
        self._introductions: dict[str, int] = {}
        self._own: dict[Location, Registration] = {}
        self._registrar = Registrar()
        self._rules = Rules()
        self._heard: Mailbox[Event | BaseException] = self.outside.make(Mailbox)
        self._followers: list[ActorAddress] = []
        self._asked: list[ListRegistrations] = []
        self._reported: RegistryView | None = None
        self._report_is_due = False
        self._store_name = ""
        self._stopping = False

    def receive(self, message: Any, sender: ActorAddress) -> None:
        """Handle owners' changes, and followers."""
        match message:
            case StartRegistry():
                self._start(message, sender)
            case Announce() | Register() | Deregister() if self._is_out_of_date(message):
                self.log.info("a supervisor of %s that was replaced meanwhile is not listened to", message.owner)
            case Announce():
                self._own_is(registry.announce(self._registry, message.owner, message.registrations))
            case Register():
                self._own_is(registry.register(self._registry, message.owner, message.registrations))
            case Deregister():
                self._own_is(registry.deregister(self._registry, message.owner, message.registrations))
            case Follow():
                self._follow(message.follower)
            case ListRegistrations():
                self._asked.append(message)
                self._answer()
            case Stop():
                self._stopping = True
                self.wake_at("last writes", self.outside.clock() + LAST_WRITES_S)
                self._end_if_written()
            case _:
                self.log.warning("unexpected message %s", type(message).__name__)

    def on_wake(self, key: str) -> None:
        """Look at the clock for the registrar, or stop waiting for somebody."""
        match key:
            case "registrar":
                self._apply(ClockAdvanced())
            case "owners":
                self.log.warning("no word from %s: going on without", ", ".join(sorted(self._registry.awaited)))
                self._own_is(registry.give_up_waiting(self._registry))
            case "report":
                self._report_is_due = False
                self._report(force=True)
            case "last writes":
                self._end()
            case _:
                raise ValueError(f"nobody asked to be woken for {key}")

    def _start(self, message: StartRegistry, sender: ActorAddress) -> None:
        self.begin(message.identity, sender)
        self.watch(self._heard.fd, self._take_in)
        self._rules = _rules(message)
        self._lease_file = LeaseFile(message.directory) if message.stores else None
        self._remembered: RememberedLease | None = None
        self._registrar = self._predecessors(fallback=message.static if message.stores else ())
        self._store_name = _store_name(message.stores)
        self._link = self._make_link(message)
        self._link.start()
        self.wake_at("owners", self.outside.clock() + WAIT_FOR_OWNERS_S)
        self._registry = Registry(awaited=message.awaited | {STATIC_OWNER})
        static = () if message.stores else message.static
        self._own_is(registry.announce(self._registry, STATIC_OWNER, static))
        self._apply(ClockAdvanced())
        self.send(sender, Ready(identity=self.identity, pid=os.getpid()))

    def _predecessors(self, fallback: tuple[Registration, ...]) -> Registrar:
        remembered = self._lease_file.load() if self._lease_file else None
        lease = NO_LEASE if remembered is None else remembered.lease
        goes_on = remembered is not None and remembered.ttl_s == self._rules.ttl_s
        return registrar.create(
            now=self.outside.clock(),
            fallback=fallback,
            lease=lease if goes_on else NO_LEASE,
            former=NO_LEASE if goes_on else lease,
            carried=None if remembered is None else remembered.carried,
        )

    def _make_link(self, message: StartRegistry) -> StoreLink:
        stores: list[Store] = [self.outside.make(MemoryStore)]
        if message.stores:
            # Only where there is one: it takes 4 MB.
            from quaestor_actors.adapters.store_etcd import EtcdStore  # noqa: PLC0415

            patience_s = min(KEEP_ALIVE_TIMEOUT_S, self._rules.ttl_s / 5)
            stores = [
                self.outside.make(EtcdStore, spec, environ=os.environ, log=self.log, keep_alive_timeout_s=patience_s)
                for spec in message.stores
            ]
        owner = Owner(cluster=self.identity.cluster, host=socket.gethostname(), pid=os.getpid())
        return self.outside.make(
            StoreLink,
            stores,
            prefix=location_key.PREFIX,
            owner=owner,
            on_event=self._heard.post,
            on_crash=self._heard.post,
        )

    # What serves here

    def _is_out_of_date(self, message: Announce | Register | Deregister) -> bool:
        newest = self._introductions.get(message.owner, 0)
        self._introductions[message.owner] = max(newest, message.introduction)
        return message.introduction < newest

    def _own_is(self, found: Registry) -> None:
        self._registry = found
        after = {location: entry.registration for location, entry in found.entries.items()}
        before, self._own = self._own, after
        added = tuple(new for location, new in after.items() if before.get(location) != new)
        removed = tuple(location for location in before if location not in after)
        if added or removed:
            self._apply(OwnChanged(added=added, removed=removed))
        if found.complete and not self._registrar.is_complete:
            self.wake_at("owners", None)
            self._apply(OwnComplete())

    # From events to effects

    def _take_in(self) -> None:
        for heard in self._heard.drain():
            if isinstance(heard, BaseException):
                raise heard
            self._apply(heard)

    def _apply(self, event: Event) -> None:
        now = self.outside.clock()
        self._registrar, effects = registrar.decide(self._registrar, event, now, self._rules)
        for effect in effects:
            match effect:
                case Tell():
                    self._tell(effect, self._followers)
                case Warn():
                    self.log.warning("%s", effect.text)
                case _:
                    self._link.perform(effect)
        self._remember()
        self.wake_at("registrar", registrar.next_deadline(self._registrar, now, self._rules))
        self._answer()
        self._report(force=False)
        if self._stopping:
            self._end_if_written()

    def _remember(self) -> None:
        if self._lease_file is None or self._registrar.lease == NO_LEASE:
            return
        found = RememberedLease(lease=self._registrar.lease, ttl_s=self._rules.ttl_s, carried=self._registrar.carried)
        if found == self._remembered:
            return
        self._remembered = found
        try:
            self._lease_file.save(found)
        except OSError as error:
            # A successor gets a lease of its own; what is under this one stays a little longer than it should.
            self.log.error("cannot remember the lease: %s", error.strerror or error)  # noqa: TRY400 - a full disk is no bug

    # Followers

    def _follow(self, follower: ActorAddress) -> None:
        self._followers = [known for known in self._followers if known != follower]
        self._followers.append(follower)
        if self._registrar.view is not None:
            self._tell(Tell(whole=True, added=tuple(self._registrar.view.values())), [follower])

    def _tell(self, tell: Tell, followers: list[ActorAddress]) -> None:
        parts = [tell.added[at : at + PART] for at in range(0, len(tell.added), PART)] or [()]
        for number, added in enumerate(parts, start=1):
            is_first = number == 1
            change = RegistryChanged(
                whole=tell.whole and is_first,
                added=added,
                removed=tell.removed if is_first else (),
                more=number < len(parts),
            )
            for follower in followers:
                self.send(follower, change)

    # What people see

    def _report(self, *, force: bool) -> None:
        view, before = self._view(), self._reported
        if before is not None and before.state == view.state:
            view = replace(view, since=before.since)
            if view == before:
                return
            if not force:
                if not self._report_is_due:
                    self._report_is_due = True
                    self.wake_at("report", self.outside.clock() + REPORT_PAUSE_S)
                return
        self._reported = view
        self.send(self.parent, RegistryReported(view=view))

    def _view(self) -> RegistryView:
        state = self._registrar
        standing = standing_of(state, self.outside.clock())
        reason = state.trouble.reason if state.trouble is not None and standing is not Standing.FOLLOWING else ""
        return RegistryView(
            store=self._store_name,
            state=standing.value,
            since=self.outside.wall_clock(),
            reason=reason,
            locations=len(state.view or ()),
            registered=len(state.own),
        )

    def _answer(self) -> None:
        view = self._registrar.view
        if view is None or not self._asked:
            return
        views = tuple(self._registration_view(each) for each in sorted(view.values(), key=_by_service))
        for asked in self._asked:
            self.send(asked.reply_to, RegistryReply(request_id=asked.request_id, registrations=views))
        self._asked.clear()

    def _registration_view(self, registration: Registration) -> RegistrationView:
        location = registration.location
        entry = self._registry.entries.get(location)
        return RegistrationView(
            scope=location.scope,
            service=location.service_name,
            host=location.host_name,
            port=location.port,
            use_tls=location.use_tls,
            owner="not of this cluster" if entry is None else f"{entry.owner} of {self.identity.cluster}",
            lease_left_s=None,
        )

    # The end

    def _end_if_written(self) -> None:
        if self._registrar.trouble is not None or not (self._registrar.dirty or self._registrar.writing):
            self._end()

    def _end(self) -> None:
        if self._ending:
            return
        # What was left running stays registered until the lease ends, or a successor goes on with it.
        self._link.stop()
        self.send(self.parent, Stopped(identity=self.identity))
        self.end()


def _rules(message: StartRegistry) -> Rules:
    if not message.stores:
        return Rules(refresh_s=MEMORY_REFRESH_S)
    # One lease for whichever store answers.
    ttl_s = min(store.lease_ttl_s for store in message.stores)
    return Rules(ttl_s=ttl_s, refresh_s=min(Rules().refresh_s, ttl_s / 5), tls=message.tls)


def _by_service(registration: Registration) -> tuple[str, str, int]:
    location = registration.location
    return location.service_name, location.host_name, location.port


def _store_name(stores: tuple[StoreSpec, ...]) -> str:
    endpoints = [join_address(*endpoint) for store in stores for endpoint in store.endpoints]
    return f"etcd at {', '.join(endpoints)}" if endpoints else "memory"
