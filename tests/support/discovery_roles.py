"""What belongs to a site and needs a process of its own: `main` with the arguments `registrar|balancer DESCRIPTOR`.

gRPC's asyncio serves one event loop of a process well: the registrar's store is on one, and the balancer is another.
Each is driven by what it receives through the pipe whose descriptor it is given, until the other end is closed.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue

from quaestor_actors.adapters.balancer import Balancer, BalancerServing, Notice
from quaestor_actors.adapters.store_link import StoreLink
from quaestor_actors.core import location_key, registrar
from quaestor_actors.core.owner_record import Owner
from quaestor_actors.core.registrar_state import ClockAdvanced, Event, Rules, Tell, Warn
from quaestor_actors.core.spec import BalancerSpec, StoreSpec
from quaestor_actors.core.store import NO_LEASE, Store

KEEP_ALIVE_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrarStart:
    """The first word to a registrar; then come the events of its owners."""

    store: StoreSpec | None
    """None: the caller gives it one."""
    lease: int
    """A predecessor's."""
    ttl_s: float


def registrar_role(pipe: Connection, stores: Sequence[Store] = ()) -> None:
    """Be what the registry actor is without its actor: tell what followers are to know, and the lease."""
    start: RegistrarStart = pipe.recv()
    heard: SimpleQueue[Event | BaseException | None] = SimpleQueue()
    link = StoreLink(
        stores or [_etcd(start)],
        prefix=location_key.PREFIX,
        owner=Owner(cluster="site", host=socket.gethostname(), pid=os.getpid()),
        on_event=heard.put,
        on_crash=heard.put,
    )
    link.start()
    threading.Thread(target=_listen, args=(pipe, heard), daemon=True).start()
    try:
        _decide(pipe, link, heard, start)
    finally:
        link.stop()


def _decide(
    pipe: Connection, link: StoreLink, heard: SimpleQueue[Event | BaseException | None], start: RegistrarStart
) -> None:
    rules = Rules(ttl_s=start.ttl_s, refresh_s=min(Rules().refresh_s, start.ttl_s / 5))
    state = registrar.create(now=time.monotonic(), lease=start.lease)
    event: Event | None = ClockAdvanced()
    while event is not None:
        now, lease = time.monotonic(), state.lease
        state, effects = registrar.decide(state, event, now, rules)
        for effect in effects:
            match effect:
                case Tell():
                    pipe.send(effect)
                case Warn():
                    logging.getLogger("registrar").warning("%s", effect.text)
                case _:
                    link.perform(effect)
        if state.lease not in {lease, NO_LEASE}:
            pipe.send(state.lease)
        event = _next(heard, registrar.next_deadline(state, now, rules))


def _etcd(start: RegistrarStart) -> Store:
    # Not where stores are given: its grpc.aio would be a second one beside others of that process.
    from quaestor_actors.adapters.store_etcd import EtcdStore  # noqa: PLC0415

    assert start.store is not None
    patience_s = min(KEEP_ALIVE_TIMEOUT_S, start.ttl_s / 5)
    return EtcdStore(start.store, environ={}, log=logging.getLogger("etcd"), keep_alive_timeout_s=patience_s)


def _listen(pipe: Connection, heard: SimpleQueue[Event | BaseException | None]) -> None:
    try:
        while True:
            heard.put(pipe.recv())
    except (EOFError, OSError):
        heard.put(None)


def _next(heard: SimpleQueue[Event | BaseException | None], deadline: float | None) -> Event | None:
    timeout_s = None if deadline is None else max(0.0, deadline - time.monotonic())
    try:
        event = heard.get(timeout=timeout_s)
    except Empty:
        return ClockAdvanced()
    if isinstance(event, BaseException):
        raise event
    return event


def balancer_role(pipe: Connection) -> None:
    """Be what the balancer actor is without its actor: say the port, follow what is told, say when it serves."""
    spec: BalancerSpec = pipe.recv()

    def noticed(notice: Notice) -> None:
        if isinstance(notice, BalancerServing):
            pipe.send("serving")

    balancer = Balancer(spec, on_notice=noticed, on_crash=_crash)
    pipe.send(balancer.start())
    try:
        while True:
            tell: Tell = pipe.recv()
            if tell.whole:
                balancer.set_registrations(tell.added)
            else:
                balancer.change_registrations(added=tell.added, removed=tell.removed)
    except EOFError:
        balancer.stop()


def _crash(error: BaseException) -> None:
    traceback.print_exception(error)
    os._exit(1)


def main() -> None:
    """Play the role that is named."""
    role, descriptor = sys.argv[1:]
    play = {"registrar": registrar_role, "balancer": balancer_role}[role]
    play(Connection(int(descriptor)))
