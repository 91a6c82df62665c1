"""Whether what was commanded on several hosts has come true, and who coordinates them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.listings import LIMITED, NOW, ON_HOSTS, SHOWN, host, member

from quaestor_actors.actors.view import CoordinationView, HostView, RegistryView, TreeView
from quaestor_actors.cli.render_hosts import coordinator_of
from quaestor_actors.cli.wishes import Goal, Standing, Wish, report, told_of, wishes
from quaestor_actors.cli.wishes_hosts import holders_on_hosts, outcomes_on_hosts

TRUE, OPEN = Standing.TRUE, Standing.OPEN


def tree(*incarnations: int, state: str = "serving") -> TreeView:
    members = [member(number, state, incarnation=each) for number, each in enumerate(incarnations, start=1)]
    return replace(SHOWN.tree, members=tuple(members))


BEFORE = tree(1, 1)
WISHED: tuple[Wish, ...] = tuple(
    wish for name in ("a1", "a2") for wish in wishes(BEFORE, ["Worker/1", "Worker/2"], Goal.RESTARTED, host=name)
)


def test__same_member_of_two_hosts__is_two_wishes() -> None:
    hosts = (host("a1", "here", tree=tree(2, 1)), host("a2", "joined", tree=tree(1, 2)), host("a3", "joined"))
    found = outcomes_on_hosts(hosts, WISHED)
    assert [(each.wish.who, each.standing) for each in found] == [
        ("Worker/1@a1", TRUE),
        ("Worker/2@a1", OPEN),
        ("Worker/1@a2", OPEN),
        ("Worker/2@a2", TRUE),
    ]
    assert [each.who for each in holders_on_hosts(hosts, found, NOW)] == ["Worker/2@a1", "Worker/1@a2"]


@pytest.mark.parametrize(
    ("state", "reason", "why"),
    [
        ("lost", "not heard any more", "a2 is lost: not heard any more"),
        ("joined", "does not answer within 1 s", "a2: does not answer within 1 s"),
    ],
)
def test__host_that_does_not_answer__is_waited_for_whatever_it_said_last(state: str, reason: str, why: str) -> None:
    hosts = (
        host("a1", "here", tree=tree(2, 1)),
        host("a2", state, tree=tree(2, 2), is_current=False, reason=reason),
    )
    found = outcomes_on_hosts(hosts, WISHED)
    assert [each.standing for each in found] == [TRUE, OPEN, OPEN, OPEN]
    assert report(found, "not done:").splitlines()[2:] == [f"  Worker/{number}@a2: unknown: {why}" for number in (1, 2)]
    told = holders_on_hosts(hosts, found, NOW)
    assert [each.who for each in told] == ["host a2", "Worker/2@a1"]
    assert told_of(told) == f"waiting for host a2 and 1 more: {state}: {reason}"


def test__next_step__names_the_host() -> None:
    busy = replace(
        BEFORE, members=(member(1, "drained", drained="drained by hand", awaits_idle=True),), agents=(LIMITED,)
    )
    hosts = (host("a1", "here", tree=busy),)
    wished = wishes(busy, ["Worker/1"], Goal.SERVING, host="a1")
    (told,) = holders_on_hosts(hosts, outcomes_on_hosts(hosts, wished), NOW)
    assert (told.who, told.next_step.rpartition(": ")[2]) == ("Worker/1@a1", "quaestor start Worker/1@a1")


IN_ETCD = RegistryView(
    store="etcd at 10.0.0.7:2379", state="following", since=NOW, reason="", locations=0, registered=0
)


def coordinated(name: str, coordinator: str, trouble: str = "") -> HostView:
    view = CoordinationView(host=name, coordinator=coordinator, hosts=(), places=(), since=NOW, trouble=trouble)
    return host(name, "joined", tree=replace(SHOWN.tree, registry=IN_ETCD, coordination=view))


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ((coordinated("a1", "a3"), coordinated("a2", "a2")), "a2"),
        ((coordinated("a1", "a3"), coordinated("a2", "a2", trouble="no connection")), "a3"),
        ((coordinated("a1", ""), coordinated("a2", "")), None),
        ((replace(coordinated("a1", "a1"), is_current=False), coordinated("a2", "a2")), "a2"),
    ],
)
def test__coordinator__is_what_a_host_that_can_use_the_store_says(
    hosts: tuple[HostView, ...], expected: str | None
) -> None:
    assert coordinator_of(replace(ON_HOSTS, hosts=hosts)) == expected


def test__coordinator_without_store__is_the_first_host() -> None:
    in_memory = replace(IN_ETCD, store="memory")
    assert coordinator_of(replace(ON_HOSTS, tree=replace(SHOWN.tree, registry=in_memory))) == "a1"
    assert coordinator_of(replace(ON_HOSTS, tree=replace(SHOWN.tree, registry=IN_ETCD))) is None
