"""What the actors of a simple tree have around them instead of threads, sockets and time."""

from __future__ import annotations

import asyncio
import signal
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from quaestor_actors.actors.outside import Outside
from quaestor_actors.adapters import warden
from quaestor_actors.adapters.balancer import Balancer, Notice
from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.floating_processes import FloatingProcesses
from quaestor_actors.adapters.health import HealthReport, HealthWatch
from quaestor_actors.adapters.health_link import HealthTarget, HealthTiming
from quaestor_actors.adapters.idleness import IdlenessWatch, IdleTarget
from quaestor_actors.adapters.mailbox import Mailbox
from quaestor_actors.adapters.processes import WatchedProcess
from quaestor_actors.adapters.store_etcd import EtcdStore
from quaestor_actors.adapters.store_link import StoreEffect, StoreLink, _Work
from quaestor_actors.adapters.store_memory import MemoryStore
from quaestor_actors.adapters.timer import Timer
from quaestor_actors.core.live_view import LocationOffered
from quaestor_actors.core.location import Location, Registration
from quaestor_actors.core.member import Health
from quaestor_actors.core.owner_record import Owner
from quaestor_actors.core.placement import Slot
from quaestor_actors.core.process_id import ProcessId
from quaestor_actors.core.registrar_state import Event
from quaestor_actors.core.spec import BalancerSpec
from quaestor_actors.core.store import Store
from quaestor_actors.testing.clock import FakeClock
from quaestor_actors.testing.probe import FakeProbe
from quaestor_actors.testing.processes import FakeProcess, FakeProcesses

Target = tuple[str, int]

_MAILBOXES = count(3_000_000)


class FakeMailbox:
    """A mailbox whose descriptor is a number."""

    def __init__(self) -> None:
        self.fd = next(_MAILBOXES)
        self._items: deque[Any] = deque()

    @property
    def is_readable(self) -> bool:
        return bool(self._items)

    def post(self, item: Any) -> None:
        self._items.append(item)

    def drain(self) -> list[Any]:
        taken, self._items = list(self._items), deque()
        return taken


class FakeLoop:
    """Does at once what a thread with a loop would do soon."""

    def __init__(self, **_: Any) -> None:
        self.is_running = False

    def start(self) -> None:
        self.is_running = True

    def stop(self) -> None:
        self.is_running = False

    def post(self, callback: Callable[[], None]) -> None:
        callback()

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        try:
            coroutine.send(None)
        except StopIteration:
            return
        raise RuntimeError("nothing here may wait")


class WorldProbe(HealthWatch[Target]):
    """The probes of one prober, which see what the world shows them."""

    def __init__(self, world: World, timing: HealthTiming, on_report: Callable[[HealthReport[Target]], None]) -> None:
        self._world = world
        self._timing = timing
        self._tell = on_report
        self._ports: dict[Target, int] = {}
        self._seen: dict[Target, Health] = {}
        self.probe = FakeProbe[Target](on_report=self._reported, by_default=self._truth)
        world.probes.append(self)

    def add(self, key: Target, target: HealthTarget) -> None:
        self._ports[key] = int(target.address.rpartition(":")[2])
        self._seen.pop(key, None)
        self.probe.add(key)

    def remove(self, key: Target) -> None:
        self.probe.remove(key)

    async def close(self) -> None:
        await self.probe.close()

    def _reported(self, key: Target, health: Health, detail: str) -> None:
        self._tell(HealthReport(key=key, health=health, detail=detail, services=()))

    def _truth(self, key: Target) -> Health | None:
        process = self._world.processes.listener(self._ports[key])
        if process is None:
            return Health.UNREACHABLE
        if not process.hangs:
            self._seen[key] = self._world.health_of(process)
            return self._seen[key]
        # Nothing comes from it; what it said before is believed until a check has run into its deadline.
        patience_s = self._timing.heartbeat_interval_s + self._timing.response_timeout_s
        overdue = self._world.clock.now() >= self._world.hung_at[process.start_ticks] + patience_s
        return Health.TIMEOUT if overdue else self._seen.get(key)


class WorldIdleness:
    """Everybody is idle unless the world says that requests are running."""

    def __init__(self, world: World, on_idle: Callable[[Target, str], None]) -> None:
        self._world = world
        self._on_idle = on_idle
        self._asked: dict[Target, int] = {}
        world.idleness.append(self)

    def add(self, key: Target, target: IdleTarget) -> None:
        self._asked[key] = int(target.address.rpartition(":")[2])

    def remove(self, key: Target) -> None:
        self._asked.pop(key, None)

    def check(self) -> None:
        for key, port in list(self._asked.items()):
            process = self._world.processes.listener(port)
            if process is None or process.start_ticks not in self._world.busy:
                del self._asked[key]
                self._on_idle(key, "no request is running")


