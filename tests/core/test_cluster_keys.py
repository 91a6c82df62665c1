"""Keys of a cluster in the store, and what they say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.profiles import examples

from quaestor_actors.core import cluster_keys as keys
from quaestor_actors.core.placement import Slot

names = st.text(min_size=1, max_size=8) | st.text("/%2F5ab", min_size=1, max_size=6)
slots = st.builds(Slot, names, st.integers(1, 999_999_999))
READERS = (keys.host_of, keys.slot_of, keys.claimed_by)


def test__keys__are_as_documented() -> None:
    slot = Slot("Worker", 2)
    assert keys.host_key("demo", "a1") == "quaestor/clusters/demo/hosts/a1"
    assert keys.coordinator_key("demo") == "quaestor/clusters/demo/coordinator"
    assert keys.slot_key("demo", slot) == "quaestor/clusters/demo/slots/Worker/2"
    assert keys.claim_key("demo", slot) == "quaestor/clusters/demo/claims/Worker/2"


def test__slash_in_a_name__breaks_no_key() -> None:
    key = keys.claim_key("x/y", Slot("a/b", 1))
    assert key == "quaestor/clusters/x%2Fy/claims/a%2Fb/1"
    assert keys.claimed_by("x/y", key) == Slot("a/b", 1)


@settings(max_examples=examples(40))
@given(names, names, slots)
def test__any_names__come_back(cluster: str, host: str, slot: Slot) -> None:
    found = {
        keys.host_key(cluster, host): (host, None, None),
        keys.slot_key(cluster, slot): (None, slot, None),
        keys.claim_key(cluster, slot): (None, None, slot),
        keys.coordinator_key(cluster): (None, None, None),
    }
    assert len(found) == 4
    for key, expected in found.items():
        assert key.startswith(keys.prefix_of(cluster))
        assert tuple(read(cluster, key) for read in READERS) == expected


@settings(max_examples=examples(40))
@given(names, names, names, slots)
def test__key_of_another_cluster__says_nothing(cluster: str, other: str, host: str, slot: Slot) -> None:
    if cluster != other:
        for key in (keys.host_key(other, host), keys.slot_key(other, slot), keys.claim_key(other, slot)):
            assert not key.startswith(keys.prefix_of(cluster))
            assert [read(cluster, key) for read in READERS] == [None, None, None]


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "hosts",
        "hosts/",
        "hosts/a/b",
        "hosts/a%2f",
        "hosts/a%",
        "slots/Worker",
        "slots/Worker/",
        "slots/Worker/0",
        "slots/Worker/01",
        "slots/Worker/-1",
        "slots/Worker/+1",
        "slots/Worker/1 ",
        "slots/Worker/1\n",
        "slots/Worker/\u0661",
        "slots/Worker/1234567890",
        "slots/Worker/1/1",
        "slots//1",
        "slots/a%b/1",
        "claims//1",
        "claims/a%41/1",
        "claims/Worker/x",
        "Claims/Worker/1",
    ],
)
def test__garbage__says_nothing(rest: str) -> None:
    key = keys.prefix_of("demo") + rest
    assert [read("demo", key) for read in READERS] == [None, None, None]


@settings(max_examples=examples(40))
@given(st.text("hostsclaim/%2F5a10", max_size=20))
def test__whatever_says_something__is_the_key_of_that(rest: str) -> None:
    key = keys.prefix_of("demo") + rest
    if (host := keys.host_of("demo", key)) is not None:
        assert key == keys.host_key("demo", host)
    if (slot := keys.slot_of("demo", key)) is not None:
        assert key == keys.slot_key("demo", slot)
    if (slot := keys.claimed_by("demo", key)) is not None:
        assert key == keys.claim_key("demo", slot)
