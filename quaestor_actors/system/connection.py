"""Talking to actors from outside: send, receive, ask; and sleep on messages and file descriptors at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from thespian.actors import ActorAddress, ActorSystem, ActorSystemException, WatchMessage
from thespian.system import isInternalActorSystemMessage
from thespian.system.transport import ReceiveEnvelope, SendStatus

from quaestor_actors.errors import NotRunningError
from quaestor_actors.system.transport import SealedTCPTransport


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyFds:
    """Some of the watched descriptors are readable."""

    fds: tuple[int, ...]


class Connection:
    """This process's own endpoint of an actor system. For one thread."""

    def __init__(self, system: ActorSystem) -> None:
        """Use the endpoint that came with starting or attaching."""
        self._base = system._systemBase  # noqa: SLF001 - Thespian's public calls cannot watch descriptors

    def send(self, address: ActorAddress, message: object) -> None:
        """Send a message and return when it was delivered, or after `base.PATIENCE`; then it is still under way.

        An actor that hangs takes it when it goes on; what is under way is sent while `receive` waits.

        Raises:
            NotRunningError: nobody is at the address any more.
        """
        try:
            self._base.tell(address, message)
        except ActorSystemException as error:
            raise NotRunningError(f"the actor at {format_address(address)} has ended") from error

    def begin_to_send(self, address: ActorAddress, message: object) -> Callable[[], bool]:
        """Begin to send a message, which goes on while `receive` waits.

        Returns:
            Says whether it is certain by now that nobody is at the address, and has got it.
        """
        track = self._base._tx_to_actor(address, message)  # noqa: SLF001 - `tell` waits, however silent the other is
        return lambda: track.failure == SendStatus.DeadTarget

    def create(self, actor_class: type) -> ActorAddress:
        """Create an actor directly below the administrator.

        Raises:
            NotRunningError: the actor system ended meanwhile, or did not answer.
        """
        try:
            return self._base.newPrimaryActor(actor_class, None, None)
        except ActorSystemException as error:
            raise NotRunningError(f"the actor system did not create {actor_class.__name__}: {error}") from error

    def receive(self, timeout_s: float | None, *, watch_fds: Iterable[int] = ()) -> Any:
        """Return the next message, ReadyFds, or None when the time is over (None: wait for ever)."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._base.transport.set_watch(list(watch_fds))
        try:
            return self._next(deadline)
        finally:
            # Otherwise Thespian's own exchanges, such as a shutdown, would be woken by them.
            self._base.transport.set_watch([])

    def _next(self, deadline: float | None) -> Any:
        while True:
            left = None if deadline is None else timedelta(seconds=max(0.0, deadline - time.monotonic()))
            envelope = self._base._run_transport(left)  # noqa: SLF001 - see above
            if isinstance(envelope, ReceiveEnvelope):
                message = envelope.message
                if isinstance(message, WatchMessage):
                    return ReadyFds(fds=tuple(message.ready))
                if not isInternalActorSystemMessage(message):
                    return message
            elif deadline is not None and time.monotonic() >= deadline:
                return None

    def ask(self, address: ActorAddress, message: object, *, timeout_s: float, match: Callable[[Any], bool]) -> Any:
        """Send a message and return the first answer that matches, or None when the time is over."""
        deadline = time.monotonic() + timeout_s
        self.send(address, message)
        while (left := deadline - time.monotonic()) > 0:
            answer = self.receive(left)
            if answer is not None and match(answer):
                return answer
        return None

    @staticmethod
    def address_of(text: str) -> ActorAddress:
        """Return the address that `format_address` wrote."""
        return SealedTCPTransport.getAddressFromString(text)

    def close(self) -> None:
        """Give the endpoint up."""
        self._base.transport.close()


def format_address(address: ActorAddress) -> str:
    """Return an address as `host:port`, for another process of this machine."""
    host, port = address.addressDetails.sockname[:2]
    return f"{host}:{port}"
