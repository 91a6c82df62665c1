"""A service's own count of its load."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from quaestor_actors.worker import ServiceLoad
from quaestor_actors.worker.load import EPOCH_TICKS, TICKS_PER_SECOND


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


def test__negative_capacity__is_an_error() -> None:
    with pytest.raises(ValueError, match="0 or more"):
        ServiceLoad(request_capacity=-1)


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
