"""Which hosts are there, as one of them knows it."""

from __future__ import annotations

from quaestor_actors.core import membership
from quaestor_actors.core.membership import FAREWELL, HOST, ROOT, Host, HostState, Membership

A2 = "10.0.0.2:7071"
SAYS = {HOST: "a2", ROOT: "root of a2"}


def three() -> Membership:
    found = {"a1": "10.0.0.1:7071", "a2": A2, "a3": "10.0.0.3:7071"}
    return membership.create(found, own="a1", now=5.0)


def told(host: Host | None) -> tuple[str, HostState, float, str] | None:
    return None if host is None else (host.name, host.state, host.since, host.reason)


def test__begin__nobody_else_was_heard() -> None:
    hosts = three().hosts.values()
    assert [(host.name, host.state) for host in hosts] == [
        ("a1", HostState.HERE),
        ("a2", HostState.AWAITED),
        ("a3", HostState.AWAITED),
    ]
    assert three().reachable() == {}


def test__heard__has_joined_and_can_be_asked() -> None:
    after, news = membership.heard(three(), A2, SAYS, 6.0)
    assert told(news) == ("a2", HostState.JOINED, 6.0, "")
    assert after.reachable() == {"a2": "root of a2"}


def test__heard_again__is_no_news_and_another_root_is_taken() -> None:
    before, _ = membership.heard(three(), A2, {HOST: "a2"}, 6.0)
    assert before.reachable() == {}
    after, news = membership.heard(before, A2, SAYS, 9.0)
    assert news is None
    assert after.hosts["a2"].since == 6.0
    assert after.reachable() == {"a2": "root of a2"}
    after, _ = membership.heard(after, A2, {**SAYS, ROOT: "the next root of a2"}, 9.5)
    assert after.reachable() == {"a2": "the next root of a2"}


def test__lost__cannot_be_asked_any_more() -> None:
    before, _ = membership.heard(three(), A2, SAYS, 6.0)
    after, news = membership.lost(before, A2, SAYS, 8.0)
    assert told(news) == ("a2", HostState.LOST, 8.0, "not heard any more")
    assert after.reachable() == {}
    assert membership.lost(after, A2, SAYS, 9.0) == (after, None)
    back, news = membership.heard(after, A2, SAYS, 10.0)
    assert told(news) == ("a2", HostState.JOINED, 10.0, "")
    assert back.reachable() == {"a2": "root of a2"}


def test__left_in_order__is_told() -> None:
    before, _ = membership.heard(three(), A2, SAYS, 6.0)
    _, news = membership.lost(before, A2, {**SAYS, FAREWELL: True}, 8.0)
    assert told(news) == ("a2", HostState.LOST, 8.0, "it has left")


def test__another_name__is_told_with_the_cause() -> None:
    _, news = membership.heard(three(), A2, {HOST: "b7"}, 6.0)
    assert news is not None
    assert news.reason == "it says that it is b7: the configurations of the hosts differ"


def test__strangers_and_ourselves__are_no_news() -> None:
    for administrator in ("10.0.0.9:7071", "10.0.0.1:7071"):
        assert membership.heard(three(), administrator, SAYS, 6.0) == (three(), None)
        assert membership.lost(three(), administrator, SAYS, 6.0) == (three(), None)
