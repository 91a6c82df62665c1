"""What the launcher tells systemd: sd_notify(3), one datagram for each message.

Without NOTIFY_SOCKET there is nobody to tell, and every call does nothing.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""What systemd sets for the launcher alone; members must not inherit it, or they could speak in its name."""

STATUS_BYTES = 1024
"""systemd drops a message of more than 4096 bytes whole."""
PATH_BYTES = 107
"""What fits into sun_path of unix(7), with its final zero."""
SEND_TIMEOUT_S = 1.0
"""systemd reads its socket at once; a launcher must not hang because it does not."""

UNREACHABLE = frozenset(
    {
        # Nothing is there, or nobody listens (any more).
        *(errno.ENOENT, errno.ENOTDIR, errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE, errno.EPROTOTYPE),
        # It is not for us.
        *(errno.EACCES, errno.EPERM),
        # Descriptors or memory have run out; the next message may pass.
        *(errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM),
    }
)
"""Errors after which a message is lost and nothing else; any other is a fault of this module."""

_log = logging.getLogger(__name__)


class Notifier:
    """Tells the service manager how the launcher is doing.

    Every message returns whether it was sent. A socket that has vanished is logged once and never raises: the cluster
    matters more than who watches it. No descriptor is kept, so forked actors inherit none.
    """

    def __init__(
        self, environ: Mapping[str, str], *, pid: int | None = None, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        """Take what systemd left in the environment.

        Args:
            environ: the environment of the launcher.
            pid: of the launcher; None: this process.
            monotonic_ns: CLOCK_MONOTONIC in nanoseconds.
        """
        self._monotonic_ns = monotonic_ns
        self._lost = False
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self.watchdog_interval_s = None if self._address is None else _interval_s(environ, pid or os.getpid())
        """How often `watchdog` is to be called: half of the time after which systemd acts, as sd_watchdog_enabled(3)
        advises. None: the watchdog is off, or another process's."""

    def ready(self, status: str) -> bool:
        """Say that the start, or a reload, is complete."""
        return self._send("READY=1", _status(status))

    def status(self, text: str) -> bool:
        """Say in a line how things are, for `systemctl status`."""
        return self._send(_status(text))

    def reloading(self) -> bool:
        """Say that the configuration is being read again; `ready` must follow."""
        return self._send("RELOADING=1", f"MONOTONIC_USEC={self._monotonic_ns() // 1000}")

    def stopping(self, status: str) -> bool:
        """Say that the launcher is ending in order."""
        return self._send("STOPPING=1", _status(status))

    def watchdog(self) -> bool:
        """Say that everything is alive; call it only when that is known."""
        return self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> bool:
        if self._address is None:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(SEND_TIMEOUT_S)
                # Connected, because only then can the kernel tell when a full queue has room again.
                sender.connect(self._address)
                sender.send("\n".join(lines).encode())
        except TimeoutError as error:
            return self._failed(error)
        except OSError as error:
            if error.errno not in UNREACHABLE:
                raise
            return self._failed(error)
        self._lost = False
        return True

    def _failed(self, error: OSError) -> bool:
        if not self._lost:
            _log.warning(
                "the service manager cannot be told anything: %s: %s", os.fsdecode(self._address or b""), error
            )
        self._lost = True
        return False


def _address(name: str) -> bytes | None:
    """Return the address of a socket as NOTIFY_SOCKET names it; None if it is nowhere or cannot be used."""
    if not name:
        return None
    if not name.startswith(("/", "@")):
        _log.warning("NOTIFY_SOCKET=%s is ignored: only paths and abstract sockets (@NAME) are supported", name)
        return None
    address = os.fsencode(name)
    if len(address) > PATH_BYTES:
        _log.warning("NOTIFY_SOCKET is ignored: %d bytes do not fit into a socket's address", len(address))
        return None
    return b"\0" + address[1:] if name.startswith("@") else address


def _interval_s(environ: Mapping[str, str], pid: int) -> float | None:
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    text = environ.get("WATCHDOG_USEC", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or int(text) == 0:
        _log.warning("WATCHDOG_USEC=%s is ignored: it is no number of microseconds", text)
        return None
    return int(text) / 2_000_000


def _status(text: str) -> str:
    """Return the assignment for a status: one line, because a line break would begin another assignment."""
    line = " ".join(text.split())
    return "STATUS=" + line.encode(errors="replace")[:STATUS_BYTES].decode(errors="ignore")
