"""A timer as a descriptor."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator

import pytest

from quaestor_actors.adapters.timer import Timer


@pytest.fixture
def timer() -> Iterator[Timer]:
    made = Timer()
    yield made
    os.close(made.fd)


def is_readable(timer: Timer, within_s: float) -> bool:
    return bool(select.select([timer.fd], [], [], within_s)[0])


def test__unset__never_becomes_readable(timer: Timer) -> None:
    assert not is_readable(timer, 0)
    timer.clear()


def test__set__becomes_readable_at_that_time_and_not_before(timer: Timer) -> None:
    at = time.monotonic() + 0.02
    timer.set(at)
    assert is_readable(timer, 5)
    assert time.monotonic() >= at
    timer.clear()
    assert not is_readable(timer, 0)


@pytest.mark.parametrize("ago_s", [0.0, 100.0, 1e12])
def test__set_to_the_past__is_readable_at_once(timer: Timer, ago_s: float) -> None:
    timer.set(time.monotonic() - ago_s)
    assert is_readable(timer, 5)


def test__set_again__only_the_last_time_counts(timer: Timer) -> None:
    timer.set(time.monotonic() - 1)
    timer.set(None)
    assert not is_readable(timer, 0)
