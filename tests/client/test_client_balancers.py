"""Several real balancers behind one object, synchronous and for asyncio."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from support.ports import free_port
from support.waiting import wait_until

from quaestor_actors.client import (
    Balancers,
    BalancersUnavailableError,
    DiscoveryTimeoutError,
    NoLocationError,
    ServiceLocation,
    aio,
)

Ask = Callable[..., Any]
Open = Callable[..., Ask]


class _OnLoop:
    """The asynchronous balancers, called as if they were synchronous."""

    def __init__(self, runner: asyncio.Runner, *arguments: Any, **named: Any) -> None:
        self._runner = runner

        async def make() -> aio.Balancers:
            return aio.Balancers(*arguments, **named)

        self._balancers = runner.run(make())

    def pick(self, *arguments: Any, **named: Any) -> Any:
        return self._runner.run(self._balancers.pick(*arguments, **named))

    def discover(self, *arguments: Any, **named: Any) -> Any:
        return self._runner.run(self._balancers.discover(*arguments, **named))

    def close(self) -> None:
        self._runner.run(self._balancers.close())


@pytest.fixture(params=["sync", "aio"])
def open_balancers(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Yield a maker of balancers of either kind."""
    opened: list[Any] = []
    with asyncio.Runner() as runner:

        def make(*arguments: Any, **named: Any) -> Any:
            kind = request.param
            balancers = Balancers(*arguments, **named) if kind == "sync" else _OnLoop(runner, *arguments, **named)
            opened.append(balancers)
            return balancers

        yield make
        for balancers in opened:
            balancers.close()


@pytest.fixture
def hung_address() -> Iterator[str]:
    """Yield the address of a server that accepts connections, and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as hung:
        yield f"127.0.0.1:{hung.getsockname()[1]}"


def answered(field: Any) -> list[int]:
    return [balancer.answered for balancer in field.balancers]


def test__two_balancers__asked_in_turn(make_field: Any, open_balancers: Any) -> None:
    field = make_field(workers=3, balancers=2)
    balancers = open_balancers(field.addresses)
    ports = {worker.port for worker in field.workers}
    assert {location.port for location in balancers.discover("Worker")} == ports
    assert len(balancers.discover("Worker", 2)) == 2
    picked = {balancers.pick("Worker") for _ in range(6)}
    assert {location.port for location in picked} == ports
    assert answered(field) == [4, 4]


def test__nobody_offers_the_service__typed_error_but_an_empty_list(make_field: Any, open_balancers: Any) -> None:
    field = make_field(workers=1)
    balancers = open_balancers(field.addresses, scope="red")
    assert balancers.discover("Worker") == ()
    with pytest.raises(NoLocationError, match="'Worker' in the scope 'red'") as caught:
        balancers.pick("Worker")
    assert (caught.value.service_name, caught.value.scope) == ("Worker", "red")
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test__locations_to_avoid__only_if_there_are_no_others(make_field: Any, open_balancers: Any) -> None:
    field = make_field(workers=2)
    balancers = open_balancers(field.addresses)
    one, two = (ServiceLocation("Worker", "localhost", worker.port) for worker in field.workers)
    assert {balancers.pick("Worker", avoid={one}) for _ in range(4)} == {two}
    assert balancers.pick("Worker", avoid={one, two}) in {one, two}


def test__balancer_killed__the_other_answers_and_later_its_successor(make_field: Any, open_balancers: Any) -> None:
    field = make_field(workers=1)
    port = free_port()
    field.start_balancer(port=port)
    balancers = open_balancers(field.addresses)
    for _ in range(2):
        balancers.pick("Worker")
    field.balancers.pop().kill()
    for _ in range(10):
        assert balancers.pick("Worker").port == field.workers[0].port
    successor = field.start_balancer(port=port)

    def asked() -> int:
        balancers.pick("Worker")
        return successor.answered

    wait_until(asked, 10, "the successor to be asked")


def test__balancer_hangs__costs_its_time_once_and_is_left_out(
    make_field: Any, open_balancers: Any, hung_address: str
) -> None:
    field = make_field(workers=1)
    balancers = open_balancers([hung_address, *field.addresses], timeout_s=0.5)
    for _ in range(4):
        assert balancers.pick("Worker").port == field.workers[0].port
    assert answered(field) == [4]


def test__all_out__error_names_each_and_why(open_balancers: Any, hung_address: str) -> None:
    gone_address = f"127.0.0.1:{free_port()}"
    balancers = open_balancers([gone_address, hung_address], timeout_s=0.3)
    for _ in range(2):
        with pytest.raises(BalancersUnavailableError) as caught:
            balancers.pick("Worker")
        reasons = {failure.address: failure.reason for failure in caught.value.failures}
        assert reasons[hung_address] == "too slow"
        assert reasons[gone_address].startswith("UNAVAILABLE: ")
        assert gone_address in str(caught.value)
        assert hung_address in str(caught.value)


def test__caller_s_time_over__says_so(open_balancers: Any, hung_address: str) -> None:
    balancers = open_balancers([hung_address])
    with pytest.raises(DiscoveryTimeoutError, match="too slow") as caught:
        balancers.pick("Worker", timeout_s=0.1)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    with pytest.raises(DiscoveryTimeoutError, match="none was asked"):
        balancers.discover("Worker", timeout_s=0.0)


def test__bad_question__is_refused_and_leaves_nobody_out(make_field: Any, open_balancers: Any) -> None:
    field = make_field(workers=1, balancers=2)
    balancers = open_balancers(field.addresses)
    with pytest.raises(grpc.RpcError) as caught:
        balancers.discover("Worker", -1)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    for _ in range(4):
        balancers.pick("Worker")
    assert answered(field) == [2, 2]


@pytest.mark.parametrize("timeout_s", [0, -1.0, float("nan")])
def test__time_of_no_use__is_said_so(open_balancers: Any, timeout_s: float) -> None:
    with pytest.raises(ValueError, match="timeout_s must be positive"):
        open_balancers(["127.0.0.1:1"], timeout_s=timeout_s)


def test__many_threads_and_a_kill__everybody_gets_an_answer(make_field: Any) -> None:
    field = make_field(workers=2, balancers=2)
    ports = {worker.port for worker in field.workers}
    with Balancers(field.addresses) as balancers, ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(balancers.pick, "Worker") for _ in range(200)]
        wait_until(lambda: sum(answer.done() for answer in answers) > 20, 10, "the first answers")
        field.balancers.pop().kill()
        answers += [threads.submit(balancers.pick, "Worker") for _ in range(200)]
        assert {answer.result(20).port for answer in answers} == ports


def test__many_tasks_and_a_kill__everybody_gets_an_answer(make_field: Any) -> None:
    field = make_field(workers=2, balancers=2)

    async def ask() -> set[int]:
        async with aio.Balancers(field.addresses) as balancers:
            first = [asyncio.create_task(balancers.pick("Worker")) for _ in range(200)]
            await first[0]
            await asyncio.to_thread(field.balancers.pop().kill)
            rest = [asyncio.create_task(balancers.pick("Worker")) for _ in range(200)]
            return {location.port for location in await asyncio.gather(*first, *rest)}

    assert asyncio.run(ask()) == {worker.port for worker in field.workers}
