"""What one host takes from the greetings of another: also after it has itself stood still, and the other begun anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from thespian.actors import ActorSystemConventionUpdate
from thespian.system import timing
from thespian.system.messages.convention import ConventionRegister
from thespian.system.transport.TCPTransport import TCPTransport

from quaestor_actors.system import convention
from quaestor_actors.system.convention import Convention, capabilities_of

OWN, PEER = (TCPTransport.getAddressFromString(f"127.0.0.{number}:7071") for number in (1, 2))
HANDLER = TCPTransport.getAddressFromString("127.0.0.1:9")


class Clock:
    now = 100.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Yield a clock that goes on only when it is told to."""
    made = Clock()
    for module in (timing, convention):
        monkeypatch.setattr(module, "currentTime", lambda: made.now)
    return made


@pytest.fixture
def alone(clock: Clock) -> Convention:  # noqa: ARG001 - it begins at a known time
    """Return a host that knows one other."""
    made = Convention(
        OWN, capabilities_of(peers=("127.0.0.2:7071",), start="1", host="a1"), _Nothing(), lambda _: [None]
    )
    made.setup_convention(activation=True)
    made.add_notification_handler(HANDLER)
    greet(made)
    return made


class _Nothing:
    def inc(self, _name: str) -> None:
        """Count nothing."""


def greet(host: Convention, start: str = "2") -> list[Any]:
    capabilities = capabilities_of(peers=(), start=start, host="a2")
    return host.got_convention_register(ConventionRegister(PEER, capabilities, False))  # noqa: FBT003 - Thespian's signature


def told(sends: list[Any]) -> list[bool]:
    """Return whether each host of which handlers are told has come."""
    updates = [getattr(send, "message", None) for send in sends]
    return [update.remoteAdded for update in updates if isinstance(update, ActorSystemConventionUpdate)]


def lost(sends: list[Any]) -> bool:
    return not all(told(sends))


def test__silence__is_a_loss_at_once(alone: Convention, clock: Clock) -> None:
    for _ in range(3):
        clock.now += 0.5
        assert not lost(alone.check_convention())
    clock.now += 0.11
    assert lost(alone.check_convention())


def test__own_stall__is_no_loss_if_the_other_is_heard_then(alone: Convention, clock: Clock) -> None:
    clock.now += 5
    assert not lost(alone.check_convention())
    greet(alone)
    for _ in range(3):
        clock.now += 0.5
        assert not lost(alone.check_convention())


def test__own_stall__is_a_loss_if_nothing_comes_after_it(alone: Convention, clock: Clock) -> None:
    clock.now += 5
    assert not lost(alone.check_convention())
    clock.now += 0.5
    assert not lost(alone.check_convention())
    clock.now += 0.51
    assert lost(alone.check_convention())


def test__stall_after_stall__hides_nobody(alone: Convention, clock: Clock) -> None:
    clock.now += 5
    assert not lost(alone.check_convention())
    clock.now += 5
    assert lost(alone.check_convention())


def test__other_host_that_has_begun_anew__was_lost_even_if_it_had_heard_of_this_one_before(alone: Convention) -> None:
    assert not told(greet(alone))
    assert told(greet(alone, start="3")) == [False, True]
    assert not told(greet(alone, start="3"))
