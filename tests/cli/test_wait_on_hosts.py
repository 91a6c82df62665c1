"""Who is waited for on several hosts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.listings import SHOWN, host, member

from quaestor_actors.actors.view import TreeView
from quaestor_actors.cli.wait_rendering import Goal, missing_on_hosts


def tree(*states: str) -> TreeView:
    return replace(SHOWN.tree, members=tuple(member(number, state) for number, state in enumerate(states, start=1)))


HOSTS = (
    host("a1", "here", tree=tree("serving", "starting")),
    host("a2", "joined", tree=tree("serving")),
    host("a3", "lost", tree=tree("serving"), is_current=False, reason="not heard any more"),
)


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        ([], ["Worker/2@a1", "host a3"]),
        (["Worker"], ["Worker/2@a1", "host a3"]),
        (["Worker/2"], ["Worker/2@a1"]),
        (["Worker@a2"], []),
        (["Worker/1@a3"], ["host a3"]),
        (["Worker/1@*"], ["host a3"]),
        (["Worker/1", "Worker/1@a1", "Worker/2@a1"], ["Worker/2@a1", "host a3"]),
    ],
)
def test__those_that_do_not_serve_or_do_not_answer__hold_it_up(selectors: list[str], expected: list[str]) -> None:
    look = missing_on_hosts(HOSTS, selectors, Goal.SERVING)
    assert [each.who for each in look.holding] == expected
    assert look.unknown == ()


@pytest.mark.parametrize("text", ["Worker/9", "Worker/2@a2", "Worker/1@b7", "Worker/2@a3"])
def test__nobody__is_unknown(text: str) -> None:
    assert missing_on_hosts(HOSTS, [text], Goal.SERVING).unknown == (text,)
    assert missing_on_hosts(HOSTS, ["Worker/1@a1", text], Goal.SERVING).unknown == (text,)


def test__host_that_was_never_heard__may_have_anybody() -> None:
    hosts = (*HOSTS[:2], host("a3", "awaited", tree=None, tree_at=None, is_current=False, reason="not heard yet"))
    look = missing_on_hosts(hosts, ["Worker/9"], Goal.SERVING)
    assert [each.who for each in look.holding] == ["host a3"]
