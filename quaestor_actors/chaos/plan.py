"""What is done to the cluster, and when: a pure function of the seed, so that a run can be repeated.

Targets are named by role and index, never by pid: which process that is, is found when the time has come.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """Kinds of faults, by the names that people use."""

    KILL = "kill"
    """SIGKILL to one process."""
    HANG = "hang"
    """SIGSTOP, and SIGCONT later."""
    TERMINATE = "terminate"
    """SIGTERM to one process; the launcher stops the whole cluster then, and another one starts it."""
    FULL_DISK = "full-disk"
    """No room for state and logs, while a member and its supervisor die."""
    NO_DESCRIPTORS = "no-descriptors"
    """One process cannot open anything any more."""
    STOLEN_PORT = "stolen-port"
    """A member dies, and a stranger listens on its port before it is back."""
    CONFIG = "config"
    """The configuration is replaced while it is read: by a valid one, an invalid one, or half of one."""
    GARBAGE = "garbage"
    """Random bytes, huge lengths and broken protocols on every port."""
    SLOW_PEERS = "slow-peers"
    """Connections on every port that say nothing, or one byte a second."""


class Role(StrEnum):
    """What a process is for."""

    MEMBER = "member"
    ETCD = "etcd"
    LAUNCHER = "launcher"
    ACTOR_SYSTEM = "actor system"
    LOGGER = "logger"
    ROOT = "root"
    REGISTRY = "registry"
    BALANCER = "balancer"
    AGENT = "agent"
    PROBER = "prober"


class ConfigVariant(StrEnum):
    """What the configuration is replaced by."""

    VALID = "another one that is valid"
    INVALID = "an invalid one"
    HALF = "half of one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One fault."""

    fault: Fault
    role: Role | None = None
    """None: of no single process."""
    index: int = 0
    """Which of them, counted round; for a configuration, which variant."""
    lasts_s: float = 0.0
    """Until it is taken back."""
    seed: int = 0
    """For what chance decides while it is done, such as which bytes are sent."""

    def __str__(self) -> str:
        """`kill member 3`."""
        match self.fault:
            case Fault.CONFIG:
                target = f": {self.variant}"
            case _:
                target = f" {self.role} {self.index}" if self.role else ""
        return f"{self.fault}{target}"

    @property
    def variant(self) -> ConfigVariant:
        """What the configuration is replaced by."""
        return tuple(ConfigVariant)[self.index % len(ConfigVariant)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Some faults at once, after which the cluster has to be whole again."""

    number: int
    """The first is 1."""
    pause_s: float
    """In which nothing is done, before them."""
    actions: tuple[Action, ...]


EVERYTHING = tuple(Fault)

_WEIGHTS = {Fault.KILL: 4, Fault.HANG: 2, Fault.TERMINATE: 2}
"""The others count once: they take longer."""
_WHO = {
    Fault.KILL: tuple(Role),
    Fault.HANG: tuple(Role),
    Fault.TERMINATE: tuple(Role),
    # The launcher's and the members' descriptors are their own affair: they hold the seam to this program.
    Fault.NO_DESCRIPTORS: (Role.ROOT, Role.REGISTRY, Role.BALANCER, Role.AGENT, Role.PROBER, Role.ACTOR_SYSTEM),
    Fault.STOLEN_PORT: (Role.MEMBER,),
    Fault.FULL_DISK: (Role.MEMBER, Role.AGENT, Role.REGISTRY, Role.ROOT),
}
_LASTS_S = {Fault.KILL: (0.0, 0.0), Fault.TERMINATE: (0.0, 0.0), Fault.HANG: (0.5, 8.0)}
_OTHERS_LAST_S = (1.0, 4.0)
_AT_ONCE = ((1, 7), (2, 2), (3, 1))
"""How many faults, and how often."""
_HIGHEST_INDEX = 1000


def step(seed: int, number: int, faults: Sequence[Fault] = EVERYTHING) -> Step:
    """Return one step of a plan; it depends on nothing but these arguments."""
    chance = random.Random(f"{seed}/{number}")  # noqa: S311 - to be repeated is what it is for
    counts, weights = zip(*_AT_ONCE, strict=True)
    count = chance.choices(counts, weights)[0]
    pause_s = round(chance.choice((0.0, chance.uniform(0.0, 1.0))), 2)
    return Step(number=number, pause_s=pause_s, actions=_distinct(_action(chance, faults) for _ in range(count)))


def steps(seed: int, faults: Sequence[Fault] = EVERYTHING, *, first: int = 1) -> Iterator[Step]:
    """Yield a plan's steps without end, beginning with any of them."""
    number = first
    while True:
        yield step(seed, number, faults)
        number += 1


def _action(chance: random.Random, faults: Sequence[Fault]) -> Action:
    fault = chance.choices(faults, [_WEIGHTS.get(each, 1) for each in faults])[0]
    lowest, highest = _LASTS_S.get(fault, _OTHERS_LAST_S)
    return Action(
        fault=fault,
        role=chance.choice(_WHO[fault]) if fault in _WHO else None,
        index=chance.randrange(_HIGHEST_INDEX),
        lasts_s=round(chance.uniform(lowest, highest), 2),
        seed=chance.randrange(2**32),
    )


def _distinct(actions: Iterator[Action]) -> tuple[Action, ...]:
    """Leave out what cannot be done twice at once: the disk is full, and the configuration is one file."""
    chosen: dict[object, Action] = {}
    for number, action in enumerate(actions):
        is_single = action.fault in {Fault.FULL_DISK, Fault.CONFIG, Fault.GARBAGE, Fault.SLOW_PEERS}
        chosen.setdefault(action.fault if is_single else number, action)
    return tuple(chosen.values())
