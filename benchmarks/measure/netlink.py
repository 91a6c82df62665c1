"""Process events from the kernel's process connector, stamped when they happen. Needs root.

Layouts: linux/netlink.h, linux/connector.h, linux/cn_proc.h.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import time

from measure.events import Event, Kind

_NETLINK_CONNECTOR = 11
_NLMSG_DONE = 3
_CN_IDX_PROC = 1
_CN_VAL_PROC = 1
_LISTEN = 1
_SO_RCVBUFFORCE = 33
_BUFFER_BYTES = 128 * 1024 * 1024
_MESSAGE_BYTES = 4096
_PROBE_DEADLINE_S = 1.0

_NETLINK_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_CONNECTOR_HEADER = struct.Struct("=IIIIHH")  # index, value, sequence, acknowledged, length, flags
_EVENT_HEADER = struct.Struct("=IIQ")  # what, processor, nanoseconds on the monotonic clock
_IDS = struct.Struct("=IIII")  # of a fork: parent, its group, child, its group; else: process, group, ...
_EVENT_AT = _NETLINK_HEADER.size + _CONNECTOR_HEADER.size
_IDS_AT = _EVENT_AT + _EVENT_HEADER.size

_FORK, _EXEC, _EXIT = 0x1, 0x2, 0x80000000


class ProcessConnector:
    """The kernel's process connector."""

    description = "kernel-stamped process events (netlink process connector)"

    def __init__(self) -> None:
        """Subscribe.

        Raises:
            OSError: it is not permitted, or tells nothing here, as in a container.
        """
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_CONNECTOR)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
            self._socket.bind((0, _CN_IDX_PROC))
            self._socket.settimeout(0)
            self._subscribe()
            self._check()
        except OSError:
            self._socket.close()
            raise

    def _subscribe(self) -> None:
        wish = struct.pack("=I", _LISTEN)
        body = _CONNECTOR_HEADER.pack(_CN_IDX_PROC, _CN_VAL_PROC, 0, 0, len(wish), 0) + wish
        self._socket.send(_NETLINK_HEADER.pack(_NETLINK_HEADER.size + len(body), _NLMSG_DONE, 0, 0, 0) + body)

    def _check(self) -> None:
        """Make sure that events arrive, by a process that does nothing."""
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        deadline = time.monotonic() + _PROBE_DEADLINE_S
        while time.monotonic() < deadline:
            if any(event.pid == child for event in self.collected()):
                return
            select.select([self._socket], [], [], _PROBE_DEADLINE_S)
        raise OSError("the process connector tells nothing here")

    def collected(self) -> list[Event]:
        """Return what happened since the last call; OSError (ENOBUFS) if events were lost."""
        events: list[Event] = []
        while True:
            try:
                message = self._socket.recv(_MESSAGE_BYTES)
            except BlockingIOError:
                return events
            if event := _parsed(message):
                events.append(event)

    def close(self) -> None:
        """Unsubscribe."""
        self._socket.close()


def _parsed(message: bytes) -> Event | None:
    """Return the event of a message, or None if it is of another kind or concerns only a thread."""
    if len(message) < _IDS_AT + _IDS.size:
        return None
    what, _, at_ns = _EVENT_HEADER.unpack_from(message, _EVENT_AT)
    first, first_group, second, second_group = _IDS.unpack_from(message, _IDS_AT)
    if what == _FORK:
        forked = Event(kind=Kind.FORKED, pid=second, at_ns=at_ns, parent=first_group)
        return forked if second == second_group else None
    if first != first_group or what not in {_EXEC, _EXIT}:
        return None
    return Event(kind=Kind.EXECUTED if what == _EXEC else Kind.EXITED, pid=first, at_ns=at_ns)
