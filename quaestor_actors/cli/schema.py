"""`quaestor schema`: the JSON schema of a configuration file, with which editors complete and check it."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import click

from quaestor_actors.cli.key_descriptions import DESCRIPTIONS

if TYPE_CHECKING:
    from quaestor_actors.config.schema import Keys

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The newest one that editors of YAML know."""

AS_WRITTEN = frozenset(
    {"environmentVariables", "commandLineArguments", "probeCommand", "stopSignal", "user", "storeUser", "dependsOn"}
)
"""Keys whose values are taken as text where they look like a number or a boolean."""

LAST_PORT = 65535
_TEXT = {"type": ["string", "number", "boolean"]}


class ConfigFile(StrEnum):
    """What `--file` chooses."""

    CLUSTER = "cluster"
    LOAD_BALANCER = "load-balancer"


@click.command(short_help="Print the JSON schema of a configuration file, for editors.")
@click.option(
    "--file",
    type=click.Choice([each.value for each in ConfigFile]),
    default=ConfigFile.CLUSTER.value,
    show_default=True,
    help="quaestor.cluster.config.yml or quaestor.loadbalancer.config.yml.",
)
def schema(file: str) -> None:
    """Print the JSON schema of a configuration file, with which editors complete and check it.

    What a schema cannot say, such as which keys need each other, is found by `quaestor check` alone. An editor with the
    YAML language server takes it from the first line of the file:
    # yaml-language-server: $schema=cluster.schema.json

    Example: quaestor schema --file cluster > cluster.schema.json
    """
    click.echo(json.dumps(configuration_schema(ConfigFile(file)), indent=2))


def configuration_schema(file: ConfigFile) -> dict[str, Any]:
    """Return the schema of a file. Nothing is required in it, because names compare case-insensitively."""
    # The validation library takes a tenth of a second.
    from quaestor_actors.config import CLUSTER_FILE, LOAD_BALANCER_FILE
    from quaestor_actors.config.schema import (
        ActorKeys,
        ClusterKeys,
        FloatingKeys,
        HostKeys,
        LoadBalancerKeys,
        MetricsKeys,
    )
    from quaestor_actors.config.schema_agent import AgentKeys

    # In the mapping form an agent may have nothing but its name.
    agent_keys = {**_section(AgentKeys, "agents", at="agent"), "type": ["object", "null"]}
    # That it is a mapping, or nothing, is said where it is used.
    floating = {name: rule for name, rule in _section(FloatingKeys, "agents", at="floating").items() if name != "type"}
    metrics = {n: rule for n, rule in _section(MetricsKeys, "clusterConfig", at="metrics").items() if n != "type"}
    is_cluster = file is ConfigFile.CLUSTER
    name = "clusterConfig" if is_cluster else "loadBalancerConfig"
    keys = ClusterKeys if is_cluster else LoadBalancerKeys
    agent = {"$ref": "#/definitions/agent"}
    sections = {
        name: {"$ref": f"#/definitions/{name}"},
        "agents": {
            "description": "What it runs: a list, or a mapping from name to agent.",
            "type": ["array", "object", "null"],
            "items": {"type": "object", "allOf": [agent]},
            "additionalProperties": agent,
        },
    }
    return {
        "$schema": DIALECT,
        "title": CLUSTER_FILE if is_cluster else LOAD_BALANCER_FILE,
        **_mapping(sections, at="#"),
        "definitions": {
            name: _section(keys, name),
            "agent": agent_keys,
            "actor": _section(ActorKeys, "actors", at="actor"),
            "host": _section(HostKeys, "clusterConfig", at="host"),
            "floating": floating,
            "metrics": metrics,
        },
    }


def _section(keys: type[Keys], name: str, *, at: str | None = None) -> dict[str, Any]:
    described = DESCRIPTIONS[name]
    raw = keys.model_json_schema()["properties"]
    annotations = {str(info.alias): info.annotation for info in keys.model_fields.values()}
    properties = {}
    for key, found in raw.items():
        rule = _rule(key, found, annotations[key], section=name)
        description = {"description": described[key]} if key in described else {}
        default = found.get("default")
        properties[key] = {
            **description,
            **_or_nothing(rule),
            **({} if default in (None, "", []) else {"default": default}),
        }
    return _mapping(properties, at=f"#/definitions/{at or name}")


