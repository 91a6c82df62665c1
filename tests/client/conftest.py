"""Echoing servers and real balancers for the tests of clients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from support.grpc_servers import SampleWorker, TinyServer, load_response, reserved_port


class EchoServer(TinyServer):
    """A worker whose answers begin with its port, and that may refuse or hold requests up."""

    def __init__(self, port: int = 0, **arguments: Any) -> None:
        super().__init__(port, report_load=lambda: load_response(capacity=8), **arguments)
        self.requests: list[bytes] = []
        self.refuses = False
        """Every request is refused as UNAVAILABLE."""
        self.held = Future[None]()
        """Requests with the text `hold` are answered when this is done."""
        self.is_called = threading.Event()
        self.cancelled = threading.Event()
        """A `hold` was given up by its client."""
        kinds = {
            "UnaryUnary": grpc.unary_unary_rpc_method_handler(self._unary_unary),
            "UnaryStream": grpc.unary_stream_rpc_method_handler(self._unary_stream),
            "StreamUnary": grpc.stream_unary_rpc_method_handler(self._stream_unary),
            "StreamStream": grpc.stream_stream_rpc_method_handler(self._stream_stream),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Echo", kinds),))

    def answer(self, text: str) -> bytes:
        """Return what this server answers."""
        return f"{self.port}:{text}".encode()

    def _take(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.requests.append(request)
        self.is_called.set()
        if self.refuses:
            context.abort(grpc.StatusCode.UNAVAILABLE, "refused")
        if request == b"fault":
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "faulty")
        if request == b"hold":
            if not context.add_callback(self.cancelled.set):
                # It was given up a moment ago.
                self.cancelled.set()
            self.held.result(30)
        return self.answer(request.decode())

    def _unary_unary(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        return self._take(request, context)

    def _unary_stream(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        # It is called for good when what is held up is: one given up before would not even begin with that.
        yield self.answer("") if request == b"hold" else self._take(request, context)
        if request == b"hold":
            self._take(request, context)
        yield b"last"

    def _stream_unary(self, requests: Iterable[bytes], context: grpc.ServicerContext) -> bytes:
        return b",".join(self._take(request, context) for request in requests)

    def _stream_stream(self, requests: Iterable[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        for request in requests:
            yield self._take(request, context)


class BalancerProcess:
    """A real balancer in a process of its own."""

    def __init__(self, **spec: Any) -> None:
        script = Path(__file__).with_name("balancer_process.py")
        self._process = subprocess.Popen(
            [sys.executable, str(script), json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self.port = self._answer()

    @property
    def answered(self) -> int:
        """How many questions it has answered."""
        return self._ask(None)

    def offer(self, registered: list[tuple[int, int]]) -> None:
        """Register exactly these ports with their incarnations, and wait until all are offered."""
        self._ask(registered)

    def kill(self) -> None:
        """End the process by SIGKILL."""
        self._process.kill()
        self._process.communicate()

    def close(self) -> None:
        """End the process in order, and insist that nothing had gone wrong in it."""
        if self._process.returncode is None:
            self._process.communicate(timeout=20)
            assert self._process.returncode == 0

    def _ask(self, request: Any) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


class Field:
    """Balancers and echoing workers; all end with the test."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.balancers: list[BalancerProcess] = []
        self.workers: list[EchoServer] = []
        self.samples: list[SampleWorker] = []

    @property
    def addresses(self) -> list[str]:
        """The balancers' addresses."""
        return [f"127.0.0.1:{balancer.port}" for balancer in self.balancers]

    def start_balancer(self, **spec: Any) -> BalancerProcess:
        """Start one more balancer, which offers all workers."""
        balancer = BalancerProcess(**spec)
        self._stack.callback(balancer.close)
        self.balancers.append(balancer)
        self.offer()
        return balancer

    def start_worker(self, port: int = 0, **arguments: Any) -> EchoServer:
        """Start one more worker, which is offered by nobody yet."""
        worker = EchoServer(port, **arguments)
        self._stack.callback(worker.stop)
        # A handler that is held up would hold up the end of the test.
        self._stack.callback(lambda: worker.held.done() or worker.held.set_result(None))
        self.workers.append(worker)
        return worker

    def offer(self, *, incarnation: int = 1) -> None:
        """Have all balancers offer exactly the present workers, and wait until they do."""
        ports = [worker.port for worker in (*self.workers, *self.samples)]
        for balancer in self.balancers:
            balancer.offer([(port, incarnation) for port in ports])

    def start_samples(self, count: int) -> list[SampleWorker]:
        """Start sample workers, processes that can be killed, and have them offered."""
        for _ in range(count):
            sample = SampleWorker(self._stack.enter_context(reserved_port()))
            self._stack.callback(sample.kill)
            self.samples.append(sample)
        self.offer()
        return self.samples

    def stop_worker(self, worker: EchoServer) -> None:
        """Stop a worker at once; the balancers find out by themselves."""
        self.workers.remove(worker)
        worker.stop()

    def port_of(self, answer: bytes) -> int:
        """Return the port of the worker that answered."""
        return int(answer.partition(b":")[0])


MakeField = Callable[..., Field]


@pytest.fixture
def make_field() -> Iterator[MakeField]:
    """Yield a maker of a field with so many workers and balancers."""
    with ExitStack() as stack:

        def make(*, workers: int = 2, balancers: int = 1) -> Field:
            field = Field(stack)
            for _ in range(workers):
                field.start_worker()
            for _ in range(balancers):
                field.start_balancer()
            return field

        yield make
