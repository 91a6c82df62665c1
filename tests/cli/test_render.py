"""What people and machines read of a cluster."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from quaestor_actors.actors.view import ActorView, AgentView, MemberView, RegistryView, TreeView
from quaestor_actors.cli.render import Shown, age, status_text, tree_json, tree_text

NOW = 1_000_000.0


def member(number: int, state: str = "serving", **changes: object) -> MemberView:
    values: dict[str, object] = {
        "member": f"Worker/{number}",
        "state": state,
        "reason": "cluster start",
        "since": NOW - 9,
        "pid": 4120 + number,
        "host": "localhost",
        "port": 5160 + number,
        "restarts": 0,
        "incarnation": 1,
    }
    return MemberView(**{**values, **changes})  # type: ignore[arg-type]  # the fields' types are mixed


def actor(name: str, parent: str | None, **changes: object) -> ActorView:
    values: dict[str, object] = {
        "name": name,
        "parent": parent,
        "state": "running",
        "reason": "",
        "since": NOW - 3700,
        "pid": 100,
        "restarts": 0,
    }
    return ActorView(**{**values, **changes})  # type: ignore[arg-type]  # the fields' types are mixed


SHOWN = Shown(
    tree=TreeView(
        cluster="demo",
        agents=(AgentView(agent="Worker", phase="running", reason="", waits_for=()),),
        actors=(
            actor("root", None),
            actor("registry", "root"),
            actor("agent/Worker", "root", restarts=2),
            actor("agent/Worker/prober", "agent/Worker", state="backing_off", pid=None),
        ),
        members=(
            member(10),
            member(2, "backing_off", pid=None, port=None, restarts=4, reason="exited with code 1"),
        ),
        balancer_address="127.0.0.1:5150",
    ),
    launcher_pid=99,
    now=NOW,
)


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0s"), (9, "9s"), (192, "3m12s"), (11520, "3h12m"), (187200, "2d4h"), (61, "1m01s")]
)
def test__age__as_people_say_it(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test__status__as_text() -> None:
    assert status_text(SHOWN) == (
        "cluster demo: 1/2 members serving, balancer on 127.0.0.1:5150\n"
        "\n"
        "MEMBER     STATE        SINCE  PID   PORT  RESTARTS  WHY\n"
        "Worker/2   backing off  9s     -     -     4         exited with code 1\n"
        "Worker/10  serving      9s     4130  5170  0         cluster start"
    )


def test__status__without_members_and_launcher() -> None:
    empty = Shown(
        tree=TreeView(cluster="demo", actors=(), agents=(), members=(), balancer_address=None),
        launcher_pid=None,
        now=NOW,
    )
    assert status_text(empty) == (
        "cluster demo: 0/0 members serving\n"
        "its launcher was killed; everything runs on, and `quaestor cluster` takes over"
    )


def with_registry(state: str, reason: str = "", *, store: str = "etcd at 10.0.0.7:2379") -> Shown:
    view = RegistryView(store=store, state=state, since=NOW - 12, reason=reason, locations=4, registered=2)
    return replace(SHOWN, tree=replace(SHOWN.tree, registry=view))


SUMMARY = "cluster demo: 1/2 members serving, balancer on 127.0.0.1:5150"


@pytest.mark.parametrize(
    ("state", "reason", "line"),
    [
        (
            "degraded",
            "no answer from 10.0.0.7:2379 within 2 s",
            "degraded for 12s: no answer from 10.0.0.7:2379 within 2 s; balancers answer from what they knew last",
        ),
        (
            "fallback",
            "no connection",
            "fallback for 12s: no connection; balancing what runs here and the Worker agents of the configuration",
        ),
        ("connecting", "", "connecting for 12s"),
        ("connecting", "no connection", "connecting for 12s: no connection"),
    ],
)
def test__status__says_when_the_registry_is_without_its_store(state: str, reason: str, line: str) -> None:
    first, second, *_ = status_text(with_registry(state, reason)).splitlines()
    assert first == SUMMARY
    assert second == f"registry: etcd at 10.0.0.7:2379: {line}"


def test__status__a_registry_that_follows_its_store_is_in_the_summary() -> None:
    first, second, *_ = status_text(with_registry("following")).splitlines()
    assert first == f"{SUMMARY}, registry in etcd"
    assert second == ""


def test__status__a_registry_in_memory_is_not_mentioned() -> None:
    assert status_text(with_registry("following", store="memory")) == status_text(SHOWN)


def test__json__has_the_registry() -> None:
    assert json.loads(tree_json(SHOWN))["registry"] is None
    assert json.loads(tree_json(with_registry("degraded", "no answer")))["registry"] == {
        "store": "etcd at 10.0.0.7:2379",
        "state": "degraded",
        "reason": "no answer",
        "locations": 4,
        "registered": 2,
        "since": "1970-01-12T13:46:28.000+00:00",
        "for_s": 12.0,
    }


def test__tree__as_text() -> None:
    assert tree_text(SHOWN) == (
        "launcher  pid 99\n"
        "└─ root  running 1h01m, pid 100\n"
        "   ├─ registry  running 1h01m, pid 100\n"
        "   └─ agent/Worker  running 1h01m, pid 100, 2 restarts\n"
        "      ├─ agent/Worker/prober  backing off 1h01m\n"
        "      ├─ Worker/2  backing off 9s (process)\n"
        "      └─ Worker/10  serving 9s, pid 4130, port 5170 (process)"
    )


def test__json__has_a_version_and_stable_fields() -> None:
    document = json.loads(tree_json(SHOWN))
    assert set(document) == {
        "version",
        "cluster",
        "launcher_pid",
        "balancer_address",
        "registry",
        "agents",
        "members",
        "actors",
    }
    assert document["version"] == 1
    assert document["members"][1] == {
        "member": "Worker/10",
        "state": "serving",
        "reason": "cluster start",
        "pid": 4130,
        "host": "localhost",
        "port": 5170,
        "restarts": 0,
        "incarnation": 1,
        "since": "1970-01-12T13:46:31.000+00:00",
        "for_s": 9.0,
    }
    assert set(document["actors"][0]) == {"name", "parent", "state", "reason", "pid", "restarts", "since", "for_s"}
