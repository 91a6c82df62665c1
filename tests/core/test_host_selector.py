"""How operators name members of several hosts."""

from __future__ import annotations

import pytest

from quaestor_actors.core.host_selector import ChosenOnHosts, HostMembers, choose, split

WORKERS = ("Worker/1", "Worker/2")
ALL_THERE = {
    "a1": HostMembers(members=WORKERS, is_reachable=True),
    "A2": HostMembers(members=(*WORKERS, "Report/1"), is_reachable=True),
}
ONE_LOST = {**ALL_THERE, "a3": HostMembers(members=("Worker/1", "Other/1"), is_reachable=False)}
ONE_AWAITED = {**ALL_THERE, "a3": HostMembers(members=None, is_reachable=False)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Worker/2", ("Worker/2", None)),
        ("Worker/2@a1", ("Worker/2", "a1")),
        ("Worker@a2", ("Worker", "A2")),
        ("Worker/*@*", ("Worker/*", None)),
        ("Worker@b9", ("Worker", "b9")),
    ],
)
def test__split(text: str, expected: tuple[str, str | None]) -> None:
    assert split(text, ALL_THERE) == expected


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        (["Worker/2"], {"a1": ("Worker/2",), "A2": ("Worker/2",)}),
        (["Worker/2@*"], {"a1": ("Worker/2",), "A2": ("Worker/2",)}),
        (["Worker@a1"], {"a1": WORKERS}),
        (["Worker/*@a2", "Worker/1@a2"], {"A2": WORKERS}),
        (["Report", "Worker/1@a1"], {"a1": ("Worker/1",), "A2": ("Report/1",)}),
    ],
)
def test__named__are_chosen_by_host(selectors: list[str], expected: dict[str, tuple[str, ...]]) -> None:
    assert choose(selectors, ALL_THERE) == ChosenOnHosts(members=expected, unknown=(), out_of_reach=(), left_out=())


@pytest.mark.parametrize("text", ["Nobody", "Worker/9", "Worker/1@b9", "Report/1@a1", "@a1", ""])
def test__nobody__is_unknown(text: str) -> None:
    assert choose([text], ALL_THERE).unknown == (text,)


def test__only_on_a_lost_host__is_out_of_reach() -> None:
    assert choose(["Worker/1@a3"], ONE_LOST).out_of_reach == (("Worker/1@a3", "a3"),)
    assert choose(["Other"], ONE_LOST).out_of_reach == (("Other", "a3"),)


def test__not_on_a_lost_host__is_unknown() -> None:
    assert choose(["Worker/2@a3"], ONE_LOST).unknown == ("Worker/2@a3",)


def test__also_on_a_lost_host__is_left_out_there() -> None:
    chosen = choose(["Worker/1", "Report"], ONE_LOST)
    assert chosen.left_out == ("a3",)
    assert chosen.members == {"a1": ("Worker/1",), "A2": ("Worker/1", "Report/1")}
    assert choose(["Report"], ONE_LOST).left_out == ()


def test__host_that_was_never_heard__may_have_it() -> None:
    assert choose(["Report"], ONE_AWAITED).left_out == ("a3",)
    assert choose(["Other@a3"], ONE_AWAITED).out_of_reach == (("Other@a3", "a3"),)
    assert choose(["Other"], ONE_AWAITED).unknown == ("Other",)
