"""Who serves what where: announcements, changes, and what repeating them does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quaestor_actors.core import registry
from quaestor_actors.core.location import Location, Registration, join_address
from quaestor_actors.core.registry import Registry


def at(port: int, incarnation: int = 1) -> Registration:
    return Registration(
        location=Location(service_name="Worker", host_name="localhost", port=port), incarnation=incarnation
    )


def incarnations(state: Registry) -> dict[int, int]:
    return {location.port: entry.registration.incarnation for location, entry in state.entries.items()}


def test__announce__is_all_that_the_owner_has() -> None:
    state = registry.announce(Registry(), "a", [at(1), at(2)])
    state = registry.announce(state, "b", [at(3)])
    state = registry.announce(state, "a", [at(2, 5)])
    assert incarnations(state) == {2: 5, 3: 1}


def test__register__later_incarnation_replaces_and_earlier_does_not() -> None:
    state = registry.register(Registry(), "a", [at(1, 2)])
    assert incarnations(registry.register(state, "a", [at(1, 3)])) == {1: 3}
    assert incarnations(registry.register(state, "a", [at(1, 1)])) == {1: 2}


def test__deregister__of_what_was_replaced__changes_nothing() -> None:
    state = registry.register(Registry(), "a", [at(1, 2)])
    assert registry.deregister(state, "a", [at(1, 1)]) == state
    assert incarnations(registry.deregister(state, "a", [at(1, 2)])) == {}


def test__deregister__by_another_owner__changes_nothing() -> None:
    state = registry.register(Registry(), "a", [at(1)])
    assert registry.deregister(state, "b", [at(1)]) == state


def test__registry__is_complete_when_every_awaited_owner_announced() -> None:
    state = Registry(awaited=frozenset({"a", "b"}))
    state = registry.announce(state, "a", [])
    assert not state.complete
    assert registry.announce(state, "b", []).complete
    assert registry.give_up_waiting(state).complete


CHANGES = st.tuples(
    st.sampled_from([registry.announce, registry.register, registry.deregister]),
    st.sampled_from(["a", "b"]),
    st.lists(st.builds(at, st.integers(1, 4), st.integers(1, 3)), max_size=3, unique_by=lambda r: r.location),
)


@given(changes=st.lists(CHANGES, max_size=12))
def test__repeating_a_change__changes_nothing(changes: list[tuple[object, str, list[Registration]]]) -> None:
    state = Registry()
    for change, owner, registrations in changes:
        state = change(state, owner, registrations)  # type: ignore[operator]  # functions of one shape
        assert change(state, owner, registrations) == state  # type: ignore[operator]  # likewise


def test__address__of_ipv6__has_brackets() -> None:
    assert join_address("::1", 5161) == "[::1]:5161"
    assert join_address("localhost", 5161) == "localhost:5161"
