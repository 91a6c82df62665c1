"""A service's own count of its load."""

from __future__ import annotations

import math
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest

from quaestor_actors.errors import OperationError
from quaestor_actors.worker import Machine, MachineUsage, ServiceLoad
from quaestor_actors.worker.load import COMPUTE, EPOCH_TICKS, TICKS_PER_SECOND


def test__new_load__was_never_changed() -> None:
    report = ServiceLoad(request_capacity=4).report()
    assert (report.timestamp_ticks, report.known_load_rate) == (0, -1)
    assert (report.server_stats.request_capacity, report.server_stats.current_requests) == (4, 0)


def test__request__counts_while_it_runs_also_when_it_fails() -> None:
    load = ServiceLoad(clock=lambda: 10.0)

    def fail() -> None:
        with load.request():
            assert load.report().server_stats.current_requests == 1
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert load.current_requests == 0
    assert load.report().timestamp_ticks == EPOCH_TICKS + 10 * TICKS_PER_SECOND


def test__end_without_start__is_an_error() -> None:
    with pytest.raises(ValueError, match="never started"):
        ServiceLoad().end_request()


def test__known_load_rate__is_reported() -> None:
    load = ServiceLoad()
    load.known_load_rate = 0.5
    assert load.report().known_load_rate == 0.5
    assert load.report().timestamp_ticks > 0


@pytest.mark.parametrize(
    ("numbers", "named"),
    [
        ({"request_capacity": -1}, "request_capacity"),
        ({"request_capacity": 2**31}, "request_capacity"),
        ({"current_requests": -1}, "current_requests"),
        ({"server_utilization": 1.5}, "utilization"),
        ({"server_utilization": math.nan}, "utilization"),
        ({"server_memory_usage_percent": -2.0}, "memory"),
        ({"server_memory_usage_percent": 101.0}, "memory"),
    ],
)
def test__number_out_of_range__is_an_error_that_names_it(numbers: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        ServiceLoad(**numbers)


def test__known_load_rate__that_is_no_number__is_an_error() -> None:
    load = ServiceLoad()
    with pytest.raises(ValueError, match="finite"):
        load.known_load_rate = math.nan
    assert load.known_load_rate == COMPUTE


def test__ticks__tell_of_the_last_change_and_not_of_a_repetition() -> None:
    seconds = count(1)
    load = ServiceLoad(clock=lambda: float(next(seconds)))

    def ticks() -> int:
        return (load.report().timestamp_ticks - EPOCH_TICKS) // TICKS_PER_SECOND

    load.known_load_rate = 0.5
    load.known_load_rate = 0.5
    assert ticks() == 1
    load.set_server_stats(utilization=0.2, memory_usage_percent=30)
    load.set_server_stats(utilization=0.2, memory_usage_percent=30)
    assert ticks() == 2
    load.known_load_rate = COMPUTE
    assert ticks() == 3
    stats = load.report().server_stats
    assert (stats.server_utilization, stats.server_memory_usage_percent) == (0.2, 30)
    assert ticks() == 3


def test__ticks__are_those_of_dot_net() -> None:
    # 2000-01-01 UTC; System.DateTime.Ticks of that day.
    load = ServiceLoad(clock=lambda: 946_684_800.0)
    load.start_request()
    assert load.report().timestamp_ticks == 630_822_816_000_000_000


def test__on_change__is_told_of_each_change_without_a_lock_until_it_is_ended() -> None:
    load = ServiceLoad(request_capacity=2)
    told: list[int] = []
    end = load.on_change(lambda: told.append(load.report().server_stats.current_requests))
    with load.request():
        assert told == [1]
    load.known_load_rate = COMPUTE
    load.request_capacity = 2
    assert told == [1, 0]
    load.request_capacity = 0
    load.set_server_stats(utilization=0.5)
    load.known_load_rate = 1.0
    assert told == [1, 0, 0, 0, 0]
    end()
    load.start_request()
    assert len(told) == 5


def test__request_capacity__may_change_within_its_range() -> None:
    load = ServiceLoad(request_capacity=2)
    load.request_capacity = 0
    assert load.report().server_stats.request_capacity == load.request_capacity == 0
    with pytest.raises(ValueError, match="request_capacity"):
        load.request_capacity = -1


def test__measured_machine__is_told_when_it_changed_noticeably() -> None:
    usage = MachineUsage(utilization=0.5, memory_percent=40.0)
    seconds = count(1)
    load = ServiceLoad(machine=lambda: usage, clock=lambda: float(next(seconds)))

    def told() -> tuple[float, float, int]:
        report = load.report()
        stats = report.server_stats
        ticks = max(0, (report.timestamp_ticks - EPOCH_TICKS) // TICKS_PER_SECOND)
        return stats.server_utilization, stats.server_memory_usage_percent, ticks

    assert told() == (0.5, 40.0, 0)
    usage = MachineUsage(utilization=0.515, memory_percent=41.5)
    assert told() == (0.5, 40.0, 0)
    usage = MachineUsage(utilization=0.53, memory_percent=41.5)
    assert told() == (0.53, 41.5, 1)
    usage = MachineUsage(utilization=0.53, memory_percent=38.0)
    assert told() == (0.53, 38.0, 2)
    with pytest.raises(ValueError, match="measures"):
        load.set_server_stats(utilization=0.1)


def test__machine__is_measured_at_most_once_a_second() -> None:
    now = 0.0
    machine = Machine(clock=lambda: now)
    first = machine()
    assert first.utilization == 0
    assert 0 < first.memory_percent <= 100
    sum(number * number for number in range(2_000_000))
    assert machine() is first
    now = 1.0
    second = machine()
    assert 0 < second.utilization <= 1
    assert machine() is second


def test__machine__without_psutil__says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(OperationError, match="pip install psutil"):
        Machine()


def test__many_threads__lose_no_count() -> None:
    load = ServiceLoad(request_capacity=8)

    def work(_: int) -> None:
        for _ in range(500):
            load.start_request()
        for _ in range(499):
            load.end_request()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert load.current_requests == 8


def test__started_requests__are_counted_for_good() -> None:
    load = ServiceLoad(request_capacity=2, current_requests=1)
    assert load.report().started_requests == 0
    with load.request(), load.request():
        assert load.report().started_requests == 2
    load.end_request()
    assert load.report().started_requests == 2
