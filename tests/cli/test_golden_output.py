"""What every list looks like in every form, against files in tests/cli/golden, and its JSON against docs/schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from support.cluster import ROOT
from support.golden import expect_golden
from support.listings import listings

from quaestor_actors.cli.forms import Form, rendered

GOLDEN = Path(__file__).with_name("golden")
SCHEMAS = ROOT / "docs" / "schemas"
NAMES = (
    *("status", "tree", "registry-list", "plan", "discover", "health", "load", "events", "doctor"),
    *("hosts", "status-of-hosts", "tree-of-hosts", "events-of-hosts", "top", "top-of-hosts"),
)
LIKE = {
    "tree": "status",
    "status-of-hosts": "status",
    "tree-of-hosts": "status",
    "events-of-hosts": "events",
    "top-of-hosts": "top",
}
"""Lists that have the same document as another one."""


def schema_of(name: str) -> dict[str, Any]:
    """Return the published schema of a list."""
    document: dict[str, Any] = json.loads((SCHEMAS / f"{LIKE.get(name, name)}.json").read_text())
    return document


def strict(schema: Any) -> Any:
    """Return a schema in which nothing may be that it does not mention: everything that is told is documented."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {key: strict(value) for key, value in schema.items()}
    return {**parts, "additionalProperties": False} if "properties" in parts else parts


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [60, 100, 160])
def test__table__at_a_width(name: str, width: int) -> None:
    expect_golden(GOLDEN / f"{name}-{width}.txt", rendered(listings()[name], Form.TABLE, width=width))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", [Form.WIDE, Form.TSV, Form.YAML])
def test__other_forms(name: str, form: Form) -> None:
    suffix = "txt" if form is Form.WIDE else form.value
    expect_golden(GOLDEN / f"{name}-{form.value}.{suffix}", rendered(listings()[name], form))


@pytest.mark.parametrize("name", ["status", "tree", "events", "hosts", "status-of-hosts", "doctor", "top"])
def test__colours__in_a_terminal(name: str) -> None:
    expect_golden(GOLDEN / f"{name}-colours.txt", rendered(listings()[name], Form.TABLE, width=100, has_colours=True))


@pytest.mark.parametrize("name", [*NAMES, "version"])
def test__json__is_as_its_schema_says_and_says_nothing_else(name: str) -> None:
    document = json.loads(rendered(listings()[name], Form.JSON))
    schema = schema_of(name)
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.Draft7Validator(schema).validate(document)
    jsonschema.Draft7Validator(strict(schema)).validate(document)
    assert document["schemaVersion"] == 1


@pytest.mark.parametrize("name", [*NAMES, "version"])
def test__yaml__is_the_same_document(name: str) -> None:
    listing = listings()[name]
    assert yaml.safe_load(rendered(listing, Form.YAML)) == json.loads(rendered(listing, Form.JSON))


def test__compact__documents_can_follow_each_other() -> None:
    listing = listings()["plan"]
    assert "\n" not in rendered(listing, Form.JSON, is_compact=True)
    two = "\n".join([rendered(listing, Form.YAML, is_compact=True)] * 2)
    assert list(yaml.safe_load_all(two)) == [json.loads(rendered(listing, Form.JSON))] * 2


def test__every_schema_is_of_a_list() -> None:
    assert {file.stem for file in SCHEMAS.glob("*.json")} == {
        *NAMES,
        "version",
        "registry-watch",
        "explain",
    } - LIKE.keys()


def test__states__of_the_schema_are_all_that_there_are() -> None:
    from quaestor_actors.core.actor import ActorState  # noqa: PLC0415 - nothing else here needs it
    from quaestor_actors.core.agent import Phase  # noqa: PLC0415 - likewise
    from quaestor_actors.core.member import MemberState  # noqa: PLC0415 - likewise

    properties = schema_of("status")["properties"]
    for kind, field, words in (
        ("members", "state", MemberState),
        ("agents", "phase", Phase),
        ("actors", "state", ActorState),
    ):
        documented = properties[kind]["items"]["properties"][field]["examples"]
        assert set(documented) == {word.value for word in words}
