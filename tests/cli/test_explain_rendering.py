"""A member or an agent on one screen, against files in tests/cli/golden and the published schema."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support.cluster import ROOT
from support.golden import expect_golden
from support.listings import EVENTS, EXPLAINED, NOW, ON_HOSTS, member

from quaestor_actors.cli.explain_rendering import Explained, explain_listing, what_next
from quaestor_actors.cli.forms import Form, rendered

GOLDEN = Path(__file__).with_name("golden")
AGENT = replace(EXPLAINED, member=None, output=(), output_path=None, events=tuple(reversed(EVENTS)))
ELSEWHERE = replace(EXPLAINED, host=ON_HOSTS.hosts[2])
BOTH = {"explain": EXPLAINED, "explain-agent": AGENT, "explain-elsewhere": ELSEWHERE}


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("width", [60, 100, 160])
def test__screen__at_a_width(name: str, width: int) -> None:
    text = rendered(explain_listing(BOTH[name], width=width, zone=UTC), Form.TABLE, width=width)
    assert max(map(len, text.splitlines())) <= width
    expect_golden(GOLDEN / f"{name}-{width}.txt", text)


@pytest.mark.parametrize("name", BOTH)
def test__wide__cuts_nothing(name: str) -> None:
    text = rendered(explain_listing(BOTH[name], is_wide=True, zone=UTC), Form.WIDE)
    expect_golden(GOLDEN / f"{name}-wide.txt", text)


def test__colours__in_a_terminal() -> None:
    text = rendered(explain_listing(EXPLAINED, width=100, zone=UTC), Form.TABLE, width=100, has_colours=True)
    expect_golden(GOLDEN / "explain-colours.txt", text)


@pytest.mark.parametrize("known", BOTH.values(), ids=list(BOTH))
def test__json__is_as_its_schema_says_and_says_nothing_else(known: Explained) -> None:
    schema: dict[str, Any] = json.loads((ROOT / "docs" / "schemas" / "explain.json").read_text())
    document = json.loads(rendered(explain_listing(known), Form.JSON))
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.Draft7Validator(schema).validate(document)
    of_hosts = {"cluster_host", "is_current"} if known.host is None else set()
    assert set(document) == set(schema["properties"]) - of_hosts
    assert set(document["agent"]) == set(schema["properties"]["agent"]["properties"])
    assert set(document["members"][0]) == set(schema["properties"]["members"]["items"]["properties"])
    assert set(document["events"][0]) == set(schema["properties"]["events"]["items"]["properties"])


@pytest.mark.parametrize(
    ("state", "fields", "expected"),
    [
        ("pending", {}, "starts when it is its turn"),
        ("starting", {"deadline": NOW + 3}, "stopped and started again in 3.0s if it does not serve before"),
        ("degraded", {"deadline": NOW + 30}, "checked again in 30s; replaced if that fails often enough"),
        ("draining", {"deadline": NOW + 90}, "asked to end in 1m30s or as soon as no request is running"),
        ("stopping", {"deadline": NOW - 1}, "killed now if it has not ended before"),
        ("backing_off", {"deadline": NOW + 7.8}, "next try in 7.8s"),
        ("stopped", {}, "nothing, until somebody starts it: quaestor start Worker/2"),
        ("failed", {}, "nothing, until somebody starts it: quaestor start Worker/2"),
        ("serving", {}, "nothing"),
        ("serving", {"recycle_at": NOW + 7200}, "replaced because of its age in 2h00m, as soon as it is idle"),
        ("serving", {"due": "it is large"}, "replaced as soon as it is idle: it is large"),
    ],
)
def test__what_happens_next(state: str, fields: dict[str, Any], expected: str) -> None:
    assert what_next(EXPLAINED, member(2, state, **fields)) == expected


def test__member_of_an_agent_that_waits() -> None:
    waiting = replace(EXPLAINED, agent=replace(EXPLAINED.agent, waits_for=("Store (serving)",)))
    assert (
        what_next(waiting, member(2, "pending")) == "starts when its agent need not wait any more for Store (serving)"
    )
