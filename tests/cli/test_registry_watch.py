"""Following a store that misbehaves in ways that a real one cannot be made to, at the right moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from quaestor_actors.cli.registry_entries import Change
from quaestor_actors.cli.registry_rendering import location_text
from quaestor_actors.cli.registry_store import read_snapshot
from quaestor_actors.cli.registry_watch import StoreWatch
from quaestor_actors.core.store import (
    CompactedError,
    Deleted,
    KeyValue,
    Listing,
    Store,
    StoreDeniedError,
    StoreError,
    StoreUnavailableError,
    WatchBatch,
)

Part = WatchBatch | StoreError


def stored(host: str, revision: int) -> KeyValue:
    key = f"services//Worker/{host}/5161/http"
    return KeyValue(key=key, value="Worker", create_revision=revision, mod_revision=revision)


@dataclass
class ScriptedStore:
    """Answers each listing of locations and each watch with the next one of its script."""

    listings: Iterator[Listing]
    watches: Iterator[Sequence[Part]]
    from_revisions: list[int] = field(default_factory=list)
    address: str = "10.0.0.7:2379"

    async def range(self, prefix: str) -> Listing:
        return next(self.listings) if prefix == "services/" else Listing(revision=1, entries=())

    async def watch(self, _prefix: str, *, from_revision: int) -> AsyncGenerator[WatchBatch, None]:
        self.from_revisions.append(from_revision)
        for part in next(self.watches):
            if isinstance(part, StoreError):
                raise part
            yield part


def follow(store: ScriptedStore) -> list[str]:
    """Return what is shown and said until the store refuses, which ends each script."""
    told: list[str] = []

    def show(changes: Sequence[Change]) -> None:
        told.extend(f"{change.kind} {location_text(change.entry.location)}" for change in changes)

    async def run() -> None:
        as_store: Store = store  # type: ignore[assignment]  # only what a watch uses
        await StoreWatch(as_store, show=show, say=told.append).run(await read_snapshot(as_store))

    with pytest.raises(StoreDeniedError):
        asyncio.run(run())
    return told


REFUSAL = StoreDeniedError("no")


def test__watch__goes_on_after_the_listing_and_shows_each_change_once() -> None:
    store = ScriptedStore(
        listings=iter([Listing(revision=7, entries=(stored("a", 3),))]),
        watches=iter(
            [
                (
                    WatchBatch(revision=7),
                    WatchBatch(revision=8, events=(stored("b", 8),)),
                    WatchBatch(revision=9, events=(stored("b", 9),)),
                    WatchBatch(revision=11, events=(Deleted(key=stored("a", 3).key, mod_revision=10), stored("a", 11))),
                    WatchBatch(revision=12, events=(Deleted(key="services/other", mod_revision=12),)),
                    REFUSAL,
                )
            ]
        ),
    )
    assert follow(store) == [
        "added Worker at a:5161",
        "added Worker at b:5161",
        "removed Worker at a:5161",
        "added Worker at a:5161",
    ]
    assert store.from_revisions == [8]


def test__outage__is_said_once_and_what_changed_meanwhile_is_shown() -> None:
    store = ScriptedStore(
        listings=iter(
            [Listing(revision=7, entries=(stored("a", 3),)), Listing(revision=9, entries=(stored("b", 9),))] * 2
        ),
        watches=iter(
            [
                (WatchBatch(revision=7), StoreUnavailableError("no connection to 10.0.0.7:2379")),
                (StoreUnavailableError("no answer from 10.0.0.7:2379"),),
                (WatchBatch(revision=7), REFUSAL),
            ]
        ),
    )
    assert follow(store) == [
        "added Worker at a:5161",
        "no connection to 10.0.0.7:2379; waiting until it answers again",
        "etcd at 10.0.0.7:2379 answers again",
    ]
    assert store.from_revisions == [8, 10, 8]


def test__compaction__lists_again() -> None:
    store = ScriptedStore(
        listings=iter(
            [Listing(revision=7, entries=(stored("a", 3),)), Listing(revision=90, entries=(stored("b", 80),))]
        ),
        watches=iter([(CompactedError("compacted"),), (WatchBatch(revision=90), REFUSAL)]),
    )
    assert follow(store) == ["added Worker at b:5161"]
    assert store.from_revisions == [8, 91]


def test__lost_data__lists_again_and_says_so() -> None:
    store = ScriptedStore(
        listings=iter(
            [
                Listing(revision=7, entries=(stored("a", 3),)),
                Listing(revision=7, entries=(stored("a", 3),)),
                Listing(revision=2, entries=(stored("b", 2),)),
            ]
        ),
        watches=iter(
            [
                (WatchBatch(revision=7), StoreUnavailableError("gone")),
                (WatchBatch(revision=1),),
                (WatchBatch(revision=2), REFUSAL),
            ]
        ),
    )
    assert follow(store) == [
        "added Worker at a:5161",
        "gone; waiting until it answers again",
        "etcd at 10.0.0.7:2379 has lost data; listing what it has",
        "etcd at 10.0.0.7:2379 answers again",
        "removed Worker at a:5161",
        "added Worker at b:5161",
    ]
