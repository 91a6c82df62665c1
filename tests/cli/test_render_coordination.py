"""What status says of hosts that agree through a store."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
from support.cluster import ROOT
from support.listings import NOW, ON_HOSTS, SHOWN, host

from quaestor_actors.actors.view import CoordinationView, PlaceView
from quaestor_actors.cli.forms import Form, rendered
from quaestor_actors.cli.hosts_rendering import hosts_listing
from quaestor_actors.cli.render import Shown, status_listing
from quaestor_actors.cli.render_hosts import status_of_hosts

VIEW = CoordinationView(
    host="a1",
    coordinator="a2",
    hosts=("a1", "a2"),
    places=(
        PlaceView(member="Cron/1", host="a1", claimed_by="a1"),
        PlaceView(member="Cron/2", host="a2", claimed_by=""),
    ),
    since=NOW,
    trouble="no connection to 10.0.0.7:2379",
)


def status(view: CoordinationView | None, form: Form) -> str:
    shown = replace(SHOWN, tree=replace(SHOWN.tree, coordination=view))
    return rendered(status_listing(shown), form, width=160)


def test__one_machine__has_nothing_of_it() -> None:
    assert "coordination" not in json.loads(status(None, Form.JSON))


def test__document__is_as_its_schema_says() -> None:
    document = json.loads(status(VIEW, Form.JSON))
    schema: dict[str, Any] = json.loads((ROOT / "docs" / "schemas" / "status.json").read_text())
    schema["properties"]["coordination"]["additionalProperties"] = False
    jsonschema.validate(document, schema)
    assert document["coordination"]["coordinator"] == "a2"
    assert document["coordination"]["places"][0] == {"member": "Cron/1", "host": "a1", "claimed_by": "a1"}


def test__trouble_and_members_that_run_nowhere__are_said() -> None:
    head = status(VIEW, Form.TABLE)
    assert "hosts: no connection to 10.0.0.7:2379; what floats here is ended when this host's lease is over" in head
    assert "Cron/2 is to run on a2, which has not claimed it yet" in head
    assert "Cron/1 is to run" not in head


def two_hosts() -> Shown:
    """Return two hosts, of which the one that is asked cannot use the store."""
    cut_off = replace(VIEW, host="a2", coordinator="a3", places=())
    able = replace(VIEW, trouble="")
    hosts = (
        host("a1", "joined", tree=replace(SHOWN.tree, coordination=able)),
        host("a2", "here", tree=replace(SHOWN.tree, coordination=cut_off)),
    )
    return replace(ON_HOSTS, hosts=hosts)


def test__several_hosts__are_told_of_by_one_that_can_use_the_store() -> None:
    head = rendered(status_of_hosts(two_hosts()), Form.TABLE, width=200)
    assert "2/2 hosts answer, a2 coordinates" in head
    assert "a2: hosts: no connection to 10.0.0.7:2379; what floats here is ended when" in head
    assert head.count("Cron/2 is to run on a2, which has not claimed it yet") == 1
    document = json.loads(rendered(status_of_hosts(two_hosts()), Form.JSON))
    jsonschema.validate(document, json.loads((ROOT / "docs" / "schemas" / "status.json").read_text()))
    assert (document["coordinator"], document["coordination"]["host"]) == ("a2", "a1")


def test__hosts__say_who_of_them_coordinates() -> None:
    document = json.loads(rendered(hosts_listing(two_hosts()), Form.JSON))
    assert document["coordinator"] == "a2"
    assert [each["coordinates"] for each in document["hosts"]] == [False, True]
