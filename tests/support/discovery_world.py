"""Sites with registrars and balancers, workers that come and go, clients that never cease to ask, and what they saw."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from itertools import cycle, islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from support.discovery_history import Answer, Cause, Deed, History, Note, Outage, Promises
from support.discovery_plan import Step
from support.discovery_roles import RegistrarStart, registrar_role
from support.grpc_servers import NOT_SERVING, SERVING, reserved_port
from support.store_elsewhere import StoreElsewhere
from support.waiting import wait_until

from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.store_memory import MemoryStore
from quaestor_actors.core.location import Location, Registration
from quaestor_actors.core.registrar_state import OwnChanged, OwnComplete, Tell
from quaestor_actors.core.spec import BalancerSpec, StoreSpec
from quaestor_actors.core.store import NO_LEASE
from quaestor_actors.rpc import load_reporting_pb2_grpc, service_discovery_pb2, service_discovery_pb2_grpc
from quaestor_actors.worker import LoadReporter, ServiceLoad

PLAY = "from support.discovery_roles import main; main()"
"""Under its own name, as what is sent to it is of that module, too."""

PATIENCE_S = 20.0

CLIENTS = 2
"""Of each balancer."""

FEW = 100
"""Fewer answers prove nothing."""

MOST_TOLD = 3

SERVICE = "Worker"


class Worker:
    """A service at one address: every second one can be watched, the others are asked for their load."""

    def __init__(self, port: int, *, is_watched: bool) -> None:
        self.location = Location(service_name=SERVICE, host_name="127.0.0.1", port=port)
        self.incarnation = 0
        self._is_watched = is_watched

    def next_registration(self) -> Registration:
        """Return how it is registered this time."""
        self.incarnation += 1
        return Registration(location=self.location, incarnation=self.incarnation)

    def start(self) -> None:
        """Listen and serve."""
        self._health = health.HealthServicer(experimental_non_blocking=False)
        self._health.set(SERVICE, SERVING)
        # So that nobody can listen there twice.
        self._server = grpc.server(ThreadPoolExecutor(max_workers=16), options=(("grpc.so_reuseport", 0),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reporter = LoadReporter({SERVICE: ServiceLoad(request_capacity=4)})
        servicer = reporter if self._is_watched else _AskedOnly(reporter)
        load_reporting_pb2_grpc.add_LoadReportingGrpcServicer_to_server(servicer, self._server)
        self._server.add_insecure_port(self.location.address)
        self._server.start()

    def die(self) -> None:
        """Close all sockets at once, as when the process is killed."""
        self._server.stop(None).wait()

    def say(self, status: int) -> None:
        """Change the health."""
        self._health.set(SERVICE, status)


class _AskedOnly(load_reporting_pb2_grpc.LoadReportingGrpcServicer):
    """A worker of the original: it knows `ReportLoad` and nothing else."""

    def __init__(self, reporter: LoadReporter) -> None:
        self._reporter = reporter

    def ReportLoad(self, request: Any, context: Any) -> Any:
        return self._reporter.ReportLoad(request, context)

    def WatchLoad(self, _request: Any, context: Any) -> Any:
        # As the generated code says, but without a traceback in the log.
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "not here")


class Part(Protocol):
    """A registrar or a balancer that runs somewhere, and a pipe to it."""

    pipe: Connection

    def end(self) -> None:
        """End it, and return when it has ended."""


class ProcessPart:
    """In a process of its own."""

    def __init__(self, role: str) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-P", "-c", PLAY, role, str(theirs.fileno())]
            path = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
            self.process = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()])
        self.pipe = Connection(ours.detach())

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()


class ThreadPart:
    """A registrar on a thread of this process, with a store that is here."""

    def __init__(self, store: StoreElsewhere) -> None:
        ours, theirs = socket.socketpair()
        self._line = ours.dup()
        self.pipe = Connection(ours.detach())
        self._thread = threading.Thread(target=self._run, args=(Connection(theirs.detach()), store))
        self._thread.start()

    def end(self) -> None:
        """Let it end without another word to the store."""
        # To close a descriptor would not wake those who read from it.
        self._line.shutdown(socket.SHUT_RDWR)
        self._line.close()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def _run(self, pipe: Connection, store: StoreElsewhere) -> None:
        with suppress(BrokenPipeError):
            registrar_role(pipe, [store])


class Site:
    """A registrar and a balancer, as of one machine."""

    def __init__(self, name: str, *, start: RegistrarStart, start_registrar: Callable[[], Part]) -> None:
        self.name = name
        self.own: dict[Location, Registration] = {}
        self.notes: list[Note] = []
        self._start = start
        self._start_registrar = start_registrar
        self._lease = NO_LEASE
        self._is_told = threading.Event()
        self.balancer = ProcessPart("balancer")
        self.balancer.pipe.send(BalancerSpec(host_name="127.0.0.1", port=0))

    def begin(self) -> None:
        """Start the registrar; a successor goes on with the lease."""
        self._is_told = threading.Event()
        self.registrar = self._start_registrar()
        pipe = self.registrar.pipe
        pipe.send(RegistrarStart(store=self._start.store, ttl_s=self._start.ttl_s, lease=self._lease))
        pipe.send(OwnChanged(added=tuple(self.own.values())))
        pipe.send(OwnComplete())
        self._relay = threading.Thread(target=self._pass_on, args=(pipe, self._is_told))
        self._relay.start()

    def await_told(self) -> None:
        """Wait until the registrar has said who is there."""
        assert self._is_told.wait(PATIENCE_S)

    def change(self, *, added: Sequence[Registration] = (), removed: Sequence[Location] = ()) -> None:
        """Register and deregister."""
        for location in removed:
            del self.own[location]
        self.own.update({each.location: each for each in added})
        self.registrar.pipe.send(OwnChanged(added=tuple(added), removed=tuple(removed)))

    def end_registrar(self) -> None:
        """End it, without another word to anybody."""
        self.registrar.end()
        self._relay.join(PATIENCE_S)

    def _pass_on(self, pipe: Connection, is_told: threading.Event) -> None:
        try:
            while True:
                word = pipe.recv()
                self.notes.append(Note(began=time.monotonic(), text=f"registrar {self.name}: {_in_short(word)}"))
                if isinstance(word, Tell):
                    self.balancer.pipe.send(word)
                    is_told.set()
                else:
                    self._lease = word
        except (EOFError, OSError):
            return


def _in_short(word: Tell | int) -> str:
    if not isinstance(word, Tell):
        return f"has the lease {word:x}"
    added = (f"{each.location.port} (incarnation {each.incarnation})" for each in word.added)
    removed = (str(each.port) for each in word.removed)
    return f"tells{' the whole' if word.whole else ''}: + {' '.join(added)} - {' '.join(removed)}"


class Clients:
    """Threads that ask one balancer without pause."""

    def __init__(self, site: str, port: int) -> None:
        self.answers: list[Answer] = []
        self.failures: list[BaseException] = []
        self._stop = threading.Event()
        names = [f"client {number}" for number in range(1, CLIENTS + 1)]
        self._threads = [threading.Thread(target=self._ask, args=(f"{name} of {site}", site, port)) for name in names]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop asking."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _ask(self, client: str, site: str, port: int) -> None:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = service_discovery_pb2_grpc.ServiceDiscoveryGrpcStub(channel)
            questions = cycle(
                [(stub.DiscoverServices, 0), (stub.DiscoverTopServices, 1), (stub.DiscoverTopServices, 0)]
            )
            try:
                while not self._stop.is_set():
                    method, max_count = next(questions)
                    asked = time.monotonic()
                    request = service_discovery_pb2.DiscoverServicesRequest(service_name=SERVICE, max_count=max_count)
                    found = method(request, timeout=PATIENCE_S).service_locations
                    self.answers.append(
                        Answer(
                            client=client,
                            site=site,
                            asked=asked,
                            answered=time.monotonic(),
                            locations=tuple(each.port for each in found),
                            max_count=max_count,
                        )
                    )
            except grpc.RpcError as error:
                self.failures.append(error)


class World:
    """All of it, and what was done."""

    def __init__(self, sites: Sequence[Site], workers: Sequence[Worker], owners: Sequence[int]) -> None:
        self.sites = sites
        self.workers = workers
        self.owners = owners
        self.deeds: list[Deed] = []
        self.outages: list[Outage] = []
        self.clients: list[Clients] = []

    def tell(self, steps: Iterable[Step]) -> None:
        """Do what a story says, step by step."""
        for step in steps:
            self.perform(step)

    def perform(self, step: Step) -> None:
        """Do what a step says, and let the time pass that it names: the story's own pace, not a wait for anything."""
        if step.location is None or step.cause is None:
            self._restart(self.sites[step.site])
        else:
            self.do(step.location, step.cause)
        time.sleep(step.pause_s)

    def do(self, number: int, cause: Cause) -> None:
        """Do something to a location, and write it down."""
        worker, site = self.workers[number], self.sites[self.owners[number]]
        began = time.monotonic()
        match cause:
            case Cause.REGISTERED:
                site.change(added=[worker.next_registration()])
            case Cause.DEREGISTERED:
                site.change(removed=[worker.location])
            case Cause.DIED:
                worker.die()
            case Cause.STARTED:
                worker.start()
            case Cause.SICKENED:
                worker.say(NOT_SERVING)
            case Cause.HEALED:
                worker.say(SERVING)
        self.deeds.append(Deed(location=worker.location.port, cause=cause, began=began, ended=time.monotonic()))

    @contextmanager
    def outage(self, what: str, *, site: str | None = None) -> Iterator[None]:
        """Write down that news are late during the block."""
        began = time.monotonic()
        yield
        self.outages.append(Outage(began=began, ended=time.monotonic(), site=site, what=what))

    def check(self, promises: Promises) -> None:
        """Check all answers after the end; the first broken promises are told."""
        history = self.history(promises)
        assert all(len(clients.answers) > FEW for clients in self.clients)
        stories = [history.story_of(violation) for violation in islice(history.violations(), MOST_TOLD)]
        assert stories == [], "\n\n".join(stories)

    def history(self, promises: Promises) -> History:
        """Return what has happened."""
        assert [failure for clients in self.clients for failure in clients.failures] == []
        return History(
            owners={
                worker.location.port: self.sites[owner].name
                for worker, owner in zip(self.workers, self.owners, strict=True)
            },
            deeds=self.deeds,
            answers=[answer for clients in self.clients for answer in clients.answers],
            outages=self.outages,
            notes=[note for site in self.sites for note in site.notes],
            promises=promises,
        )

    def _restart(self, site: Site) -> None:
        with self.outage("the registrar is away", site=site.name):
            site.end_registrar()
            site.begin()
            site.await_told()


