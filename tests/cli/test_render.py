"""What people and machines read of a cluster."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from support.listings import NOW, SHOWN, TROUBLED

from quaestor_actors.actors.view import AgentView, RegistryView, TreeView
from quaestor_actors.cli.forms import Form, rendered
from quaestor_actors.cli.render import Shown, age, agent_lines, status_listing
from quaestor_actors.cli.render_tree import tree_listing


def status_text(shown: Shown) -> str:
    return rendered(status_listing(shown), Form.TABLE)


def status_document(shown: Shown) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(rendered(status_listing(shown), Form.JSON))
    return document


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0s"), (9, "9s"), (192, "3m12s"), (11520, "3h12m"), (187200, "2d4h"), (61, "1m01s")]
)
def test__age__as_people_say_it(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test__status__as_text() -> None:
    assert status_text(SHOWN) == (
        "cluster demo: 1/2 members serving, 1 backing off, balancer on 127.0.0.1:5150\n"
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


SUMMARY = "cluster demo: 1/2 members serving, 1 backing off, balancer on 127.0.0.1:5150"


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
    assert status_document(SHOWN)["registry"] is None
    assert status_document(with_registry("degraded", "no answer"))["registry"] == {
        "store": "etcd at 10.0.0.7:2379",
        "state": "degraded",
        "reason": "no answer",
        "locations": 4,
        "registered": 2,
        "since": "1970-01-12T13:46:28.000+00:00",
        "for_s": 12.0,
    }


def test__status__counts_every_state_in_the_summary() -> None:
    first, second, *_ = status_text(TROUBLED).splitlines()
    assert first == (
        "cluster demo: 1/5 members serving, 1 backing off, 1 failed, 1 starting, 1 stopped, balancer on 127.0.0.1:5150"
    )
    assert second.startswith("its launcher was killed")


def test__tree__of_a_killed_launcher() -> None:
    assert rendered(tree_listing(TROUBLED), Form.TABLE).startswith("launcher  was killed\n└─ root")


def test__tree__as_text() -> None:
    assert rendered(tree_listing(SHOWN), Form.TABLE) == (
        "launcher  pid 99\n"
        "└─ root  running 1h01m, pid 100\n"
        "   ├─ registry  running 1h01m, pid 100\n"
        "   └─ agent/Worker  running 1h01m, pid 100, 2 restarts\n"
        "      ├─ agent/Worker/prober  backing off 1h01m\n"
        "      ├─ Worker/2  backing off 9s (process)\n"
        "      └─ Worker/10  serving 9s, pid 4130, port 5170 (process)"
    )


def test__json__has_a_version_and_stable_fields() -> None:
    document = status_document(SHOWN)
    assert set(document) == {
        "schemaVersion",
        "cluster",
        "launcher_pid",
        "balancer_address",
        "registry",
        "agents",
        "members",
        "actors",
    }
    assert document["schemaVersion"] == 1
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
        "failures": 0,
        "failed_starts": 0,
        "failed_checks": 0,
        "check": "",
        "deadline": None,
        "recycle_at": None,
        "due": None,
        "drained": None,
        "awaits_idle": False,
    }
    assert set(document["actors"][0]) == {"name", "parent", "state", "reason", "pid", "restarts", "since", "for_s"}


def test__agent_with_members_that_are_still_to_be_replaced__is_a_line() -> None:
    agent = AgentView(agent="Worker", phase="running", reason="", waits_for=(), to_replace=("Worker/2", "Worker/3"))
    assert agent_lines([agent]) == ["agent Worker: still to be replaced: Worker/2, Worker/3"]
