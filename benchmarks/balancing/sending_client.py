"""A client process that sends given requests at given times, and chooses a worker for each.

Question: `{"ports": [of all workers], "requests": [[at_s, work_s], ...], "balancer": ADDRESS, "connections": N}`, or
instead of a balancer `"policy": "random"` with a `"seed"`, `"round robin"`, or `"shortest queue"` by the client's own
counts.

Answer: the response time of each in seconds, from the moment at which it was to come to its answer; so it includes
whatever the client is late, and the balancer's time.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import grpc
import grpc.aio

from balancing.children import answer, questions
from balancing.deployed_balancer import HOST_NAME, SERVICE_NAME
from balancing.simulation import at_random, round_robin, shortest
from balancing.working_locations import WORK, WORK_METHOD, WORK_SERVICE
from quaestor_actors.client.aio import Balancers

_LEAD_S = 0.1
"""Before the first request."""

Choose = Callable[[], Awaitable[int]]
"""Returns the port of the worker that gets the next request."""


async def _choice(question: Any, running: AsyncExitStack, unanswered: dict[int, int]) -> Choose:
    if "balancer" in question:
        address, count = question["balancer"], question["connections"]
        connected = [await running.enter_async_context(Balancers([address])) for _ in range(count)]
        for one in connected:
            await one.discover(SERVICE_NAME)
        turns = itertools.cycle(connected)

        async def by_balancer() -> int:
            return (await next(turns).pick(SERVICE_NAME)).port

        return by_balancer
    ports: list[int] = question["ports"]
    match question["policy"]:
        case "round robin":
            choose = round_robin(ports)
        case "shortest queue":
            choose = shortest(unanswered)
        case _:
            choose = at_random(ports, seed=question["seed"])

    async def by_itself() -> int:
        return choose()

    return by_itself


async def _send(
    requests: Sequence[tuple[float, float]], stubs: dict[int, Any], choose: Choose, unanswered: dict[int, int]
) -> list[float]:
    loop = asyncio.get_running_loop()
    begin = loop.time() + _LEAD_S
    responses = [0.0] * len(requests)

    async def send(number: int, due: float, work_s: float) -> None:
        port = await choose()
        unanswered[port] += 1
        await stubs[port](WORK.pack(work_s))
        unanswered[port] -= 1
        responses[number] = loop.time() - due

    async with asyncio.TaskGroup() as sending:
        for number, (at_s, work_s) in enumerate(requests):
            due = begin + at_s
            if (pause := due - loop.time()) > 0:
                await asyncio.sleep(pause)
            sending.create_task(send(number, due, work_s))
    return responses


async def _answered(question: Any) -> list[float]:
    async with AsyncExitStack() as running:
        stubs: dict[int, Any] = {}
        for port in question["ports"]:
            channel = await running.enter_async_context(grpc.aio.insecure_channel(f"{HOST_NAME}:{port}"))
            await channel.channel_ready()
            stubs[port] = channel.unary_unary(f"/{WORK_SERVICE}/{WORK_METHOD}")
        unanswered = dict.fromkeys(stubs, 0)
        choose = await _choice(question, running, unanswered)
        return await _send(question["requests"], stubs, choose, unanswered)


async def _serve() -> None:
    async for question in questions():
        answer(await _answered(question))


if __name__ == "__main__":
    asyncio.run(_serve())
