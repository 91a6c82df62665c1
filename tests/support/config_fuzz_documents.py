"""Valid configurations to start from: those that come with the project, and made-up ones with any of the keys.

Which values a key takes is found out by asking the schema, so a new key comes in by itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import yaml
from pydantic import ValidationError

from quaestor_actors.config import CLUSTER_FILE, LOAD_BALANCER_FILE
from quaestor_actors.config.schema import ClusterKeys, Keys, LoadBalancerKeys, LogLevel
from quaestor_actors.config.schema_agent import AgentKeys
from quaestor_actors.core.probe import ProbeKind
from quaestor_actors.core.restart import AutoShutdown, RestartType, Strategy
from quaestor_actors.core.spec import Condition

ROOT = Path(__file__).parents[2]

_ENUMERATIONS: tuple[type[StrEnum], ...] = (AutoShutdown, Condition, LogLevel, ProbeKind, RestartType, Strategy)
_WORDS = [word.value for word in chain.from_iterable(_ENUMERATIONS)]
_NUMBERS: list[Any] = [0, 1, 2, 3, 5, 10, 60, 0.0, 0.25, 1.5, 2.0, 10.0, 3600.0, 5150, 5161, 65535]
_TEXTS = ["Worker", "Greeter", "/bin/sh", "sh", ".", "localhost", "127.0.0.1", "::1", "root", "Kill", "None"]
_TEXTS += [
    "10.0.0.1",
    "10.0.0.2",
    "10.0.0.0/24",
    "a1",
    "SIGINT",
    "022",
    "/healthz",
    "{HostName} {Port}",
    "true",
    "least_loaded",
    "m:T",
    "original",
]
_LISTS: list[Any] = [[5161], [5161, 5162], ["Worker"], ["A", "B"], ["127.0.0.1"], ["127.0.0.1:2379"], []]
_LISTS += [["a1"], ["a1", "a2"], ["10.0.0.0/24"]]
_MAPPINGS: list[Any] = [{"A": "b", "C": "d"}, {"nofile": 1024, "core": 0}, {"Worker": "started"}, {}]
_MAPPINGS += [{"count": 2, "prefer": ["a1"]}, {"count": 1, "spread": False}]
_HOSTS: list[Any] = [
    {"a1": {"address": "10.0.0.1", "capabilities": ["A"]}, "a2": {"address": "10.0.0.2", "adminPort": 7072}},
    {"a1": {"address": "10.0.0.1"}},
]
_ACTORS: list[Any] = [
    {"T": {"class": "m:T", "settings": {"a": [1, {"b": 0.5}]}, "intensity": 3, "periodSeconds": 5}},
    {"T": {"class": "m:T", "requires": ["A"]}, "U": {"class": "m:U", "hosts": ["a1"], "essential": True}},
    {"T": {"class": "m:T", "restart": "transient"}, "Worker": {"class": "m:W"}},
]
POOL: list[Any] = [True, False, *_NUMBERS, *_WORDS, *_TEXTS, *_LISTS, *_MAPPINGS, *_HOSTS, *_ACTORS]

TYPES = ("Worker", "LoadBalancer", "KeyValueStore", "A", "B", "worker", "Jobs")


class Raw(str):
    """A piece of a YAML document that is written as it is."""

    __slots__ = ()


class Pairs(list[tuple[Any, Any]]):
    """A mapping that may have the same key several times."""


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@cache
def good_values(kind: type[Keys]) -> dict[str, list[Any]]:
    """Return for each key of a mapping what of the pool it takes."""
    return {name: [value for value in POOL if _is_good(kind, name, value)] for name in kind.names()}


def _is_good(kind: type[Keys], name: str, value: Any) -> bool:
    try:
        kind.model_validate({name: _frozen(value)})
    except ValidationError:
        return False
    return True


def as_pairs(value: Any) -> Any:
    """Return plain data with mappings that can be spoilt."""
    if isinstance(value, dict):
        return Pairs((key, as_pairs(inner)) for key, inner in value.items())
    return [as_pairs(inner) for inner in value] if isinstance(value, list) else value


@cache
def _shipped() -> list[tuple[Any, Any]]:
    folders = sorted({file.parent for where in ("conf", "examples") for file in (ROOT / where).rglob(CLUSTER_FILE)})
    return [(_read(folder / CLUSTER_FILE), _read(folder / LOAD_BALANCER_FILE)) for folder in folders]


def _read(file: Path) -> Any:
    if not file.exists():
        return {}
    # Where it is loaded from there are no programs beside it.
    return yaml.safe_load(re.sub(r"executablePath: \S+", "executablePath: /bin/sh", file.read_text()))


def documents(chance: Random) -> tuple[Any, Any]:
    """Return a configuration of a cluster and one of its balancer that are mostly valid, to be spoilt."""
    if chance.random() < 0.2:
        cluster, balancer = chance.choice(_shipped())
        return as_pairs(cluster), as_pairs(balancer)
    kinds = chance.sample(TYPES, chance.randrange(4))
    agents = [_agent(kind, chance) for kind in kinds]
    services = [_service(kind, chance) for kind in ("Worker", "KeyValueStore") if chance.random() < 0.6]
    of_cluster = {"name": "fuzz", **dict(_some(ClusterKeys, chance))}
    if chance.random() < 0.2:
        of_cluster["hosts"] = as_pairs(_HOSTS[0])
    if chance.random() < 0.2:
        of_cluster["actors"] = as_pairs(chance.choice(_ACTORS))
    cluster = Pairs([("clusterConfig", Pairs(of_cluster.items())), ("agents", agents)])
    balancer = Pairs([("loadBalancerConfig", Pairs(_some(LoadBalancerKeys, chance))), ("agents", services)])
    return cluster, balancer


def _agent(kind: str, chance: Random) -> Pairs:
    keys: list[tuple[Any, Any]] = [("agentType", kind)]
    if kind not in {"LoadBalancer", "KeyValueStore"}:
        keys.append(("executablePath", "/bin/sh"))
    return Pairs([*keys, *_some(AgentKeys, chance)])


def _service(kind: str, chance: Random) -> Pairs:
    return Pairs([("agentType", kind), ("ports", [5161, 5162]), *_some(AgentKeys, chance, most=2)])


def _some(kind: type[Keys], chance: Random, *, most: int = 4) -> list[tuple[str, Any]]:
    """Return a few keys with good values, those left out that a document has anyway."""
    good = good_values(kind)
    names = [name for name in good if not _NOT_TO_START_WITH.fullmatch(name)]
    few = chance.sample(names, chance.randrange(most))
    return [(name, as_pairs(chance.choice(good[name]))) for name in few]


_NOT_TO_START_WITH = re.compile("name|agentType|executablePath|ports|user|.*(?:File|ertificate)")
"""Keys that documents have anyway, and such as name something that is not there; mutations add those."""

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9/_]*", re.ASCII)
_NOT_TEXT = frozenset({"null", "true", "false"})


def written(value: Any, chance: Random) -> str:
    """Return a document as YAML, in block style at the top and in flow style from some depth on."""
    return "\n".join(_block(value, "", flow_at=chance.choice((1, 2, 3, 3))))


def _block(value: Any, indent: str, *, flow_at: int) -> Iterator[str]:
    if flow_at == 0 or not value or not isinstance(value, list):
        yield indent + flow(value)
    elif isinstance(value, Pairs):
        for key, inner in value:
            if flow_at > 1 and isinstance(inner, list) and inner:
                yield f"{indent}{flow(key)}:"
                yield from _block(inner, indent + "  ", flow_at=flow_at - 1)
            else:
                yield f"{indent}{flow(key)}: {flow(inner)}"
    else:
        for inner in value:
            first, *others = _block(inner, indent + "  ", flow_at=flow_at - 1)
            yield f"{indent}- {first.lstrip(' ')}"
            yield from others


def flow(value: Any) -> str:
    """Return a value as YAML in one line."""
    match value:
        case Raw():
            return str(value)
        case str():
            is_plain = _PLAIN.fullmatch(value) and value not in _NOT_TEXT
            return value if is_plain else json.dumps(value, ensure_ascii=len(value) % 2 == 0)
        case Pairs():
            return "{" + ", ".join(f"{flow(key)}: {flow(inner)}" for key, inner in value) + "}"
        case list():
            return "[" + ", ".join(map(flow, value)) + "]"
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)
