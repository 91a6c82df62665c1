"""docs/worker.md: every program on the page runs and does what the page says."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from support.ports import free_port

from quaestor_actors.rpc import load_reporting_pb2, load_reporting_pb2_grpc, process_admin_pb2, process_admin_pb2_grpc
from quaestor_actors.worker import CancellableRequests

PAGE = Path(__file__).parents[2] / "docs" / "worker.md"
STUBS = Path(__file__).with_name("greeter")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
SYNC, AIO, MACHINE, WATCHING, CANCELLABLE, COROUTINE, OWN = BLOCKS

# The field of either message has the number 1, so its first byte is this.
FIELD = b"\x0a"


@dataclass(frozen=True)
class Program:
    """A running program of the page, and a channel to it."""

    process: subprocess.Popen[str]
    port: int
    channel: grpc.Channel

    def say_hello(self, name: bytes) -> Any:
        method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary("/greeter.Greeter/SayHello")
        return method.future(FIELD + bytes([len(name)]) + name, timeout=30, wait_for_ready=True)

    def current_requests(self) -> Iterator[int]:
        stub = load_reporting_pb2_grpc.LoadReportingGrpcStub(self.channel)
        asked = load_reporting_pb2.LoadReportRequest(service_name="Greeter")
        with suppress(grpc.RpcError):
            for report in stub.WatchLoad(asked, timeout=30, wait_for_ready=True):
                yield report.server_stats.current_requests


@contextmanager
def start(block: str, port: int) -> Iterator[subprocess.Popen[str]]:
    """Run a block with another port."""
    environment = {**os.environ, "PYTHONPATH": str(STUBS)}
    command = [sys.executable, "-c", block.replace("5161", str(port))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def run(block: str) -> Iterator[Program]:
    """Run a block that serves."""
    port = free_port()
    with start(block, port) as process, grpc.insecure_channel(f"localhost:{port}") as channel:
        yield Program(process, port, channel)


@pytest.mark.parametrize("block", [SYNC, AIO, OWN], ids=["sync", "aio", "own"])
def test__service__answers_and_tells_its_load(block: str) -> None:
    with run(block) as program:
        assert program.say_hello(b"you").result() == FIELD + bytes([9]) + b"Hello you"
        assert next(program.current_requests()) in {0, 1}


@pytest.mark.parametrize("block", [SYNC, AIO, CANCELLABLE], ids=["sync", "aio", "cancellable"])
def test__service__ends_in_order(block: str) -> None:
    with run(block) as program:
        assert next(program.current_requests()) == 0
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(10) == 0


def test__watching__prints_the_load() -> None:
    with run(SYNC) as program:
        assert next(program.current_requests()) == 0
        with start(WATCHING, program.port) as watching:
            assert watching.stdout is not None
            assert watching.stdout.readline() == "0 of 4\n"


def test__cancellable_request__is_cancelled() -> None:
    with run(CANCELLABLE) as program:
        loads = program.current_requests()
        assert next(loads) == 0
        running = program.say_hello(b"ann")
        assert next(loads) == 1
        administration = process_admin_pb2_grpc.ProcessAdministrationGrpcStub(program.channel)
        asked = process_admin_pb2.CancelRequest(user_name="ann", environment="production")
        # It counts from its arrival, and registers itself a moment later.
        while not administration.Cancel(asked, timeout=10).success:
            assert not running.done()
        assert running.code() is grpc.StatusCode.CANCELLED
        assert running.details() == "cancelled by an administrator"


def test__coroutine__is_cancelled() -> None:
    names: dict[str, Any] = {}
    exec(COROUTINE, names)  # noqa: S102 - the page's own text
    requests = CancellableRequests()
    asked = process_admin_pb2.CancelRequest(user_name="ann", environment="production")

    async def cancel() -> None:
        work = asyncio.create_task(names["work_for"]("ann", requests))
        await asyncio.sleep(0)  # lets it begin
        assert requests.cancel(asked)
        with pytest.raises(asyncio.CancelledError):
            await work
        assert not requests.cancel(asked)

    asyncio.run(asyncio.wait_for(cancel(), 10))


def test__machine__is_shared_by_loads() -> None:
    names: dict[str, Any] = {}
    exec(MACHINE, names)  # noqa: S102 - the page's own text
    for load in names["loads"].values():
        assert 0 < load.report().server_stats.server_memory_usage_percent <= 100
