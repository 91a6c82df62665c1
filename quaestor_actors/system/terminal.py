"""The terminal that a launcher was started from: when it is closed, SIGHUP means the end and not another reading."""

from __future__ import annotations

import os
import sys


class Terminal:
    """The one of standard error, if it is one."""

    def __init__(self) -> None:
        """Look whether there is one now."""
        self._was_there = sys.stderr.isatty()

    def is_closed(self) -> bool:
        """Return whether there was one, which has been closed."""
        if not self._was_there:
            return False
        try:
            os.tcgetpgrp(sys.stderr.fileno())
        except OSError:
            return True
        return False
