"""What is said to actors of users, by them, and about where they are.

What one of them sends is pickled by itself and travels as bytes, so that only whoever it is for needs its class.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from quaestor_actors.actor import LARGEST_MESSAGE
from quaestor_actors.core.crossing import Crossing
from quaestor_actors.errors import MessageError

# Whoever asks from outside must not wait for these, and they are annotations only.
if TYPE_CHECKING:
    from thespian.actors import ActorAddress

    from quaestor_actors.actors.base import Identity
    from quaestor_actors.core.finding import Standing
    from quaestor_actors.core.spec import ActorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class StartUserActor:
    """From the root: be this actor of the user's."""

    identity: Identity
    spec: ActorSpec
    name: str
    """How others find it: with its host, if there are several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindActor:
    """From anybody with the cookie, to a root: where is this actor, on this host or another one?"""

    request_id: str
    name: str
    """`Thermometer@a3`, or without a host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindElsewhere:
    """From a root, to its actor for the other hosts: somebody looks for an actor that is not here."""

    request_id: str
    name: str
    host: str
    """Empty: any other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindHere(Crossing):
    """From another host, to a root: have you got this actor?"""

    request_id: str
    name: str
    """Without a host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Located(Crossing):
    """The answer to one FindActor or FindHere."""

    request_id: str
    name: str
    """With its host, if there are several."""
    standing: Standing
    address: ActorAddress | None = None
    """None if it does not work."""
    incarnation: int = 0
    """Which one of those that it has had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter(Crossing):
    """To an actor of the user's: a message, and who wants to hear of it."""

    to: str
    payload: bytes = field(repr=False)
    sender: str = ""
    """An actor's name; empty: a program outside of the tree."""
    request_id: str = ""
    """Of a program that waits for an answer."""
    is_told: bool = False
    """It does not wait for what the actor says, but for an answer that says that the message is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Crossing):
    """To a program that waits."""

    request_id: str
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(Crossing):
    """To a program that waits: the actor has failed to handle the message."""

    request_id: str
    reason: str
    is_untouched: bool = False
    """It was not even looked at: it can be sent again, to the next one."""


def packed(message: Any) -> bytes:
    """Return a message as it travels.

    Raises:
        MessageError: it cannot be pickled, or is too large.
    """
    try:
        payload = pickle.dumps(message)
    except Exception as error:  # whatever the message's class raises
        raise MessageError(f"a {type(message).__name__} cannot be pickled: {type(error).__name__}: {error}") from error
    if len(payload) > LARGEST_MESSAGE:
        raise MessageError(f"a message of {len(payload)} bytes is over the limit of {LARGEST_MESSAGE}")
    return payload


def unpacked(payload: bytes) -> Any:
    """Return a message that came in a sealed frame.

    Raises:
        MessageError: its class is not known here, or is another one.
    """
    try:
        return pickle.loads(payload)  # noqa: S301 - only who has the cookie can have sent it
    except Exception as error:  # whatever the message's class raises
        raise MessageError(
            f"a message cannot be read ({type(error).__name__}: {error}); its class must be importable, under the same "
            "name, by whoever gets it"
        ) from error
