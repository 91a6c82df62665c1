"""Thespian's convention without a leader: every host registers with every other, and no host is special.

A stock convention has one leader, and members know of each other only through it; with several possible leaders the
members change sides as these come and go. Here each administrator treats the others as its members: it registers with
each of them again and again, drops who has been silent for a while, and tells its handlers (see
`Actor.notifyOnSystemRegistrationChanges`) who came, who went, and whose capabilities have changed. Capabilities travel
with each registration, and so does `createActor` with requirements.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from thespian.actors import ActorAddress, ActorSystemConventionUpdate
from thespian.system.admin import convention as stock
from thespian.system.messages.convention import ConventionDeRegister, ConventionRegister
from thespian.system.timing import ExpirationTimer, currentTime
from thespian.system.transport import TransmitIntent, asyncTransportBase
from thespian.system.transport.TCPTransport import TCPTransport

from quaestor_actors.core import crossing
from quaestor_actors.core.membership import FAREWELL, HOST

PEERS = "Quaestor Peers"
"""Capability: the administrators of the other hosts, each as `host:port`."""

START = "Quaestor Start"
"""Capability: differs between two starts of the same host."""

GREETING_PERIOD = timedelta(seconds=0.5)
"""How often each host tells each other one that it is there."""

SILENCE = timedelta(seconds=1.6)
"""A host that was not heard for so long is lost: three greetings that did not come, and a tenth of a second.

It leaves 0.4 s of the two seconds in which everybody is to know to a busy machine.
"""

STALL_S = 0.25
"""An administrator that comes so much too late to its checks has stood still, and not heard what waits to be read."""

PARDON = 2 * GREETING_PERIOD
"""Two greetings that may be late, as whatever kept one host may have kept the others, too."""

PENDING_TRANSMITS = 500
"""How many messages may be under way from one endpoint; the stock has 20."""


class Convention(stock.LocalConventionState):  # type: ignore[misc]  # Thespian has no type information
    """Who else is there, as one administrator knows it; in the place of Thespian's own class of this kind.

    Its methods return what is to be sent.
    """

    def __init__(self, address: ActorAddress, capabilities: dict[str, Any], *arguments: Any) -> None:
        """Begin alone. The arguments are Thespian's."""
        super().__init__(address, capabilities, *arguments)
        self._conventionAddress = [None]
        self._peers = _peers(capabilities, address)
        # The administrator sleeps by this from the start, and looks at it again only then.
        self._conventionRegistration = ExpirationTimer(GREETING_PERIOD)
        self._checked_at = currentTime()

    def isConventionLeader(self) -> bool:  # noqa: N802 - Thespian's name
        """Return that nobody leads this administrator."""
        return True

    def setup_convention(self, activation: bool = False) -> list[TransmitIntent]:  # noqa: FBT001, FBT002 - Thespian's signature
        """Greet every other host; also as soon as our capabilities have changed."""
        self._has_been_activated |= activation
        self._conventionRegistration = ExpirationTimer(GREETING_PERIOD)
        return [self._greeting(peer, first=self._conventionMembers.find(peer) is None) for peer in self._peers]

    def got_convention_register(self, message: ConventionRegister) -> list[Any]:
        """Take in a greeting; one from a host that does not know us yet is answered at once."""
        peer, answers = message.adminAddress, []
        if peer not in self._peers:
            # Its configuration has us, and ours does not have it.
            return []
        known = self._conventionMembers.find(peer)
        # If it has heard of us before it could greet, this is not its first word, and it has begun anew nevertheless.
        if known is not None and _begun(known.remoteCapabilities) != _begun(message.capabilities):
            answers += self._remote_system_cleanup(peer)
            known = None
        is_news = known is None or known.remoteCapabilities != message.capabilities
        if known is None:
            known = stock.ConventionMemberData(peer, message.capabilities)
            self._conventionMembers.add(peer, known)
        known.remoteCapabilities = message.capabilities
        known.registryValid = ExpirationTimer(SILENCE)
        known.is_pardoned = False
        if message.firstTime:
            answers.append(self._greeting(peer, first=False))
        if is_news:
            answers += self._notifications_of(ActorSystemConventionUpdate(peer, message.capabilities, True))  # noqa: FBT003 - Thespian's signature
        return answers

    def got_convention_deregister(self, message: ConventionDeRegister) -> list[Any]:
        """Take in a farewell, and let the handlers know that it was one."""
        known = self._conventionMembers.find(message.adminAddress)
        if known is not None:
            known.remoteCapabilities = {**known.remoteCapabilities, FAREWELL: True}
        return list(super().got_convention_deregister(message))

    def check_convention(self) -> list[Any]:
        """Drop who has been silent, and greet the others when it is time to."""
        now = currentTime()
        if now - self._checked_at > GREETING_PERIOD.total_seconds() + STALL_S:
            self._pardon(now)
        self._checked_at = now
        sends = self._convention_leader_checks(now)
        if self._conventionRegistration.view(now).expired():
            sends = [*sends, *self.setup_convention()]
        return list(sends)

    def _pardon(self, now: float) -> None:
        """Give those who seem to be silent some time, as it was this host that stood still."""
        for member in self._conventionMembers.values():
            if member.registryValid.view(now).expired() and not member.is_pardoned:
                member.is_pardoned = True
                member.registryValid = ExpirationTimer(PARDON)

    def convention_inattention_delay(self, now: float) -> Any:
        """Return how long the administrator may sleep."""
        ends = [member.registryValid.view(now) for member in self._conventionMembers.values()]
        return min([self._conventionRegistration.view(now), *ends])

    def exit_convention(self) -> list[TransmitIntent]:
        """Say farewell to all that are there."""
        farewell = ConventionDeRegister(self.myAddress)
        known = [member.remoteAddress for member in self._conventionMembers.values()]
        return [TransmitIntent(peer, farewell, maxPeriod=GREETING_PERIOD) for peer in known]

    def _greeting(self, peer: ActorAddress, *, first: bool) -> TransmitIntent:
        # One that cannot be delivered is worth nothing when the next one is due, and must not pile up.
        message = ConventionRegister(self.myAddress, dict(self.capabilities), first)
        return TransmitIntent(peer, message, maxPeriod=GREETING_PERIOD)


def capabilities_of(*, peers: tuple[str, ...], start: str, host: str) -> dict[str, Any]:
    """Return what an administrator must be able to do to take part.

    Args:
        peers: The administrators of the other hosts, each as `host:port`.
        start: Differs between two starts of the same host.
        host: What it is called.
    """
    return {PEERS: list(peers), START: start, HOST: host, crossing.CAPABILITY: crossing.SPOKEN}


def install() -> None:
    """Have what is started from now on take part in this kind of convention."""
    # What waits for a host that is silent must not keep the others waiting.
    asyncTransportBase.MAX_PENDING_TRANSMITS = PENDING_TRANSMITS
    stock.LocalConventionState = Convention


def _peers(capabilities: dict[str, Any], own: ActorAddress) -> list[ActorAddress]:
    addresses = [TCPTransport.getAddressFromString(text) for text in capabilities.get(PEERS, ())]
    return [address for address in addresses if address != own]


def _begun(capabilities: dict[str, Any]) -> Any:
    return capabilities.get(START)
