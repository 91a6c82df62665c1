"""Where a running tree can be reached, written down for commands; tried again while there is no room for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from quaestor_actors.adapters import runtime_directory
from quaestor_actors.adapters.runtime_directory import SystemRecord

RETRY_S = 1.0


class Publication:
    """The record of one cluster. That it cannot be written is no reason to give up a tree that works."""

    def __init__(self, directory: Path, said: Callable[[str], None]) -> None:
        """Write nothing yet.

        Args:
            directory: the cluster's runtime directory.
            said: told, for people, when the record cannot be written, and when it can again.
        """
        self._directory = directory
        self._said = said
        self._record: SystemRecord | None = None
        self.retry_at: float | None = None
        """When `retry` is due, in monotonic seconds; None: never."""

    def publish(self, record: SystemRecord) -> None:
        """Write a record, or arrange to try again."""
        self._record = record
        try:
            runtime_directory.write_system_record(self._directory, record)
        except OSError as error:
            if self.retry_at is None:
                self._said(
                    f"cannot write {self._directory / runtime_directory.SYSTEM_NAME}: {error.strerror}; members are "
                    "kept, but commands do not find this cluster"
                )
            self.retry_at = time.monotonic() + RETRY_S
            return
        if self.retry_at is not None:
            self._said("commands find this cluster again")
        self.retry_at = None

    def retry(self) -> None:
        """Try again, if it is time to."""
        if self._record is not None and self.retry_at is not None and time.monotonic() >= self.retry_at:
            self.publish(self._record)

    def withdraw(self) -> None:
        """Remove the record: the tree has ended."""
        self._record = self.retry_at = None
        (self._directory / runtime_directory.SYSTEM_NAME).unlink(missing_ok=True)
