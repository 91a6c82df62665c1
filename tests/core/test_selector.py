"""How operators name members."""

from __future__ import annotations

import pytest

from quaestor_actors.core import selector
from quaestor_actors.core.selector import Chosen

MEMBERS = ("Worker/1", "Worker/2", "Worker/10", "Store/1")
WORKERS = MEMBERS[:3]


@pytest.mark.parametrize(
    ("selectors", "members"),
    [
        (["Worker/2"], ("Worker/2",)),
        (["Worker/1"], ("Worker/1",)),
        (["Worker"], WORKERS),
        (["Worker/*"], WORKERS),
        (["Store/1", "Worker/2"], ("Store/1", "Worker/2")),
        (["Worker/2", "Worker", "Worker/2"], ("Worker/2", "Worker/1", "Worker/10")),
        ([], ()),
    ],
)
def test__choose__known_names__each_member_once_in_order(selectors: list[str], members: tuple[str, ...]) -> None:
    assert selector.choose(selectors, MEMBERS) == Chosen(members=members, unknown=())


@pytest.mark.parametrize("stranger", ["worker", "Worker/3", "Work", "Worker/", "Worker/1/*", "*", "", "/", "/*"])
def test__choose__names_nobody__is_told_apart(stranger: str) -> None:
    assert selector.choose(["Store", stranger], MEMBERS) == Chosen(members=("Store/1",), unknown=(stranger,))


def test__choose__no_members__everything_is_unknown() -> None:
    assert selector.choose(["Worker", "Worker/1"], []) == Chosen(members=(), unknown=("Worker", "Worker/1"))
