"""A store without a network and without time of its own, as tests see it that decide what becomes of each operation."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

from quaestor_actors.core.store import NO_LEASE, Deleted, KeyValue, WatchBatch

NEVER_S = float("inf")


class SimStore:
    """Revisions, leases and history as etcd has them. What it did may be lost (`wipe`) or forgotten (`compact`)."""

    def __init__(self) -> None:
        self.now = 0.0
        self.revision, self.oldest = 1, 1
        self.entries: dict[str, KeyValue] = {}
        self.leases: dict[int, tuple[float, float]] = {}
        """How long they last, and until when."""
        self.history: list[WatchBatch] = []
        self.ended: set[int] = set()
        self._numbers = count(1001)

    def grant(self, ttl_s: float = NEVER_S) -> int:
        lease = next(self._numbers)
        self.leases[lease] = (ttl_s, self.now + ttl_s)
        return lease

    def keep_alive(self, lease: int) -> bool:
        if is_there := lease in self.leases:
            self.leases[lease] = (self.leases[lease][0], self.now + self.leases[lease][0])
        return is_there

    def revoke(self, *leases: int) -> None:
        self.ended |= {*leases}
        for lease in leases:
            if self.leases.pop(lease, None):
                self.delete(*self.under(lease))

    def put(self, *keys: str, lease: int = NO_LEASE) -> bool:
        """Write keys at one revision; False: the lease is no more."""
        if lease != NO_LEASE and lease not in self.leases:
            return False
        revision = self.revision + 1
        for key in keys:
            made = self.entries[key].create_revision if key in self.entries else revision
            entry = KeyValue(key=key, value="Worker", create_revision=made, mod_revision=revision, lease=lease)
            self.entries[key] = entry
        self._record([self.entries[key] for key in keys])
        return True

    def delete(self, *keys: str) -> None:
        gone = [key for key in keys if self.entries.pop(key, None)]
        self._record([Deleted(key=key, mod_revision=self.revision + 1) for key in gone])

    def wipe(self) -> None:
        """Lose everything; lease numbers alone are not used again."""
        self.revision, self.oldest = 1, 1
        self.entries, self.leases, self.history = {}, {}, []

    def compact(self) -> None:
        self.oldest = self.revision
        self.history = [batch for batch in self.history if batch.revision >= self.oldest]

    def expire(self) -> None:
        self.revoke(*[lease for lease, (_, ends_at) in self.leases.items() if ends_at <= self.now])

    def under(self, lease: int) -> set[str]:
        return {key for key, entry in self.entries.items() if entry.lease == lease}

    def _record(self, events: Iterable[KeyValue | Deleted]) -> None:
        if happened := tuple(events):
            self.revision += 1
            self.history.append(WatchBatch(revision=self.revision, events=happened))
