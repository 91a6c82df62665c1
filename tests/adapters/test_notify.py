"""What systemd would receive, on a real datagram socket; and that nothing happens without one."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from quaestor_actors.adapters import notify
from quaestor_actors.adapters.notify import Notifier


class Manager:
    """Stands where systemd listens."""

    def __init__(self, address: str) -> None:
        self.environ = {"NOTIFY_SOCKET": address}
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(5.0)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def received(self) -> str:
        """Return the next message."""
        return self.socket.recv(8192).decode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "notify"


@pytest.fixture
def manager(path: Path) -> Iterator[Manager]:
    manager = Manager(str(path))
    yield manager
    manager.socket.close()


@pytest.mark.parametrize(
    ("say", "expected"),
    [
        (lambda n: n.ready("4/4 members serving"), "READY=1\nSTATUS=4/4 members serving"),
        (lambda n: n.status("3/4 members serving"), "STATUS=3/4 members serving"),
        (lambda n: n.reloading(), "RELOADING=1\nMONOTONIC_USEC=1234567"),
        (lambda n: n.stopping("SIGTERM"), "STOPPING=1\nSTATUS=SIGTERM"),
        (lambda n: n.watchdog(), "WATCHDOG=1"),
    ],
)
def test__message__is_one_datagram(manager: Manager, say: Callable[[Notifier], bool], expected: str) -> None:
    assert say(Notifier(manager.environ, monotonic_ns=lambda: 1_234_567_899)) is True
    assert manager.received() == expected


def test__reloading__tells_the_clock_that_systemd_compares_with(manager: Manager) -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    Notifier(manager.environ).reloading()
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert before <= int(manager.received().rpartition("=")[2]) <= after


def test__abstract_socket__is_reached() -> None:
    manager = Manager(f"@quaestor-test-{os.getpid()}")
    assert Notifier(manager.environ).watchdog()
    assert manager.received() == "WATCHDOG=1"
    manager.socket.close()


def test__status__is_one_line_that_fits(manager: Manager) -> None:
    notifier = Notifier(manager.environ)
    notifier.status("Worker/1 failed:\nREADY=1\r\n\tbad port")
    assert manager.received() == "STATUS=Worker/1 failed: READY=1 bad port"
    notifier.status("ü" * 5000)
    assert manager.received() == "STATUS=" + "ü" * (notify.STATUS_BYTES // 2)
    notifier.status("not UTF-8: \udcff")
    assert manager.received() == "STATUS=not UTF-8: ?"


def test__no_socket__does_nothing() -> None:
    notifier = Notifier({"WATCHDOG_USEC": "1000000"})
    assert notifier.watchdog_interval_s is None
    assert [notifier.ready(""), notifier.status(""), notifier.reloading()] == [False] * 3
    assert [notifier.stopping(""), notifier.watchdog()] == [False] * 2


@pytest.mark.parametrize("name", ["vsock:2:1234", "relative", "/" + "x" * 108])
def test__unusable_socket__is_refused_with_a_line(name: str, caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000000"})
    assert len(caplog.records) == 1
    assert "NOTIFY_SOCKET" in caplog.text
    assert notifier.ready("") is False
    assert notifier.watchdog_interval_s is None


def test__vanished_socket__is_told_once_and_found_again(
    manager: Manager, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier(manager.environ)
    manager.socket.close()
    assert notifier.watchdog() is False  # refused: nobody listens
    path.unlink()
    assert notifier.watchdog() is False  # missing
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    again = Manager(str(path))
    assert notifier.watchdog() is True
    again.socket.close()
    assert notifier.watchdog() is False
    assert len(caplog.records) == 2


def test__socket_of_another_kind__is_no_error(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(path))
        other.listen()
        assert Notifier({"NOTIFY_SOCKET": str(path)}).watchdog() is False


def test__no_descriptor_left__is_no_error(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> None:
        raise OSError(24, "Too many open files")

    notifier = Notifier(manager.environ)
    monkeypatch.setattr(socket, "socket", exhausted)
    assert notifier.watchdog() is False


def test__unforeseen_error__is_raised(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError(22, "Invalid argument")

    notifier = Notifier(manager.environ)
    monkeypatch.setattr(socket, "socket", broken)
    with pytest.raises(OSError, match="Invalid argument"):
        notifier.watchdog()


def test__manager_that_does_not_read__holds_nobody_up(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "SEND_TIMEOUT_S", 0.05)
    notifier = Notifier(manager.environ)
    queue_limit = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text())
    sent = [notifier.watchdog() for _ in range(queue_limit + 2)]
    assert sent[0] is True
    assert sent[-1] is False
    manager.received()
    assert notifier.watchdog() is True


def test__message__leaves_no_descriptor(manager: Manager) -> None:
    notifier = Notifier(manager.environ)
    before = len(list(Path("/proc/self/fd").iterdir()))
    notifier.watchdog()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    ("variables", "interval_s"),
    [
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "77"}, 15.0),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "78"}, None),
        ({"WATCHDOG_PID": "77"}, None),
        ({}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test__watchdog_interval__is_half_of_the_time_if_it_is_ours(
    manager: Manager, variables: dict[str, str], interval_s: float | None
) -> None:
    assert Notifier({**manager.environ, **variables}, pid=77).watchdog_interval_s == interval_s
