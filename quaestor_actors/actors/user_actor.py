"""An actor of the user's, as the tree has it: it loads the class in its own process, and is its surroundings."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Any

from thespian.actors import ActorAddress, ThespianWatch

from quaestor_actors.actor import Actor, Sender, Undelivered, made
from quaestor_actors.actors.base import Ready, Stop, Stopped, TreeActor
from quaestor_actors.actors.user_actor_messages import (
    Answer,
    FindActor,
    Letter,
    Located,
    Refused,
    StartUserActor,
    packed,
    unpacked,
)
from quaestor_actors.adapters.actor_class import load_actor_class
from quaestor_actors.core.finding import Trouble
from quaestor_actors.errors import ActorClassError, MessageError

PATIENCE_S = 5.0
"""How long an actor that is away is waited for before messages to it are given up."""

RETRY_S = 0.2
KNOWN_FOR_S = 1.0
"""How long it is believed that an actor is where it was: whoever is replaced meanwhile may miss as much."""

_OWN_WAKE = "own "
_FIND_WAKE = "find"


@dataclass(slots=True, kw_only=True)
class _Correspondent:
    """An actor that messages go to."""

    unsent: list[tuple[Any, bytes]] = field(default_factory=list)
    """Messages that wait until it is known where it is, also pickled."""
    name: str = ""
    """With its host, as it was found."""
    address: ActorAddress | None = None
    known_until: float = 0.0
    request_id: str = ""
    """Of the question that is under way; empty: there is none."""
    ask_at: float | None = None
    give_up_at: float = 0.0
    trouble: str = "nobody answers"


class UserActor(TreeActor):
    """Shell around one object of a class of the user's."""

    name: str
    _actor: Actor

    def __init__(self) -> None:
        """Begin with nothing; StartUserActor brings everything."""
        super().__init__()
        self._sender: Sender | None = None
        """Of the message that is being handled."""
        self._correspondents: dict[str, _Correspondent] = {}
        self._questions = 0

    def receive(self, message: Any, sender: ActorAddress) -> None:
        """Handle the root's messages, and those for the user's object."""
        match message:
            case StartUserActor():
                self._start(message, sender)
            case Letter():
                self._take(message, sender)
            case Located():
                self._located(message)
            case Stop():
                self._actor.on_stop()
                self.finish()
            case _:
                self.log.warning("unexpected message %s", type(message).__name__)

    def on_wake(self, key: str) -> None:
        """Pass the time on, or look for somebody again."""
        if key == _FIND_WAKE:
            self._look_again()
        else:
            self._actor.on_wake(key.removeprefix(_OWN_WAKE))

    def _start(self, message: StartUserActor, sender: ActorAddress) -> None:
        self.begin(message.identity, sender)
        self.name = message.name
        spec = message.spec
        actor_class = load_actor_class(spec.class_name, folder=spec.folder, settings=spec.settings)
        self._actor = made(actor_class, dict(spec.settings), self)
        self.send(sender, Ready(identity=self.identity, pid=os.getpid()))

    def _take(self, letter: Letter, address: ActorAddress) -> None:
        if letter.to != self.name:
            # Its address was somebody else's before.
            self._leave_untouched(letter, address, f"{letter.to} is not there any more")
            return
        sender = Sender(name=letter.sender, address=address, request_id=letter.request_id)
        try:
            message = unpacked(letter.payload)
        except MessageError as error:
            self.log.warning("from %s: %s", letter.sender or "a program", error)
            self._refuse(sender, str(error))
            return
        if letter.is_told:
            self.send(address, Answer(request_id=letter.request_id, payload=packed(None)))
            sender = replace(sender, request_id="")
        self._sender = sender
        self._actor.receive(message, sender)
        self._sender = None

    def receiveMessage(self, message: Any, sender: ActorAddress) -> ThespianWatch | None:  # noqa: N802 - Thespian's name
        """Route one message of the actor system; what comes while this actor ends is for the next one."""
        if self._ending and isinstance(message, Letter):
            self._leave_untouched(message, sender, f"{self.name} is just ending")
        return super().receiveMessage(message, sender)

    def _leave_untouched(self, letter: Letter, sender: ActorAddress, reason: str) -> None:
        if letter.request_id:
            self.send(sender, Refused(request_id=letter.request_id, reason=reason, is_untouched=True))

    def _refuse(self, sender: Sender, reason: str) -> None:
        if sender.request_id:
            self.send(sender.address, Refused(request_id=sender.request_id, reason=reason))

    def reason_of(self, error: Exception) -> str:
        """Return, for people, why an exception ends this actor."""
        # What is said of a class that cannot be loaded needs no place in our code.
        return str(error) if isinstance(error, ActorClassError) else super().reason_of(error)

    def after_crash(self, reason: str) -> None:
        """Tell whoever waits for an answer; who asks again at once finds that the root knows of it already."""
        if self._sender is not None:
            self._refuse(self._sender, f"{self.name} crashed: {reason}")

    # What the user's object calls

    def tell(self, to: str | Sender, message: Any) -> None:
        """Send a message; see `Actor.tell`."""
        payload = packed(message)
        if isinstance(to, str) or to.name:
            self._post(to if isinstance(to, str) else to.name, message, payload)
        elif to.request_id:
            self.send(to.address, Answer(request_id=to.request_id, payload=payload))

    def reply(self, message: Any) -> None:
        """Answer the message that is being handled; see `Actor.reply`."""
        if self._sender is None:
            raise RuntimeError("no message is being handled; keep its sender, and tell it")
        self.tell(self._sender, message)

    def wake_in(self, seconds: float | None, key: str) -> None:
        """Arrange a call of `on_wake`; see `Actor.wake_in`."""
        self.wake_at(_OWN_WAKE + key, None if seconds is None else self.outside.clock() + seconds)

    def finish(self) -> None:
        """End in order; see `Actor.finish`."""
        self.send(self.parent, Stopped(identity=self.identity))
        self.end()

    # Who is where

    def _post(self, to: str, message: Any, payload: bytes) -> None:
        now = self.outside.clock()
        known = self._correspondents.setdefault(to, _Correspondent())
        if known.address is not None and now < known.known_until and not known.unsent:
            self._write(known.name, known.address, payload)
            return
        if not known.unsent:
            known.give_up_at = now + PATIENCE_S
        known.unsent.append((message, payload))
        if not known.request_id and known.ask_at is None:
            self._look_for(to, known)

    def _write(self, to: str, address: ActorAddress, payload: bytes) -> None:
        self.send(address, Letter(to=to, payload=payload, sender=self.name))

    def _look_for(self, name: str, known: _Correspondent) -> None:
        self._questions += 1
        known.request_id = f"{self._questions} {name}"
        # An answer may be lost with whoever was to give it.
        known.ask_at = self.outside.clock() + KNOWN_FOR_S + RETRY_S
        self.send(self.parent, FindActor(request_id=known.request_id, name=name))
        self._arrange()

    def _located(self, found: Located) -> None:
        name = found.request_id.partition(" ")[2]
        known = self._correspondents.get(name)
        if known is None or known.request_id != found.request_id:
            return
        now = self.outside.clock()
        known.request_id, known.ask_at = "", None
        if found.address is not None:
            known.name, known.address, known.known_until = found.name, found.address, now + KNOWN_FOR_S
            unsent, known.unsent = known.unsent, []
            for _, payload in unsent:
                self._write(found.name, found.address, payload)
        elif found.standing.trouble is Trouble.AWAY:
            known.trouble, known.ask_at = found.standing.reason, now + RETRY_S
        else:
            self._give_up(name, known, found.standing.reason)
        self._arrange()

    def _look_again(self) -> None:
        now = self.outside.clock()
        for name, known in list(self._correspondents.items()):
            if known.ask_at is None or known.ask_at > now:
                continue
            if now >= known.give_up_at:
                self._give_up(name, known, f"{known.trouble}, for {PATIENCE_S:g} s")
            else:
                self._look_for(name, known)
        self._arrange()

    def _give_up(self, name: str, known: _Correspondent, reason: str) -> None:
        del self._correspondents[name]
        for message, _ in known.unsent:
            self._actor.on_undelivered(Undelivered(to=name, message=message, reason=reason))

    def _arrange(self) -> None:
        times = [known.ask_at for known in self._correspondents.values() if known.ask_at is not None]
        self.wake_at(_FIND_WAKE, min(times, default=None))
