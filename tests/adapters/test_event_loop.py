"""The background loop: what runs on it, and that no error on it is swallowed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from support.waiting import wait_until

from quaestor_actors.adapters.event_loop import LoopThread

DEADLINE_S = 10.0


@pytest.fixture
def crashes() -> list[BaseException]:
    return []


@pytest.fixture
def loop(crashes: list[BaseException]) -> Iterator[LoopThread]:
    thread = LoopThread(name="under test", on_crash=crashes.append)
    thread.start()
    yield thread
    thread.stop()


def fail() -> None:
    raise ZeroDivisionError


async def fail_later() -> None:
    fail()


def spawn(loop: LoopThread, coroutine: Coroutine[Any, Any, None]) -> None:
    def on_loop() -> None:
        loop.spawn(coroutine)

    loop.post(on_loop)


def test__call__gives_the_result_of_the_loop_s_thread(loop: LoopThread) -> None:
    async def where() -> str:
        return threading.current_thread().name

    assert loop.call(where()).result(DEADLINE_S) == "under test"


def test__call__error__goes_to_the_caller_only(loop: LoopThread, crashes: list[BaseException]) -> None:
    with pytest.raises(ZeroDivisionError):
        loop.call(fail_later()).result(DEADLINE_S)
    assert crashes == []


def test__post__keeps_the_order(loop: LoopThread) -> None:
    seen: list[int] = []
    for number in range(100):
        loop.post(lambda number=number: seen.append(number))  # type: ignore[misc] # a bound default
    wait_until(lambda: len(seen) == 100, DEADLINE_S, "all callbacks")
    assert seen == list(range(100))


def test__post__error__is_a_crash(loop: LoopThread, crashes: list[BaseException]) -> None:
    loop.post(fail)
    wait_until(lambda: crashes, DEADLINE_S, "the crash")
    assert isinstance(crashes[0], ZeroDivisionError)


def test__spawn__error__is_a_crash(loop: LoopThread, crashes: list[BaseException]) -> None:
    spawn(loop, fail_later())
    wait_until(lambda: crashes, DEADLINE_S, "the crash")
    assert isinstance(crashes[0], ZeroDivisionError)


def test__stop__cancels_what_runs_and_is_no_crash(crashes: list[BaseException]) -> None:
    loop = LoopThread(name="under test", on_crash=crashes.append)
    loop.start()
    started, cleaned = threading.Event(), threading.Event()

    async def wait_for_ever() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    spawn(loop, wait_for_ever())
    assert started.wait(DEADLINE_S)
    loop.stop()
    assert cleaned.is_set()
    assert not loop.is_running
    assert crashes == []
    loop.stop()


def test__not_started__says_so(crashes: list[BaseException]) -> None:
    loop = LoopThread(name="under test", on_crash=crashes.append)
    with pytest.raises(RuntimeError, match="was not started"):
        loop.time()
    loop.stop()
