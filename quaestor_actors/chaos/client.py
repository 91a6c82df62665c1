"""A client that asks the balancer all the time, as any client would."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

import grpc

from quaestor_actors.chaos.checks import Answer
from quaestor_actors.core.spec import BalancerSpec
from quaestor_actors.rpc import service_discovery_pb2, service_discovery_pb2_grpc

_EVERY_S = 0.05
_TIMEOUT_S = 5.0
_OPTIONS = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 100))
"""A client that waits a second before it tries again would measure itself."""


class Client:
    """Asks for each service in turn, on a thread of its own."""

    def __init__(self, balancer: BalancerSpec, services: Sequence[str], on_answer: Callable[[Answer], None]) -> None:
        """Begin to ask; whoever listens is called on the client's thread."""
        self._services = services
        self._on_answer = on_answer
        self._channel = grpc.insecure_channel(f"{balancer.host_name}:{balancer.port}", options=_OPTIONS)
        self._stub = service_discovery_pb2_grpc.ServiceDiscoveryGrpcStub(self._channel)
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._answered_at = time.monotonic()
        self._longest_gap_s = 0.0
        self._latest: dict[str, Answer] = {}
        self.asked = 0
        self.answered = 0
        self._thread = threading.Thread(target=self._run, name="client")
        self._thread.start()

    def close(self) -> None:
        """Stop asking."""
        self._over.set()
        self._thread.join()
        self._channel.close()

    def count_from_now(self) -> None:
        """Count questions and answers anew."""
        self.asked = self.answered = 0

    def is_asking(self) -> bool:
        """Return whether its thread runs."""
        return self._thread.is_alive()

    def restart_gap(self) -> None:
        """Measure gaps from now on."""
        with self._lock:
            self._answered_at = time.monotonic()
            self._longest_gap_s = 0.0

    def longest_gap_s(self) -> float:
        """Return the longest time without an answer since `restart_gap`."""
        with self._lock:
            return max(self._longest_gap_s, time.monotonic() - self._answered_at)

    def latest(self, *, since: float) -> Mapping[str, frozenset[int]]:
        """Return the last answer for each service, if its question was asked after a time in monotonic seconds."""
        with self._lock:
            return {name: answer.ports for name, answer in self._latest.items() if answer.asked_at >= since}

    def _run(self) -> None:
        while True:
            for service in self._services:
                if self._over.wait(_EVERY_S):
                    return
                self._ask(service)

    def _ask(self, service: str) -> None:
        request = service_discovery_pb2.DiscoverServicesRequest(service_name=service)
        asked_at = time.monotonic()
        self.asked += 1
        try:
            response = self._stub.DiscoverServices(request, timeout=_TIMEOUT_S)
        except grpc.RpcError:
            # Whether it may be without an answer now is for others to say.
            return
        now = time.monotonic()
        self.answered += 1
        ports = frozenset(each.port for each in response.service_locations)
        answer = Answer(asked_at=asked_at, answered_at=now, service=service, ports=ports)
        with self._lock:
            self._longest_gap_s = max(self._longest_gap_s, now - self._answered_at)
            self._answered_at = now
            self._latest[service] = answer
        self._on_answer(answer)
