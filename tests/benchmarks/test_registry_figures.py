"""What the benchmark of a large registry is made of, and what it says of its figures."""

from __future__ import annotations

from pathlib import Path

from balancing.children import Child
from balancing.etcd_server import etcd_server
from balancing.registry_figures import (
    ASKED,
    QUIET,
    Change,
    FirstView,
    Found,
    change_line,
    first_view_line,
    goals_of,
    rest_line,
)
from targets import Outcome

DEADLINE_S = 30.0


def found(locations: int, **fields: object) -> Found:
    return Found(locations=locations, **fields)  # type: ignore[arg-type] # by name, as the caller knows


def test__quiet_locations__have_the_named_services_and_nobody_asks_them() -> None:
    with Child("quiet_locations") as child:
        assert len(child.ask(deadline_s=DEADLINE_S, count=2, services=["Worker", "Other"])) == 2
        assert child.ask(deadline_s=DEADLINE_S, asked=True) == {"health": [], "loads": []}


def test__registering_client__registers_in_a_real_etcd(tmp_path: Path) -> None:
    with etcd_server(tmp_path) as port, Child("registering_client") as client:
        assert client.ask(deadline_s=DEADLINE_S, register=port, services=["Worker"], ports=[1, 2]) is True
        assert 0 < client.ask(deadline_s=DEADLINE_S, list=True) < DEADLINE_S


def test__goals__changes_are_seen_within_100_ms_whoever_asks() -> None:
    fast, slow = [Change(written_s=0.001, seen_s=0.1)] * 99, [Change(written_s=0.001, seen_s=0.2)]
    changes = {(QUIET, "put"): fast + slow, (QUIET, "delete"): fast + 2 * slow, (ASKED, "put"): fast}
    goals = goals_of(found(10, changes=changes))
    assert [goal.outcome for goal in goals] == [Outcome.FAIL, Outcome.SKIP, Outcome.PASS, Outcome.PASS]


def test__rest_line__tells_what_each_location_adds() -> None:
    least = found(4, memory={"registry": 20_000_000, "balancer": 10_000_000}, idle_percent=1.0)
    most = found(1_004, memory={"registry": 21_000_000, "balancer": 60_000_000}, idle_percent=2.5)
    assert rest_line(most, least).split() == ["1,004", "21.0", "60.0", "1.0", "50.0", "2.50"]
    assert rest_line(least, least).split() == ["4", "20.0", "10.0", "-", "-", "1.00"]


def test__lines__without_figures__say_so() -> None:
    assert "not measured" in first_view_line(found(4))
    assert change_line(found(4), QUIET).split() == ["4", "nobody", "asks", *["-"] * 8]


def test__lines__with_figures__show_seconds_and_milliseconds() -> None:
    view = FirstView(list_s=0.1, processor_s=9.0, follows_s=1.0, health_s=2.0, loads_s=3.0, serving_s=3.5, all_s=3.6)
    assert first_view_line(found(4, first_view=view)).split() == [
        "4",
        "1.00",
        "2.00",
        "3.00",
        "3.50",
        "3.60",
        "0.10",
        "9.0",
    ]
    put, delete = Change(written_s=0.002, seen_s=0.03, asked_s=0.02), Change(written_s=0.002, seen_s=0.01)
    line = change_line(found(4, changes={(ASKED, "put"): [put], (ASKED, "delete"): [delete]}), ASKED)
    assert line.split()[4:] == ["2.0", "2.0", "10.0", "10.0", "20.0", "20.0", "30.0", "30.0"]
