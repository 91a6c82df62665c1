"""One whole file: its section of settings and its agents, in either of their two forms."""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

from quaestor_actors.config.document import Mapping, Node, Plain, Sequence, is_null, parse, plain
from quaestor_actors.config.faults import FaultList, child_path, did_you_mean, found
from quaestor_actors.config.schema import AgentSettings
from quaestor_actors.config.section import Section, SettingsT, entries_of, read_section
from quaestor_actors.config.source import read_text

AGENTS = "agents"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout(Generic[SettingsT]):
    """What a file of one kind holds."""

    settings_key: str
    model: type[SettingsT]
    is_required: bool
    """Whether the settings and at least one agent must be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile(Generic[SettingsT]):
    """What could be read of a file."""

    settings: Section[SettingsT] | None
    """None if the section is not there or is no mapping."""
    agents: tuple[Section[AgentSettings], ...] = ()


def read_file(layout: Layout[SettingsT], faults: FaultList) -> ConfigFile[SettingsT]:
    """Read the list's file and note everything that is wrong with it as such."""
    text = read_text(faults)
    document = None if text is None else parse(text, faults)
    if document is None:
        return ConfigFile(settings=None)
    parts = _parts(layout, document, faults)
    settings = None
    if node := parts.get(layout.settings_key):
        settings = _read_mapping(layout.model, node, layout.settings_key, faults)
    return ConfigFile(settings=settings, agents=_read_agents(parts.get(AGENTS), layout, faults))


def _parts(layout: Layout[SettingsT], document: Node, faults: FaultList) -> dict[str, Node]:
    """Return the document's two parts by name, as far as they are there and hold anything."""
    names = (layout.settings_key, AGENTS)
    if not isinstance(document, Mapping):
        faults.add(document, "", f"expected {' and '.join(names)}, found {found(plain(document))}")
        return {}
    parts: dict[str, Node] = {}
    present: set[str] = set()
    for key, node in entries_of(document, "", faults):
        name = next((name for name in names if name.casefold() == key.text.casefold()), None)
        if name is None:
            faults.add(key, child_path("", key.text), f"unknown key {did_you_mean(key.text, names)}")
            continue
        present.add(name)
        if not is_null(node):
            parts[name] = node
        elif layout.is_required:
            faults.add(key, name, "is empty")
    if layout.is_required:
        for name in names:
            if name not in present:
                faults.add(document, "", f"missing key {name}")
    return parts


def _read_mapping(
    model: type[SettingsT],
    node: Node,
    path: str,
    faults: FaultList,
    *,
    preset: AbstractMapping[str, Plain] | None = None,
) -> Section[SettingsT] | None:
    if not isinstance(node, Mapping):
        faults.add(node, path, f"expected a mapping, found {found(plain(node))}")
        return None
    return read_section(model, node, path, faults, preset=preset)


def _read_agents(
    node: Node | None, layout: Layout[SettingsT], faults: FaultList
) -> tuple[Section[AgentSettings], ...]:
    agents: list[Section[AgentSettings] | None]
    match node:
        case None:
            return ()
        case Sequence():
            agents = [
                _read_mapping(AgentSettings, item, f"{AGENTS}[{index}]", faults)
                for index, item in enumerate(node.items)
            ]
        case Mapping():
            agents = [_read_named(name.text, item, faults) for name, item in entries_of(node, AGENTS, faults)]
        case _:
            faults.add(node, AGENTS, f"expected a list of agents, found {found(plain(node))}")
            return ()
    if not agents and layout.is_required:
        faults.add(node, AGENTS, "is empty: a cluster needs at least one agent")
    return tuple(agent for agent in agents if agent is not None)


def _read_named(name: str, node: Node, faults: FaultList) -> Section[AgentSettings] | None:
    """Read an agent of the older form, whose name stands before it."""
    path = child_path(AGENTS, name)
    if is_null(node):
        # Nothing but defaults, which is up to the checks to judge.
        node = Mapping(line=node.line, column=node.column, entries=())
    return _read_mapping(AgentSettings, node, path, faults, preset={"agentType": name})
