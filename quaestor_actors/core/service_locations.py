"""All that the balancer knows about the locations of one service: never changed, and cheap to copy with a change."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from quaestor_actors.core.live_entry import Entry
from quaestor_actors.core.location import Location
from quaestor_actors.core.standing_order import OrderMemory

_SHARDS = 32
"""With a thousand locations, a copy of one shard and of their list costs a tenth of a copy of one large dict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLocations:
    """The entries of one scope and service, in no particular order. Treat the shards as read-only.

    What is made of it by a change shares all the shards in which nothing has changed.
    """

    shards: tuple[Mapping[Location, Entry], ...] = ({},) * _SHARDS
    """Each location is in the one that its hash tells."""
    memory: OrderMemory = field(default=OrderMemory(), compare=False)

    def __iter__(self) -> Iterator[Location]:
        return chain.from_iterable(self.shards)

    def __getitem__(self, location: Location) -> Entry:
        return self.shards[hash(location) % _SHARDS][location]

    def get(self, location: Location) -> Entry | None:
        """Return the entry of the location, or None."""
        return self.shards[hash(location) % _SHARDS].get(location)

    def entries(self) -> Iterator[Entry]:
        """Yield every entry."""
        return chain.from_iterable(shard.values() for shard in self.shards)

    def with_entries(
        self, entries: Iterable[Entry], *, reranked: Collection[Location], memory: OrderMemory | None = None
    ) -> ServiceLocations:
        """Return the same locations with these entries instead of their own.

        Args:
            entries: The new ones.
            reranked: Locations that a ranking may judge otherwise than before.
            memory: What to remember instead of the present memory.
        """
        changed: dict[int, dict[Location, Entry]] = {}
        for entry in entries:
            location = entry.registration.location
            _writable(changed, self.shards, location)[location] = entry
        return ServiceLocations(shards=_with(self.shards, changed), memory=(memory or self.memory).outdating(reranked))

    def without(self, locations: Collection[Location]) -> ServiceLocations:
        """Return the others; all of these locations must be there."""
        changed: dict[int, dict[Location, Entry]] = {}
        for location in locations:
            del _writable(changed, self.shards, location)[location]
        return ServiceLocations(shards=_with(self.shards, changed), memory=self.memory.outdating(locations))

    def relisted(self, entries: Mapping[Location, Entry]) -> ServiceLocations:
        """Return exactly these entries."""
        changed = [each for each in {*self, *entries} if self.get(each) is not entries.get(each)]
        if not changed:
            return self
        shards: list[dict[Location, Entry]] = [{} for _ in range(_SHARDS)]
        for location, entry in entries.items():
            shards[hash(location) % _SHARDS][location] = entry
        return ServiceLocations(shards=tuple(shards), memory=self.memory.outdating(changed))


_Shards = tuple[Mapping[Location, Entry], ...]


def _writable(changed: dict[int, dict[Location, Entry]], shards: _Shards, location: Location) -> dict[Location, Entry]:
    index = hash(location) % _SHARDS
    if index not in changed:
        changed[index] = dict(shards[index])
    return changed[index]


def _with(shards: _Shards, changed: Mapping[int, Mapping[Location, Entry]]) -> _Shards:
    result = list(shards)
    for index, shard in changed.items():
        result[index] = shard
    return tuple(result)
