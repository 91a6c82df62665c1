"""docs/lifecycle.md against the code: the machines are explored breadth first, the diagrams show every edge."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import MappingProxyType

from quaestor_actors.core import group, lifecycle
from quaestor_actors.core.agent import (
    ClockAdvanced,
    Event,
    GateOpened,
    Group,
    MemberFact,
    Phase,
    Reconfigured,
    ReplaceAll,
    RestartMember,
    RestartRolling,
    StartAll,
    StopAll,
)
from quaestor_actors.core.member import (
    Admitted,
    BecameIdle,
    DeadlinePassed,
    DrainRequested,
    Fact,
    Found,
    Health,
    HealthReported,
    Member,
    MemberState,
    MemoryMeasured,
    ProcessExited,
    ReplaceRequested,
    Rules,
    RulesChanged,
    Spawned,
    SpawnFailed,
    StartRequested,
    StopRequested,
    UndrainRequested,
)
from quaestor_actors.core.process_id import ProcessId
from quaestor_actors.core.restart import AutoShutdown, Intensity, RestartType

PAGE = Path(__file__).parents[2] / "docs" / "lifecycle.md"
ARROW = re.compile(r"^\s+(\w+|\[\*\]) --> (\w+): (\S.*)$", re.MULTILINE)
PROCESS = ProcessId(pid=7, start_ticks=1)
LATE = 1e9
SOON = 1.0

RULES = (
    Rules(drain_s=3, failure_threshold=2, startup_retries=2, recycling_interval_s=50, recycling_bytes=1),
    Rules(restart=RestartType.TEMPORARY),
    Rules(probed=False, shutdown_deadline_s=0),
)

Edges = set[tuple[str, str]]


def diagram(number: int) -> tuple[Edges, list[str]]:
    """Return the edges of a diagram of the page, in which a self-loop is never drawn, and their labels."""
    text = PAGE.read_text().split("```mermaid")[number].split("```")[0]
    arrows = [match.groups() for match in ARROW.finditer(text)]
    assert len(arrows) == text.count("-->"), "an arrow without a label"
    return {(start, end) for start, end, _ in arrows}, [label for *_, label in arrows]


# Members


def normal(member: Member) -> Member:
    """Return the member without what only counts, names or dates: so that there are finitely many."""
    return replace(
        member,
        reason="r",
        cause="",
        check="",
        since=0.0,
        incarnation=min(member.incarnation, 1),
        retired=0,
        fingerprint="",
        port=1 if member.process else None,
        completed=False,
        failures=min(member.failures, 2),
        failed_starts=min(member.failed_starts, 1),
        deadline=None if member.deadline is None else SOON,
        recycle_at=None,
        due=None,
        idle_watched=False,
        drained=None if member.drained is None else "r",
    )


def facts(incarnation: int) -> list[Fact]:
    return [
        StartRequested(),
        *(StopRequested(force=force) for force in (False, True)),
        StopRequested(afterwards=MemberState.FAILED),
        ReplaceRequested(reason="r"),
        DrainRequested(reason="r"),
        UndrainRequested(reason="r"),
        Admitted(fingerprint="f1"),
        RulesChanged(),
        Spawned(incarnation=incarnation, process=PROCESS, port=1),
        *(Found(incarnation=incarnation, process=each, port=1, holder="h") for each in (PROCESS, None)),
        SpawnFailed(incarnation=incarnation, reason="r"),
        *(ProcessExited(incarnation=incarnation, reason="r", normal=each) for each in (False, True)),
        *(HealthReported(incarnation=incarnation, health=health, detail="d") for health in Health),
        BecameIdle(incarnation=incarnation, detail="d"),
        MemoryMeasured(incarnation=incarnation, resident_bytes=2),
        DeadlinePassed(),
    ]


def next_members(member: Member) -> Iterator[Member]:
    for rules in RULES:
        for fact in facts(member.incarnation):
            # What has served for long is forgiven its failures, and would never show what follows them.
            now = LATE if isinstance(fact, DeadlinePassed) else 0.0
            yield normal(lifecycle.decide(member, fact, now, rules, 0.5)[0])
        for alive in (False, True):
            yield normal(lifecycle.resume(member, alive=alive, now=0.0, rules=rules, draw=0.5)[0])


def member_edges() -> Edges:
    first = normal(Member(member_id="W/1"))
    seen, queue, edges = {first}, deque([first]), {("[*]", first.state.value)}
    while queue:
        member = queue.popleft()
        for after in next_members(member):
            edges.add((member.state.value, after.state.value))
            if after not in seen:
                seen.add(after)
                queue.append(after)
    return {(start, end) for start, end in edges if start != end}


def test__diagram_of_members__explored__shows_every_edge_and_no_other() -> None:
    drawn, labels = diagram(1)
    assert drawn == member_edges()
    assert all(labels)


# Groups

W1, W2 = "W/1", "W/2"
FRAGILE = Rules(
    restart=RestartType.TRANSIENT,
    intensity=Intensity(limit=0, period_s=60),
    auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
    probed=False,
)


def events(state: Group) -> list[Event]:
    told: list[Event] = [
        *(StartAll(gate_open=gate, fresh=fresh) for gate, fresh in product((False, True), repeat=2)),
        GateOpened(),
        StopAll(reason="r"),
        ReplaceAll(reason="r"),
        *(Reconfigured(wanted=wanted) for wanted in ({W1: "f1"}, {W1: "f2"}, {W1: "f1", W2: "f1"}, {})),
        RestartMember(member_id=W1, reason="r"),
        RestartRolling(members=(W1, W2)),
        ClockAdvanced(),
    ]
    for name, member in state.members.items():
        incarnation = member.incarnation
        lived: list[Fact] = [
            StartRequested(),
            StopRequested(),
            Spawned(incarnation=incarnation, process=PROCESS, port=1),
            *(ProcessExited(incarnation=incarnation, reason="r", normal=normal) for normal in (False, True)),
        ]
        told += [MemberFact(member_id=name, fact=fact) for fact in lived]
    return told


def group_key(state: Group) -> tuple[object, ...]:
    members = tuple((name, normal(member)) for name, member in state.members.items())
    return (state.phase, state.gate_open, bool(state.restarts), state.held, tuple(state.wanted.items()), members)


def group_edges() -> Edges:
    first = Group(wanted=MappingProxyType({}))
    seen, queue, edges = {group_key(first)}, deque([first]), {("[*]", first.phase.value)}
    while queue and len(edges) < len(Phase) ** 2:
        state = queue.popleft()
        for event in events(state):
            after, _ = group.decide(state, [event], 0.0, FRAGILE, 0.5)
            edges.add((state.phase.value, after.phase.value))
            if group_key(after) not in seen:
                seen.add(group_key(after))
                queue.append(after)
    return {(start, end) for start, end in edges if start != end}


def test__diagram_of_groups__explored__shows_every_edge_and_no_other() -> None:
    drawn, labels = diagram(2)
    assert drawn == group_edges()
    assert all(labels)


def test__page__every_state_and_phase__is_described() -> None:
    text = PAGE.read_text()
    missing = [each.value for each in (*MemberState, *Phase) if f"| `{each.value}` |" not in text]
    assert not missing
