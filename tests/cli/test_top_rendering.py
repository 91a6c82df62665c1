"""Who comes first in `quaestor top`, and whose figures they are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.listings import MEASURED, NOW, ON_HOSTS, TROUBLED, load_view, member

from quaestor_actors.adapters.session_usage import Usage
from quaestor_actors.cli.forms import Form, rendered
from quaestor_actors.cli.render import Shown
from quaestor_actors.cli.top_rendering import Machine, Measured, Order, top_listing
from quaestor_actors.core.member import MemberState

MEGABYTE = 1 << 20


def shown(*members: object) -> Shown:
    return replace(TROUBLED, tree=replace(TROUBLED.tree, members=members))


def in_order(order: Order) -> list[str]:
    """Return four that serve, of which the last one takes most of a processor, and so on."""
    four = shown(*(member(number) for number in (1, 2, 3, 4)))
    usages = {
        4121: Usage(cpu_percent=1.0, memory_bytes=4 * MEGABYTE),
        4122: Usage(cpu_percent=2.0, memory_bytes=9 * MEGABYTE),
        4123: Usage(cpu_percent=None, memory_bytes=MEGABYTE),
        4124: Usage(cpu_percent=30.0, memory_bytes=2 * MEGABYTE),
    }
    measured = replace(MEASURED, usages=usages, loads={"": (load_view(5163, 0.5), load_view(5162, 0.25))})
    return [row.member.member for row in top_listing(four, measured, order).rows]


def test__orders() -> None:
    assert in_order(Order.WRONG) == ["Worker/4", "Worker/2", "Worker/1", "Worker/3"]
    assert in_order(Order.CPU) == ["Worker/4", "Worker/2", "Worker/1", "Worker/3"]
    assert in_order(Order.MEMORY) == ["Worker/2", "Worker/1", "Worker/4", "Worker/3"]
    assert in_order(Order.LOAD) == ["Worker/3", "Worker/2", "Worker/1", "Worker/4"]


def test__what_is_wrong__comes_before_what_is_busy() -> None:
    states = ("serving", "stopped", "drained", "starting", "backing_off", "failed")
    found = shown(*(member(number, state) for number, state in enumerate(states, start=1)))
    usages = {4121: Usage(cpu_percent=100.0, memory_bytes=0)}
    rows = top_listing(found, replace(MEASURED, usages=usages)).rows
    assert [row.state for row in rows] == list(reversed(states))


@pytest.mark.parametrize("state", list(MemberState))
def test__every_state__has_its_place(state: MemberState) -> None:
    rows = top_listing(shown(member(1), member(2, state.value), member(3, "failed")), MEASURED).rows
    assert rows[0].state == "failed"
    assert rows[-1].state == "serving"


def test__figures_of_this_host__are_nobody_elses() -> None:
    # On every host there is a member with this pid, at this address.
    measured = Measured(
        usages={4130: Usage(cpu_percent=5.0, memory_bytes=MEGABYTE)},
        loads={"a1": (load_view(5170, 0.5),)},
        machine=Machine(load_average=0.0, processors=1, memory_percent=None),
    )
    here = replace(ON_HOSTS.hosts[0], name="a2", state="here")
    there = replace(ON_HOSTS.hosts[0], name="a1")
    rows = top_listing(replace(ON_HOSTS, hosts=(there, here)), measured).rows
    of_both = {row.host: (row.cpu_percent, row.memory_bytes, row.load) for row in rows if row.state == "serving"}
    assert of_both == {"a1": (None, None, 0.5), "a2": (5.0, MEGABYTE, None)}


def test__of_a_server_with_several_services__the_busiest_counts() -> None:
    (row,) = [row for row in top_listing(TROUBLED, MEASURED).rows if row.member.member == "Worker/1"]
    assert row.load == 0.75


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (1023, "1023"), (1024, "1.0K"), (40_960_000, "39M"), (3_000_000_000, "2.8G")]
)
def test__memory__takes_little_room(count: int, text: str) -> None:
    measured = replace(MEASURED, usages={4121: Usage(cpu_percent=0.0, memory_bytes=count)})
    last = rendered(top_listing(shown(member(1, since=NOW)), measured), Form.WIDE).splitlines()[-1]
    assert last.split()[5] == text
