"""`quaestor schema`: what it accepts is what the configuration's reader accepts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from support.cluster import ROOT
from support.command_line import quaestor
from support.documented_keys import documented_keys

from quaestor_actors.cli.key_descriptions import DESCRIPTIONS
from quaestor_actors.cli.schema import AS_WRITTEN, ConfigFile, configuration_schema
from quaestor_actors.config import sections
from quaestor_actors.config.schema import ClusterKeys, LoadBalancerKeys
from quaestor_actors.config.schema_agent import AgentKeys

SAMPLES = sorted([*(ROOT / "conf").glob("*.yml"), *(ROOT / "examples").rglob("*.config.yml")])


def validator(file: ConfigFile) -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(configuration_schema(file))


def faults(agent: str, *, file: ConfigFile = ConfigFile.CLUSTER) -> list[str]:
    """Return what is wrong with an agent."""
    document = {"agents": [yaml.safe_load(agent)]}
    return [error.json_path for error in validator(file).iter_errors(document)]


@pytest.mark.parametrize("file", list(ConfigFile))
def test__schema__is_one_and_is_printed(file: ConfigFile) -> None:
    answer = quaestor("schema", "--file", file.value)
    assert (answer.code, answer.err) == (0, "")
    printed: dict[str, Any] = json.loads(answer.out)
    jsonschema.Draft7Validator.check_schema(printed)
    assert printed == configuration_schema(file)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test__samples__are_valid(sample: Path) -> None:
    file = ConfigFile.LOAD_BALANCER if "loadbalancer" in sample.name else ConfigFile.CLUSTER
    validator(file).validate(yaml.safe_load(sample.read_text(encoding="utf-8")))


def test__every_key__is_there_and_described() -> None:
    for file, name, keys in (
        (ConfigFile.CLUSTER, "clusterConfig", ClusterKeys),
        (ConfigFile.LOAD_BALANCER, "loadBalancerConfig", LoadBalancerKeys),
    ):
        definitions = configuration_schema(file)["definitions"]
        for section, model in ((name, keys), ("agent", AgentKeys)):
            properties = definitions[section]["properties"]
            assert tuple(properties) == model.names()
            assert all(rule["description"] for rule in properties.values())


def test__descriptions__are_those_of_the_documentation() -> None:
    assert documented_keys() == DESCRIPTIONS, "run tests/support/documented_keys.py, as it says"


def test__keys_that_are_text_as_written__are_those_of_the_reader() -> None:
    assert AS_WRITTEN == sections._AS_WRITTEN


@pytest.mark.parametrize(
    "agent",
    [
        "{}",
        "{agentType: Worker, usetls: true, PORTS: [1, 65535]}",
        "{processCount: }",
        "{restart: Permanent, strategy: one_for_all, clusterShutdownAction: KILL, probe: TCP}",
        "{commandLineArguments: 5161, environmentVariables: {A: 1, B: true, C: x}, stopSignal: 15, user: 1000}",
        '{umask: "022", rlimits: {nofile: 4096, CORE: Unlimited}}',
        "{dependsOn: {Store: serving}}",
        "{dependsOn: [Store, Other]}",
        "{floating: {count: 2, SPREAD: false, prefer: [a1]}}",
        "{floating: }",
        "{endpoints: ['10.0.0.7:2379', '[::1]:2379'], hosts: [a, b], peerPort: 2380, leaseTtlSeconds: 2.5}",
    ],
)
def test__agent__that_the_reader_takes(agent: str) -> None:
    assert faults(agent) == []
    assert faults(agent, file=ConfigFile.LOAD_BALANCER) == []


@pytest.mark.parametrize(
    ("agent", "place"),
    [
        ("{processCuont: 4}", "$.agents[0]"),
        ("{processCount: -1}", "$.agents[0].processCount"),
        ("{PROCESSCOUNT: x}", "$.agents[0].PROCESSCOUNT"),
        ("{restart: sometimes}", "$.agents[0].restart"),
        ("{ports: [0]}", "$.agents[0].ports[0]"),
        ("{umask: 18}", "$.agents[0].umask"),
        ("{rlimits: {files: 1}}", "$.agents[0].rlimits"),
        ("{dependsOn: {Store: there}}", "$.agents[0].dependsOn.Store"),
        ("{endpoints: ['http://a:1']}", "$.agents[0].endpoints[0]"),
        ("{leaseTtlSeconds: 1}", "$.agents[0].leaseTtlSeconds"),
        ("{floating: 2}", "$.agents[0].floating"),
        ("{floating: {count: 0}}", "$.agents[0].floating.count"),
        ("{floating: {cuont: 1}}", "$.agents[0].floating"),
    ],
)
def test__agent__that_the_reader_refuses(agent: str, place: str) -> None:
    assert faults(agent) == [place]
    assert faults(agent, file=ConfigFile.LOAD_BALANCER) == [place]


def test__sections__unknown_and_in_any_case() -> None:
    check = validator(ConfigFile.CLUSTER)
    assert check.is_valid({"CLUSTERCONFIG": {"NAME": "x"}, "Agents": {"Worker": {"processCount": 2}, "Other": None}})
    assert not check.is_valid({"clusterConfig": {"name": "x"}, "more": 1})
    assert not check.is_valid({"clusterConfig": {"name": "x", "logLevel": "loud"}})
    assert not check.is_valid({"loadBalancerConfig": {}})
    assert not check.is_valid({"agents": [None]})


@pytest.mark.parametrize(
    ("hosts", "place"),
    [
        ("{a1: {address: 10.0.0.7, ADMINPORT: 7072}}", None),
        ("{}", None),
        ("[a1]", "$.clusterConfig.hosts"),
        ("{a1: 10.0.0.7}", "$.clusterConfig.hosts.a1"),
        ("{a1: {adress: 10.0.0.7}}", "$.clusterConfig.hosts.a1"),
        ("{a1: {address: 10.0.0.7, adminPort: 0}}", "$.clusterConfig.hosts.a1.adminPort"),
    ],
)
def test__hosts__each_has_an_address_and_a_port(hosts: str, place: str | None) -> None:
    document = {"clusterConfig": {"hosts": yaml.safe_load(hosts)}}
    found = [error.json_path for error in validator(ConfigFile.CLUSTER).iter_errors(document)]
    assert found == ([] if place is None else [place])