class DirectLink:
    """A StoreLink without a thread: what the registrar wants is done when it wants it."""

    def __init__(
        self,
        world: World,
        stores: Sequence[Store],
        *,
        prefix: str,
        owner: Owner | None,
        on_event: Callable[[Event], None],
        on_crash: Callable[[BaseException], None],
    ) -> None:
        self._world = world
        self._work = _Work(stores, prefix=prefix, owner=owner, on_event=on_event)
        self._crash = on_crash
        self._tasks: set[asyncio.Task[None]] = set()
        world.links.append(self)

    def start(self) -> None:
        """There is no thread."""

    def perform(self, effect: StoreEffect) -> None:
        self._world.loop.call_soon(lambda: self._work.begin(self, effect))  # type: ignore[arg-type]  # all it needs
        self._world.run_loop()

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._world.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        closing = self._world.loop.create_task(self._work.close())
        self._world.run_loop()
        assert closing.done()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._crash(error)


class RecordingBalancer:
    """Writes down what it was told of, and hands out nothing."""

    def __init__(
        self,
        world: World,
        spec: BalancerSpec,
        *,
        on_notice: Callable[[Notice], None],
        **_: Any,
    ) -> None:
        self.known: dict[Location, Registration] = {}
        self._port = spec.port
        self._on_notice = on_notice
        world.balancers.append(self)

    def start(self) -> int:
        return self._port

    def set_registrations(self, registrations: Iterable[Registration]) -> None:
        self.known.clear()
        self.change_registrations(added=registrations, removed=())

    def change_registrations(self, *, added: Iterable[Registration], removed: Iterable[Location]) -> None:
        for location in removed:
            del self.known[location]
        for registration in added:
            self.known[registration.location] = registration
            self._on_notice(LocationOffered(registration=registration))

    def drain(self, grace_s: float) -> None:
        """There are no clients."""

    def stop(self) -> None:
        self.known.clear()


class SharedStore(MemoryStore):
    """A store that others share: it does not go away with whoever uses it."""

    async def close(self) -> None:
        """Let the others go on with it."""


class Marked:
    """Ends processes by the mark that they bear."""

    def __init__(self, world: World, directory: Path) -> None:
        self._world = world
        self._directory = directory

    def end(self, agents: Iterable[str], is_over: Callable[[Slot], bool]) -> dict[ProcessId, Slot]:
        ended = {}
        for process in self._world.processes.alive:
            for agent in agents:
                mark = f"{self._directory}/{agent}.json {agent}/"
                if process.tag.startswith(mark):
                    slot = Slot(agent, int(process.tag.removeprefix(mark).partition(" ")[0]))
                    if is_over(slot):
                        ended[process.id] = slot
                        self._world.processes.send(process, signal.SIGKILL)
        return ended


@dataclass
class World:
    """What is true of this machine, and who looks at it."""

    clock: FakeClock = field(default_factory=FakeClock)
    healths: dict[int, Health] = field(default_factory=dict)
    """Of processes, by their start; one that is not named has `usual_health`."""
    usual_health: Health = Health.SERVING
    busy: set[int] = field(default_factory=set)
    """Processes that work on requests, by their start."""
    hung_at: dict[int, float] = field(default_factory=dict)
    probes: list[WorldProbe] = field(default_factory=list)
    idleness: list[WorldIdleness] = field(default_factory=list)
    balancers: list[RecordingBalancer] = field(default_factory=list)
    links: list[DirectLink] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.processes = FakeProcesses(self.clock)
        self.store = SharedStore(self.clock.now)
        self.loop = asyncio.new_event_loop()
        # Leases in memory end by the clock that the test moves.
        self.loop.time = self.clock.now  # type: ignore[method-assign]

    def health_of(self, process: FakeProcess) -> Health:
        return self.healths.get(process.start_ticks, self.usual_health)

    def look(self) -> None:
        """Let everybody who looks at the world see how it is now."""
        for each in (*self.probes, *self.idleness):
            (each.probe if isinstance(each, WorldProbe) else each).check()

    def _start_warden(self) -> WatchedProcess:
        return self.processes.watch_child(self.processes.start("warden").pid)

    def run_loop(self) -> None:
        """Run the loop until nothing in it can go on."""
        while True:
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()
            if not self.loop._ready:  # type: ignore[attr-defined]
                return

    def close(self) -> None:
        for link in self.links:
            link.stop()
        self.loop.close()

    def substitutes(self) -> Mapping[Any, Callable[..., Any]]:
        """What actors make here instead of the real things."""
        return {
            Timer: lambda **_: self.clock.timer(),
            EtcdStore: lambda *_, **__: self.store,
            FloatingProcesses: partial(Marked, self),
            warden.start: lambda _: self._start_warden(),
            Mailbox: FakeMailbox,
            LoopThread: FakeLoop,
            HealthWatch: lambda loop, timing, on_report: WorldProbe(self, timing, on_report),  # noqa: ARG005 - by name
            IdlenessWatch: lambda loop, on_idle: WorldIdleness(self, on_idle),  # noqa: ARG005 - by name
            MemoryStore: lambda: MemoryStore(self.clock.now),
            StoreLink: partial(DirectLink, self),
            Balancer: partial(RecordingBalancer, self),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SimpleOutside(Outside):
    """An outside with other things in the place of some."""

    substitutes: Mapping[Any, Callable[..., Any]]

    def make(self, adapter: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return self.substitutes[adapter](*args, **kwargs)
