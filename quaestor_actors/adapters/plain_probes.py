"""The health of members that do not speak gRPC: by connecting, by HTTP, by a command.

The face is that of `HealthWatch`, for servers that cannot push: each target is asked again and again, quickly until
it serves for the first time, then at its interval.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Generic, TypeVar

from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.health import HealthReport
from quaestor_actors.adapters.health_link import brief
from quaestor_actors.adapters.probe_connect import accepts_connections
from quaestor_actors.adapters.probe_exec import CommandProbe
from quaestor_actors.adapters.probe_http import answers_get
from quaestor_actors.adapters.probe_verdict import Verdict
from quaestor_actors.adapters.tls import client_context
from quaestor_actors.core.location import ClientTls
from quaestor_actors.core.member import Health
from quaestor_actors.core.probe import ProbeKind, ProbeSpec
from quaestor_actors.errors import OperationError

__all__ = ["HealthReport", "PlainProbe", "PlainProbes", "PlainTarget"]

CHECKS_AT_ONCE = 32
"""More have to wait, before their deadline begins."""

FIRST_PAUSE_S = 0.02
LAST_PAUSE_S = 1.0
"""Between two checks of a target that has not served yet: doubled from the first to the last, or to its interval."""

FIRST_RUN_PAUSE_S = 0.1
LAST_RUN_PAUSE_S = 2.0
"""The same for commands: to run one costs more than to connect."""

AWAY_PAUSE_S = 1.0
"""A server that could not be reached is tried at least this often: to be refused costs next to nothing."""

Key = TypeVar("Key", bound=Hashable)

Check = Callable[[], Awaitable[Verdict]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainTarget:
    """What is to be asked, and how often."""

    spec: ProbeSpec
    """Of kind tcp, http or exec. Its own interval and timeout are defaults of others, and not looked at here."""
    host_name: str
    port: int | None = None
    """Only commands can do without."""
    interval_s: float
    """From the end of a check to the next one, once the target has served."""
    timeout_s: float
    """Deadline of one check."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Added to the environment of a command. May hold secrets."""
    working_directory: str | None = None
    """Of a command; None: that of this process."""
    use_tls: bool = False
    """Of kind http: HTTPS with a certificate for `host_name` that is trusted."""
    tls: ClientTls = field(default_factory=ClientTls)
    """In effect with `use_tls`."""

    def __post_init__(self) -> None:
        """Refuse what cannot be asked.

        Raises:
            ValueError: The kind is none of the three, or the port is missing.
        """
        if self.spec.kind not in {ProbeKind.TCP, ProbeKind.HTTP, ProbeKind.EXEC}:
            raise ValueError(f"probe {self.spec.kind} is no plain probe: use tcp, http or exec")
        if self.port is None and self.spec.kind is not ProbeKind.EXEC:
            raise ValueError(f"probe {self.spec.kind} needs a port")


class PlainProbe:
    """Asks one target for ever. Lives on one asyncio loop."""

    def __init__(self, *, target: PlainTarget, check: Check, spread: float, heard: Callable[[Verdict], None]) -> None:
        """Prepare the probe; `run` works it, until cancelled.

        Args:
            target: Who is asked, and how often.
            check: Asks once.
            spread: From 0 to 1, the part of the interval after which the second serving check is made.
            heard: Called with every verdict.
        """
        self._target = target
        self._check = check
        self._spread = spread
        self._heard = heard

    async def run(self) -> None:
        """Ask quickly until the target serves for the first time, then at its interval."""
        await self._until_serving()
        await asyncio.sleep(self._target.interval_s * self._spread)
        while True:
            verdict = await self._check()
            self._heard(verdict)
            await asyncio.sleep(self._pause_after(verdict))

    async def _until_serving(self) -> None:
        is_command = self._target.spec.kind is ProbeKind.EXEC
        pause = FIRST_RUN_PAUSE_S if is_command else FIRST_PAUSE_S
        last_pause = min(LAST_RUN_PAUSE_S if is_command else LAST_PAUSE_S, self._target.interval_s)
        while True:
            verdict = await self._check()
            self._heard(verdict)
            if verdict.health is Health.SERVING:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, last_pause)

    def _pause_after(self, verdict: Verdict) -> float:
        if verdict.health is Health.UNREACHABLE:
            return min(self._target.interval_s, AWAY_PAUSE_S)
        return self._target.interval_s


class PlainProbes(Generic[Key]):
    """Asks any number of targets and reports every change of a verdict.

    All methods belong on the loop (`LoopThread.post`). `on_report` is called there: once when a target's first
    verdict is known, then whenever its health or detail differs from the last. A target that was removed is not
    reported any more, not even by what was under way.
    """

    def __init__(
        self,
        *,
        loop: LoopThread,
        on_report: Callable[[HealthReport[Key]], None],
        on_check: Callable[[float], None] | None = None,
    ) -> None:
        """Ask nobody yet; `on_check` is told how long each check took, also one without an answer."""
        self._loop = loop
        self._on_report = on_report
        self._on_check = on_check
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._last: dict[Key, HealthReport[Key]] = {}
        self._turns = asyncio.Semaphore(CHECKS_AT_ONCE)

    def add(self, key: Key, target: PlainTarget) -> None:
        """Ask a target under the caller's own key; what was asked under this key before is dropped."""
        self.remove(key)
        probe = PlainProbe(
            target=target,
            check=partial(self._in_turn, self._check_of(target)),
            spread=_spread(key),
            heard=partial(self._heard, key),
        )
        self._tasks[key] = self._loop.spawn(probe.run())

    def remove(self, key: Key) -> None:
        """Ask no more; nothing happens if the key is unknown. A command that runs is killed."""
        task = self._tasks.pop(key, None)
        if task is None:
            return
        self._last.pop(key, None)
        task.cancel()
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """Ask nobody any more, and return when every connection is closed and every command has ended."""
        for key in list(self._tasks):
            self.remove(key)
        if self._ending:
            await asyncio.wait(list(self._ending))

    def _check_of(self, target: PlainTarget) -> Check:
        if target.spec.kind is ProbeKind.EXEC:
            command = CommandProbe(
                target.spec.command,
                host_name=target.host_name,
                port=target.port,
                environment=target.environment,
                working_directory=target.working_directory,
            )
            return partial(command.succeeds, timeout_s=target.timeout_s)
        # PlainTarget has seen to it that there is one.
        port = target.port or 0
        if target.spec.kind is ProbeKind.TCP:
            return partial(accepts_connections, target.host_name, port, timeout_s=target.timeout_s)
        return partial(_get, target, port)

    async def _in_turn(self, check: Check) -> Verdict:
        async with self._turns:
            began = time.monotonic()
            try:
                return await check()
            finally:
                if self._on_check is not None:
                    self._on_check(time.monotonic() - began)

    def _heard(self, key: Key, verdict: Verdict) -> None:
        report = HealthReport(key=key, health=verdict.health, detail=verdict.detail, services=())
        if report != self._last.get(key):
            self._last[key] = report
            self._on_report(report)


async def _get(target: PlainTarget, port: int) -> Verdict:
    try:
        # Each time, as the files may change.
        tls = client_context(**asdict(target.tls)) if target.use_tls else None
    except OperationError as error:
        return Verdict(health=Health.UNREACHABLE, detail=brief(str(error)))
    return await answers_get(target.host_name, port, target.spec.path, timeout_s=target.timeout_s, tls=tls)


def _spread(key: Hashable) -> float:
    """Return a number from 0 to 1 that is the same for a key in every process, unlike its `hash`."""
    return zlib.crc32(repr(key).encode()) / 2**32