@contextmanager
def run_world(
    *, owners: Sequence[int], store: StoreSpec | None = None, ttl_s: float = 10.0, sites: Sequence[str] = ("a", "b")
) -> Iterator[World]:
    """Run sites whose locations are all registered and serve, and their clients, until the block ends.

    Args:
        owners: For each location the number of its site.
        store: An etcd; None: they share one in memory.
        ttl_s: Of the leases. A registrar that gets no processor for that long loses what it has registered.
        sites: Their names.
    """
    with ExitStack() as stack:
        start_registrar = _in_memory(stack) if store is None else lambda: ProcessPart("registrar")
        workers = [
            Worker(stack.enter_context(reserved_port()), is_watched=bool(number % 2)) for number in range(len(owners))
        ]
        start = RegistrarStart(store=store, lease=NO_LEASE, ttl_s=ttl_s)
        world = World([Site(name, start=start, start_registrar=start_registrar) for name in sites], workers, owners)
        for site in world.sites:
            stack.callback(site.balancer.end)
        ports = [site.balancer.pipe.recv() for site in world.sites]
        for site in world.sites:
            site.begin()
            stack.callback(site.end_registrar)
        for number, worker in enumerate(workers):
            world.do(number, Cause.STARTED)
            stack.callback(worker.die)
            world.do(number, Cause.REGISTERED)
        for site, port in zip(world.sites, ports, strict=True):
            assert site.balancer.pipe.poll(PATIENCE_S)
            assert site.balancer.pipe.recv() == "serving"
            world.clients.append(Clients(site.name, port))
            stack.callback(world.clients[-1].stop)
        _await_everybody(world)
        yield world
        for clients in world.clients:
            clients.stop()


def _in_memory(stack: ExitStack) -> Callable[[], Part]:
    crashes: list[BaseException] = []
    home = LoopThread(name="shared store", on_crash=crashes.append)
    home.start()
    stack.callback(home.stop)
    store = MemoryStore()
    return lambda: ThreadPart(StoreElsewhere(store, home))


def _await_everybody(world: World) -> None:
    everybody = {worker.location.port for worker in world.workers}
    for clients in world.clients:
        wait_until(
            lambda clients=clients: any(set(each.locations) == everybody for each in clients.answers[-10:]),
            PATIENCE_S,
            "all locations to be known everywhere",
        )
    # Only now the beginning is over: no promise says how soon a process is there.
    world.deeds = [replace(deed, ended=time.monotonic()) for deed in world.deeds]
