"""From a file to its text: UTF-8, printable, of sensible size."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

from quaestor_actors.config.faults import FaultList

MAX_BYTES = 1024 * 1024
"""No configuration is that long; something else is in the file."""

BYTE_ORDER_MARK = "\ufeff"

# The line breaks of YAML 1.1, which its parsers count.
LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")

# What YAML does not allow in a text (YAML 1.2.2, section 5.1), and a byte order mark that is not at the beginning.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def read_text(faults: FaultList) -> str | None:
    """Return the text of the list's file, or note why there is none and return None."""
    try:
        data = _read(faults.file)
    except OSError as error:
        faults.add_at(0, 0, f"cannot be read: {error.strerror}")
        return None
    if len(data) > MAX_BYTES:
        faults.add_at(0, 0, f"is larger than {MAX_BYTES} bytes, which no configuration needs")
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = _place_after(data[: error.start].decode("utf-8"))
        faults.add_at(line, column, f"byte 0x{data[error.start]:02x} is not UTF-8: save the file as UTF-8")
        return None
    text = text.removeprefix(BYTE_ORDER_MARK)
    if forbidden := _FORBIDDEN.search(text):
        line, column = _place_after(text[: forbidden.start()])
        faults.add_at(line, column, f"the character U+{ord(forbidden[0]):04X} is not allowed in YAML: remove it")
        return None
    return text


def _read(file: Path) -> bytes:
    # Not blocking: to open a named pipe would otherwise wait for somebody to write to it.
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        with open(descriptor, "rb", closefd=False) as stream:
            return stream.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)


def _place_after(text: str) -> tuple[int, int]:
    """Return the 1-based line and column that follow a text."""
    lines = LINE_BREAK.split(text.removeprefix(BYTE_ORDER_MARK))
    return len(lines), len(lines[-1]) + 1
