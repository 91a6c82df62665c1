"""Ask actors of a running cluster from any Python program on one of its machines.

from quaestor_actors.remote import connect

with connect("shop") as cluster:
    print(cluster.ask("Thermometer@a3", "celsius", timeout_s=2.0))

What is needed is the cookie, which whoever runs the cluster can read. docs/actors.md has the rest.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from quaestor_actors.actors.user_actor_messages import (
    Answer,
    FindActor,
    Letter,
    Located,
    Refused,
    packed,
    unpacked,
)
from quaestor_actors.adapters import runtime_directory
from quaestor_actors.core.finding import Standing, Trouble
from quaestor_actors.errors import (
    ActorFailedError,
    AskError,
    HostLostError,
    NoAnswerError,
    NoSuchActorError,
    NotRunningError,
)
from quaestor_actors.system import transport
from quaestor_actors.system.base import attach
from quaestor_actors.system.connection import Connection
from quaestor_actors.system.host_endpoint import CLOCK_SKEW_S
from quaestor_actors.system.running import cookie_of, find_cluster, record_of

TIMEOUT_S = 5.0

LOOK_S = 1.0
"""How often it is looked whether an actor that does not answer is still there."""

LOOK_PATIENCE_S = 1.5
"""How long a root may take to find an actor: it asks other hosts, for a second at most."""

SLICE_S = 0.1
"""At most so long it is not noticed that nobody is at an address."""

RETRY_S = 0.1

_ERRORS = {
    Trouble.UNKNOWN: NoSuchActorError,
    Trouble.LOST: HostLostError,
    Trouble.AWAY: NoAnswerError,
    Trouble.ENDED: ActorFailedError,
}


def connect(cluster: str | None = None) -> RemoteCluster:
    """Return access to a cluster that runs on this machine; close it, or use it in a `with`.

    Args:
        cluster: its name; None: the only one that runs here, of this user.

    Raises:
        NotRunningError: no such cluster runs here.
        OperationError: several do, and none was named; or the cookie cannot be read.
    """
    return RemoteCluster(find_cluster(runtime_directory.base_directory(os.environ), cluster))


class RemoteCluster:
    """Access to the actors of users in a cluster. For one thread."""

    def __init__(self, directory: Path) -> None:
        """Attach to the cluster of this runtime directory.

        Raises:
            NotRunningError: it has ended, or does not answer.
            OperationError: the cookie cannot be read.
        """
        self._directory = directory
        record = record_of(directory)
        interface = transport.Interface(address=record.address)
        if record.host:
            # Answers come from other hosts, too.
            interface = replace(interface, clock_skew_s=CLOCK_SKEW_S)
        transport.configure(cookie=cookie_of(directory, record), interface=interface)
        self._connection = Connection(attach(record.admin_port))

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Give the access up."""
        self._connection.close()

    def ask(self, name: str, message: object, *, timeout_s: float = TIMEOUT_S) -> Any:
        """Send an actor a message and return its first answer.

        Args:
            name: `Thermometer@a3` is the one of that host, `Thermometer` the one of this host, else that of another.
            message: anything that can be pickled; its class must be importable where the actor runs.
            timeout_s: for everything; one that is just being started is waited for.

        Raises:
            NoSuchActorError: there is no such actor, or no such host.
            HostLostError: its host is lost.
            NoAnswerError: nothing came in time, or the actor was replaced meanwhile.
            ActorFailedError: it crashed on the message, could not read it, was given up, or has done its work.
            MessageError: the message cannot be pickled or is too large, or the answer cannot be read.
        """
        return unpacked(self._send(name, packed(message), timeout_s, is_told=False).payload)

    def tell(self, name: str, message: object, *, timeout_s: float = TIMEOUT_S) -> None:
        """Send an actor a message that it need not answer, and return when it has begun to handle it.

        Args:
            name: as for `ask`.
            message: likewise.
            timeout_s: likewise. An actor that is busy for longer gets the message all the same.

        Raises:
            NoSuchActorError: there is no such actor, or no such host.
            HostLostError: its host is lost.
            NoAnswerError: it was not found, or has not begun to handle the message, in time.
            ActorFailedError: it could not read the message, was given up, or has done its work.
            MessageError: the message cannot be pickled, or is too large.
        """
        self._send(name, packed(message), timeout_s, is_told=True)

    def _send(self, name: str, payload: bytes, timeout_s: float, *, is_told: bool) -> Answer:
        deadline = time.monotonic() + timeout_s
        while True:
            found = self._find(name, deadline, timeout_s)
            letter = Letter(to=found.name, payload=payload, request_id=_new_id(), is_told=is_told)
            answer = self._exchange(name, found, letter, deadline, timeout_s)
            if answer is not None:
                return answer

    # Where it is

    def _find(self, name: str, deadline: float, timeout_s: float) -> Located:
        """Return where an actor is that works."""
        trouble = f"its cluster {self._directory.name!r} does not answer"
        while (now := time.monotonic()) < deadline:
            located = self._look(name, min(deadline, now + LOOK_PATIENCE_S))
            if located is not None and located.address is not None:
                return located
            if located is not None:
                _raise_if_final(name, located.standing)
                trouble = located.standing.reason
            self._connection.receive(max(0.0, min(RETRY_S, deadline - time.monotonic())))
        raise NoAnswerError(name, f"not found within {timeout_s:g} s: {trouble}")

    def _look(self, name: str, until: float) -> Located | None:
        request_id = self._begin_to_look(name)
        while request_id is not None and (left := until - time.monotonic()) > 0:
            message = self._connection.receive(left)
            if isinstance(message, Located) and message.request_id == request_id:
                return message
        return None

    def _begin_to_look(self, name: str) -> str | None:
        """Ask the root where an actor is; return the id of the question, None if there is no root at the moment."""
        try:
            # It may be another one than the last time.
            record = record_of(self._directory)
        except NotRunningError:
            return None
        request_id = _new_id()
        root = self._connection.address_of(record.root_address)
        self._connection.begin_to_send(root, FindActor(request_id=request_id, name=name))
        return request_id

    # Asking it

    def _exchange(self, name: str, found: Located, letter: Letter, deadline: float, timeout_s: float) -> Answer | None:
        """Return the answer of an actor; None if it was not there any more, and has not got the message."""
        is_nobody_there = self._connection.begin_to_send(found.address, letter)
        question, look_at = None, time.monotonic() + LOOK_S
        while (now := time.monotonic()) < deadline:
            match self._connection.receive(max(0.0, min(SLICE_S, deadline - now))):
                case Answer(request_id=letter.request_id) as answer:
                    return answer
                case Refused(request_id=letter.request_id, is_untouched=True):
                    return None
                case Refused(request_id=letter.request_id, reason=reason):
                    raise ActorFailedError(name, reason)
                case Located(request_id=request_id) as located if request_id == question:
                    _raise_if_gone(name, found, located)
            if is_nobody_there():
                return None
            if now >= look_at:
                question, look_at = self._begin_to_look(found.name), now + LOOK_S
        raise NoAnswerError(name, f"no answer within {timeout_s:g} s")


def _raise_if_final(name: str, standing: Standing) -> None:
    if standing.trouble is not None and standing.trouble is not Trouble.AWAY:
        raise _error(name, standing)


def _raise_if_gone(name: str, asked: Located, now: Located) -> None:
    """Give up waiting for an actor that will not answer."""
    if now.incarnation > asked.incarnation:
        raise NoAnswerError(name, "it was replaced while it was asked")
    if now.address is None:
        _raise_if_final(name, now.standing)


def _error(name: str, standing: Standing) -> AskError:
    assert standing.trouble is not None  # noqa: S101 - checked by the callers
    return _ERRORS[standing.trouble](name, standing.reason)


def _new_id() -> str:
    return os.urandom(16).hex()