def _mapping(properties: dict[str, Any], *, at: str) -> dict[str, Any]:
    """Return the schema of a mapping with these keys, in any case; editors offer them as they are written here."""
    return {
        "type": "object",
        "properties": properties,
        # Not as it is written here, or everything wrong with it would be said twice.
        "patternProperties": {
            f"^(?!{key}$){_any_case(key)[1:]}": {"$ref": f"{at}/properties/{key}"} for key in properties
        },
        "additionalProperties": False,
    }


def _rule(key: str, found: dict[str, Any], annotation: Any, *, section: str) -> dict[str, Any]:
    rules = _special_rules()
    # Some keys are called alike, and mean something else in another section.
    special = rules.get(f"{section}.{key}", rules.get(key))
    if special is not None:
        return special
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return _word(*(each.value for each in annotation))
    choices = [choice for choice in found.get("anyOf", [found]) if choice != {"type": "null"}]
    rule = {name: value for name, value in choices[0].items() if name not in {"default", "title"}}
    return {**rule, **_TEXT} if key in AS_WRITTEN and rule.get("type") == "string" else rule


def _special_rules() -> dict[str, dict[str, Any]]:
    """Return the rules of those keys whose checks are functions, which say nothing of themselves."""
    from quaestor_actors.config.value_rules import LIMITS
    from quaestor_actors.core.spec import Condition

    port = {"type": "integer", "minimum": 1, "maximum": LAST_PORT}
    limit = {"anyOf": [{"type": "integer", "minimum": 0}, _word("unlimited")]}
    return {
        "adminPort": port,
        "clusterConfig.actors": {"type": "object", "additionalProperties": {"$ref": "#/definitions/actor"}},
        "class": {"type": "string", "pattern": r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$"},
        "clusterConfig.hosts": {"type": "object", "additionalProperties": {"$ref": "#/definitions/host"}},
        "clusterShutdownAction": _word("None", "Kill"),
        "dependsOn": {
            "type": ["object", "array"],
            "additionalProperties": _word(*(each.value for each in Condition)),
            "items": _TEXT,
        },
        "endpoints": {"type": "array", "items": {"type": "string", "pattern": r"^[^/\s]+:[0-9]{1,5}$"}},
        "environmentVariables": {"type": "object", "additionalProperties": _TEXT},
        "floating": {"type": "object", "allOf": [{"$ref": "#/definitions/floating"}]},
        "metrics": {"type": "object", "allOf": [{"$ref": "#/definitions/metrics"}]},
        "peerPort": port,
        "port": port,
        "ports": {"type": "array", "items": port},
        "rlimits": {
            "type": "object",
            "properties": dict.fromkeys(LIMITS, limit),
            "patternProperties": {f"^(?!{name}$){_any_case(name)[1:]}": limit for name in LIMITS},
            "additionalProperties": False,
        },
        "umask": {"type": "string", "pattern": "^(0[oO])?[0-7]{1,5}$"},
    }


def _or_nothing(rule: dict[str, Any]) -> dict[str, Any]:
    """Return the rule, or nothing after the colon, which is as good as no key."""
    if isinstance(rule.get("type"), str):
        return {**rule, "type": [rule["type"], "null"]}
    if "type" in rule:
        return {**rule, "type": [*rule["type"], "null"]}
    return {**rule, "anyOf": [*rule["anyOf"], {"type": "null"}]}


def _word(*words: str) -> dict[str, Any]:
    """Return the rule for one of some words, in any case; editors offer them as they are written here."""
    return {"anyOf": [{"enum": list(words)}, {"type": "string", "pattern": _any_case(*words)}]}


def _any_case(*words: str) -> str:
    letters = (
        "".join(f"[{each.lower()}{each.upper()}]" if each.isalpha() else each for each in word) for word in words
    )
    return f"^({'|'.join(letters)})$"
