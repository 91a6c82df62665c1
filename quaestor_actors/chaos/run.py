"""One run: hurt the cluster step by step, and see that it is whole again after each."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import assert_never

from quaestor_actors.chaos import peer_faults, place_faults, process_faults
from quaestor_actors.chaos.checks import ANSWER_WITHIN_S, not_whole, services_of
from quaestor_actors.chaos.client import Client
from quaestor_actors.chaos.fault import Injury, NotPossibleError
from quaestor_actors.chaos.plan import Action, Fault, Role, Step
from quaestor_actors.chaos.report import StepReport
from quaestor_actors.chaos.sampling import Sampling, Trend
from quaestor_actors.chaos.sighting import Sighting
from quaestor_actors.chaos.watcher import Watcher
from quaestor_actors.chaos.world import World

START_S = 60.0
WHOLE_S = 45.0
"""In which the cluster has to be whole after a step, on a busy machine too: a hung member is noticed, asked to end,
killed, and started again."""
EXPECTED_S = 20.0
LEFT_S = 5.0
_POLL_S = 0.1

Say = Callable[[str], None]


class BrokenError(Exception):
    """Something did not hold; the text says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run has shown."""

    seconds: float
    steps: tuple[StepReport, ...]
    broken: tuple[str, ...]
    trends: tuple[Trend, ...]
    asked: int
    answered: int
    interrupted: bool


def run(world: World, plan: Iterable[Step], *, seconds: float | None, say: Say) -> Outcome:
    """Carry a plan out until it or the time is over, or something did not hold; then stop the cluster.

    Ctrl+C and SIGTERM end it in order. Call it from the main thread.

    Args:
        world: a cluster that does not run yet.
        plan: what to do.
        seconds: for how long steps are begun; None: until the plan is over.
        say: told each line of the timeline.
    """
    balancer = world.copy.spec.balancer
    watcher = Watcher(world, response_timeout_s=balancer.response_timeout_s if balancer else 0.0)
    services = services_of(world.copy.spec)
    can_ask = balancer is not None and balancer.certificate is None and services
    client = Client(balancer, services, watcher.heard) if balancer is not None and can_ask else None
    try:
        with _sigterm_as_ctrl_c():
            return _Run(world, watcher, client, say).go(plan, seconds)
    finally:
        if client is not None:
            client.close()
        watcher.close()


class _Run:
    def __init__(self, world: World, watcher: Watcher, client: Client | None, say: Say) -> None:
        self._world = world
        self._watcher = watcher
        self._client = client
        self._tell = say
        self._began = time.monotonic()
        self._sampling = Sampling()
        self._steps: list[StepReport] = []
        self._injuries: list[Injury] = []

    def go(self, plan: Iterable[Step], seconds: float | None) -> Outcome:
        broken: list[str] = []
        interrupted = False
        try:
            self._start()
            for step in plan:
                if seconds is not None and self._seconds() >= seconds:
                    break
                self._step(step)
        except KeyboardInterrupt:
            interrupted = True
            self._say("interrupted")
        except BrokenError as error:
            broken.append(str(error))
            self._say(f"BROKEN: {error}")
        self._mend()
        asked, answered = (self._client.asked, self._client.answered) if self._client else (0, 0)
        broken += [each for each in [*self._end(), *self._watcher.broken()] if each not in broken]
        trends = tuple(self._sampling.trends())
        broken += [each.growth for each in trends if each.growth is not None]
        return Outcome(
            seconds=self._seconds(),
            steps=tuple(self._steps),
            broken=tuple(broken),
            trends=trends,
            asked=asked,
            answered=answered,
            interrupted=interrupted,
        )

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _say(self, text: str) -> None:
        self._tell(f"{self._seconds():7.1f} s  {text}")

    # One step

    def _start(self) -> None:
        self._watcher.excuse_answers()
        self._world.launch()
        took = self._wait_until_whole(START_S)
        if self._client is not None:
            self._client.count_from_now()
        members = sum(each.role in {Role.MEMBER, Role.ETCD} for each in self._world.look().processes)
        self._say(f"{self._world.name} is whole after {took:.1f} s: {members} members")

    def _step(self, step: Step) -> None:
        self._rest(step.pause_s)
        at_s, before = self._seconds(), self._world.look()
        done, skipped = self._hurt(step)
        ends_launcher = any(_ends_launcher(action) for action in done)
        is_alone = len(step.actions) == 1
        injuries = tuple(self._injuries)
        recovery_s = None
        try:
            self._endure(is_alone=is_alone)
            if done:
                recovery_s = self._wait_until_whole(WHOLE_S, ends_launcher=ends_launcher)
        finally:
            report = StepReport(
                number=step.number,
                at_s=at_s,
                faults=tuple(str(action.fault) for action in done),
                done=tuple(each.what for each in injuries),
                skipped=tuple(skipped),
                recovery_s=recovery_s,
            )
            self._steps.append(report)
            self._say(str(report))
        self._check(injuries, before, is_alone=is_alone)

    def _hurt(self, step: Step) -> tuple[list[Action], list[str]]:
        self._injuries = []
        done: list[Action] = []
        skipped: list[str] = []
        # A target that is drawn may turn out to be on the answers' way.
        self._watcher.excuse_answers()
        if self._client is not None:
            self._client.restart_gap()
        for action in step.actions:
            try:
                self._injuries.append(inject(self._world, action))
                done.append(action)
            except NotPossibleError as error:
                skipped.append(f"{action}: {error}")
        if not any(injury.blocks_answers for injury in self._injuries):
            self._watcher.expect_answers()
        return done, skipped

    def _endure(self, *, is_alone: bool) -> None:
        """Let the faults last, and take each back when its time is over."""
        begun = time.monotonic()
        for injury in sorted(self._injuries, key=lambda each: each.lasts_s):
            if is_alone and injury.expects is not None:
                self._await_expectation(injury)
            self._rest(begun + injury.lasts_s - time.monotonic())
            if injury.mend is not None:
                injury.mend()
            self._injuries.remove(injury)

    def _await_expectation(self, injury: Injury) -> None:
        expected = injury.expects
        give_up_at = time.monotonic() + EXPECTED_S
        while expected is not None:
            tree = self._world.status()
            if tree is not None and expected.is_met(tree):
                return
            if time.monotonic() > give_up_at:
                raise BrokenError(f"{injury.what}: waited {EXPECTED_S:g} s in vain for {expected.what}")
            self._rest(_POLL_S)

    def _mend(self) -> None:
        for injury in self._injuries:
            if injury.mend is not None:
                injury.mend()
        self._injuries = []
        # Whoever was interrupted may have filled it without a word.
        self._world.disk.free()

    def _check(self, injuries: tuple[Injury, ...], before: Sighting, *, is_alone: bool) -> None:
        self._look_for_wrong()
        if self._client is not None and not any(each.blocks_answers for each in injuries):
            gap_s = self._client.longest_gap_s()
            if gap_s > ANSWER_WITHIN_S:
                raise BrokenError(f"clients were without an answer for {gap_s:.1f} s, though nobody hurt the balancer")
        if is_alone and any(each.touches_no_member for each in injuries):
            _expect_same_members(before, self._world.look())
        self._watcher.expect_answers()
        self._sampling.take(self._world.look())

    # Whole again

    def _wait_until_whole(self, timeout_s: float, *, ends_launcher: bool = False) -> float:
        """Wait until the cluster is whole, after its launcher has ended if it is to; return how long that took."""
        begun = time.monotonic()
        while True:
            ends_launcher = not self._heed_launcher(ends=ends_launcher) and ends_launcher
            self._look_for_wrong()
            tree = self._world.status()
            answers = None if self._client is None else self._client.latest(since=begun)
            waits = "the launcher was told to end, and has not" if ends_launcher else None
            why = waits or not_whole(self._world.copy.spec, tree, self._world.look(), answers)
            if why is None:
                return time.monotonic() - begun
            if time.monotonic() - begun > timeout_s:
                raise BrokenError(f"not whole after {timeout_s:g} s: {why}")
            self._rest(_POLL_S)

    def _heed_launcher(self, *, ends: bool) -> bool:
        """Start another launcher if this one has ended, and return whether it had."""
        code = self._world.ended_with()
        if code is None:
            return False
        if not ends:
            raise BrokenError(f"the launcher ended with {code}, and nobody had ended it")
        if code not in {0, -signal.SIGKILL}:
            raise BrokenError(f"the launcher ended with {code}")
        self._world.launch()
        return True

    def _look_for_wrong(self) -> None:
        if wrong := self._watcher.broken():
            raise BrokenError(wrong[0])
        if self._client is not None and not self._client.is_asking():
            raise BrokenError("nobody asks the balancer any more: a crash, see above")

    def _rest(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)

    # The end

    def _end(self) -> list[str]:
        """Stop the cluster, and return what is wrong with how it ended."""
        self._watcher.excuse_answers()
        if self._world.ended_with() is not None:
            # It was broken before.
            return []
        broken = []
        code = self._world.stop()
        if code != 0:
            broken.append("the launcher did not stop" if code is None else f"the launcher stopped with {code}")
        give_up_at = time.monotonic() + LEFT_S
        while left := self._world.look().processes:
            if time.monotonic() > give_up_at:
                broken.append(f"left behind: {', '.join(map(str, left))}")
                break
            self._rest(_POLL_S)
        return broken


def inject(world: World, action: Action) -> Injury:
    """Do one fault.

    Raises:
        NotPossibleError: here or now it cannot be done.
    """
    match action.fault:
        case Fault.KILL | Fault.TERMINATE:
            return process_faults.end(world, action)
        case Fault.HANG:
            return process_faults.hang(world, action)
        case Fault.NO_DESCRIPTORS:
            return process_faults.use_up_descriptors(world, action)
        case Fault.FULL_DISK:
            return place_faults.fill_disk(world, action)
        case Fault.STOLEN_PORT:
            return place_faults.steal_port(world, action)
        case Fault.CONFIG:
            return place_faults.replace_configuration(world, action)
        case Fault.GARBAGE:
            return peer_faults.talk_nonsense(world, action)
        case Fault.SLOW_PEERS:
            return peer_faults.hardly_talk(world, action)
        case _:
            assert_never(action.fault)


def _expect_same_members(before: Sighting, after: Sighting) -> None:
    roles = (Role.MEMBER, Role.ETCD)
    was, now = ({each.name: each.pid for role in roles for each in seen.of(role)} for seen in (before, after))
    if changed := sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name)):
        raise BrokenError(f"{', '.join(changed)} had to stay the same process, and did not")


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _ends_launcher(action: Action) -> bool:
    return action.role is Role.LAUNCHER and action.fault in {Fault.KILL, Fault.TERMINATE}
