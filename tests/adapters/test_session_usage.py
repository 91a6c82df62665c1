"""What processes take, measured on real ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.waiting import wait_until

from quaestor_actors.adapters.session_usage import MIN_PERIOD_S, UsageMeter

MEGABYTE = 1 << 20

BUSY = "print('ready', flush=True)\nwhile True: pass"
IDLE = "import time\nheld = b'x' * 50_000_000\nprint('ready', flush=True)\ntime.sleep(1000)"
BUSY_CHILD = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BUSY!r}])"


class HandClock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def running(program: str) -> Iterator[int]:
    """Run a program in a session of its own, and yield its pid when it says that it is ready."""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
    finally:
        # With what it has started.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.parametrize("program", [BUSY, BUSY_CHILD])
def test__who_is_busy__takes_time(program: str) -> None:
    clock = HandClock()
    meter = UsageMeter(clock=clock)
    with running(program) as busy, running(IDLE) as idle:
        first = meter.measure([busy, idle])
        assert (first[busy].cpu_percent, first[idle].cpu_percent) == (None, None)

        def used() -> float:
            clock.now += 1.0
            found = meter.measure([busy, idle])
            assert found[idle].cpu_percent == 0.0
            return found[busy].cpu_percent or 0.0

        assert wait_until(lambda: used() > 0, 20.0, "time to be taken")


def test__memory__is_that_of_the_process() -> None:
    with running(IDLE) as idle:
        assert UsageMeter().measure([idle])[idle].memory_bytes > 50 * MEGABYTE


def test__children__count() -> None:
    child = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {IDLE!r}])"
    with running(child) as parent:
        assert UsageMeter().measure([parent])[parent].memory_bytes > 50 * MEGABYTE


def test__short_periods__keep_the_last_figure() -> None:
    clock = HandClock()
    meter = UsageMeter(clock=clock)
    with running(BUSY) as busy:
        meter.measure([busy])
        clock.now += MIN_PERIOD_S / 2
        assert meter.measure([busy])[busy].cpu_percent is None
        clock.now += MIN_PERIOD_S
        assert meter.measure([busy])[busy].cpu_percent is not None


def test__who_is_gone__is_left_out() -> None:
    with running(IDLE) as idle:
        pass
    assert UsageMeter().measure([idle]) == {}
