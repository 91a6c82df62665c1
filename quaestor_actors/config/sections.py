"""From a YAML mapping to validated keys that still know their places.

A wrong value is reported and then left out: the rules between values can still be checked on the rest, and
all faults come out at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import yaml
from pydantic import ValidationError

from quaestor_actors.config.report import Place, Report, place_of
from quaestor_actors.config.schema import Keys
from quaestor_actors.config.wording import probably_meant, sentence, unknown_key
from quaestor_actors.config.yaml_values import Value, described, is_null, plain_value, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core import ErrorDetails

KeysT = TypeVar("KeysT", bound=Keys)

_AS_WRITTEN: Final = frozenset(
    {"environmentVariables", "commandLineArguments", "probeCommand", "stopSignal", "user", "storeUser", "dependsOn"}
)
"""Keys whose values are text even where they look like a number or a boolean."""

_NAMED_VALUES: Final = frozenset({"environmentVariables", "rlimits", "dependsOn"})
"""Keys whose values hold names, each of them once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One key of a mapping and its value."""

    key: Place
    value: Place
    node: yaml.Node

    def item(self, index: int) -> Place:
        """Return the place of an item of a list."""
        return place_of(self.node.value[index], f"{self.value.path}[{index}]")

    def part(self, name: str) -> Entry:
        """Return what a mapping has under a name, or a list as an item; the name compares case-insensitively.

        Raises:
            KeyError: there is no such part.
        """
        if isinstance(self.node, yaml.MappingNode):
            for key, value in self.node.value:
                if isinstance(key, yaml.ScalarNode) and key.value.lower() == name.lower():
                    path = joined(self.value.path, key.value)
                    return Entry(key=place_of(key, path), value=place_of(value, path), node=value)
        elif isinstance(self.node, yaml.SequenceNode):
            for index, item in enumerate(self.node.value):
                if isinstance(item, yaml.ScalarNode) and item.value.lower() == name.lower():
                    return Entry(key=self.item(index), value=self.item(index), node=item)
        raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section(Generic[KeysT]):
    """A mapping of the file that has been read."""

    keys: KeysT
    """Defaults where nothing, or something wrong, was given."""
    entries: dict[str, Entry]
    """What was given, right or wrong, by the keys' proper names; not what was given as nothing."""
    broken: frozenset[str]
    """Keys with something wrong, or probably misspelt; rules that need them cannot be checked."""
    place: Place
    """Of the mapping itself, or of what stands where it is missing."""

    def place_of(self, key: str) -> Place:
        """Return the place of a key's value, or of the mapping when it is not given."""
        return self.entries[key].value if key in self.entries else self.place

    def path_of(self, key: str) -> str:
        """Return how a key of this mapping is called in messages."""
        return joined(self.place.path, key)


def joined(path: str, key: str) -> str:
    """Return the path of a key below a path."""
    return f"{path}.{shown(key)}" if path else shown(key)


def read_entries(node: yaml.Node, known: tuple[str, ...] | None, *, report: Report, path: str) -> dict[str, Entry]:
    """Return the entries of a mapping by their proper names, and report the keys that are wrong.

    Args:
        node: what should be a mapping.
        known: the keys that there are; they compare case-insensitively. None: any key.
        report: takes the faults.
        path: what the mapping is called.
    """
    if not isinstance(node, yaml.MappingNode):
        report.fault(place_of(node, path), f"expected a mapping, found {described(node)}")
        return {}
    proper = {name.lower(): name for name in known or ()}
    entries: dict[str, Entry] = {}
    first_lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            report.fault(place_of(key_node, path), f"expected text as the key, found {described(key_node)}")
            continue
        text: str = key_node.value
        key = place_of(key_node, joined(path, text))
        if text.lower() in first_lines:
            report.fault(key, f"the key is there already, in line {first_lines[text.lower()]}")
            continue
        first_lines[text.lower()] = key.line
        if known is not None and text.lower() not in proper:
            report.fault(key, unknown_key(text, known))
            if meant := probably_meant(text, known):
                report.misspelt.add(joined(path, meant))
            continue
        value = place_of(value_node, key.path)
        entries[proper.get(text.lower(), text)] = Entry(key=key, value=value, node=value_node)
    return entries


def read_section(node: yaml.Node | None, kind: type[KeysT], *, report: Report, place: Place) -> Section[KeysT]:
    """Read a mapping of a known kind; a node of None reads as a mapping without keys."""
    entries = {} if node is None else read_entries(node, kind.names(), report=report, path=place.path)
    # A key with nothing after the colon is as good as absent.
    entries = {key: entry for key, entry in entries.items() if not is_null(entry.node)}
    values = {key: plain_value(entry.node, as_written=key in _AS_WRITTEN) for key, entry in entries.items()}
    broken = _repeated_names(entries, report) | _complain(kind, values, entries=entries, report=report)
    broken |= {key for key in kind.names() if key not in entries and joined(place.path, key) in report.misspelt}
    usable = {key: value for key, value in values.items() if key not in broken}
    return Section(keys=kind.model_validate(usable), entries=entries, broken=broken, place=place)


def _repeated_names(entries: dict[str, Entry], report: Report) -> frozenset[str]:
    """Report names that are there twice, and return the keys they are under."""
    before, broken = len(report.faults), set()
    for key in _NAMED_VALUES & entries.keys():
        # Unlike any other name, that of a variable differs by case.
        fold = str if key == "environmentVariables" else str.lower
        noun = "variable" if key == "environmentVariables" else "name"
        first_lines: dict[str, int] = {}
        for place, name in _names_in(entries[key], report):
            if fold(name) in first_lines:
                report.fault(place, f"the {noun} is there already, in line {first_lines[fold(name)]}")
            first_lines.setdefault(fold(name), place.line)
        if len(report.faults) > before:
            before = len(report.faults)
            broken.add(key)
    return frozenset(broken)


def _names_in(entry: Entry, report: Report) -> Iterator[tuple[Place, str]]:
    """Yield the keys of a mapping, or the items of a list, that are text; report keys that are none."""
    if isinstance(entry.node, yaml.MappingNode):
        for node, _ in entry.node.value:
            place = place_of(node, entry.value.path)
            if isinstance(node, yaml.ScalarNode):
                yield place.named(joined(place.path, node.value)), node.value
            else:
                report.fault(place, f"expected text as the key, found {described(node)}")
    elif isinstance(entry.node, yaml.SequenceNode):
        for index, node in enumerate(entry.node.value):
            if isinstance(node, yaml.ScalarNode):
                yield entry.item(index), node.value


def _complain(
    kind: type[KeysT], values: dict[str, Value], *, entries: dict[str, Entry], report: Report
) -> frozenset[str]:
    try:
        kind.model_validate(values)
    except ValidationError as errors:
        # The links to pydantic's documentation are no help to whoever edits a YAML file.
        details = errors.errors(include_url=False)
    else:
        return frozenset()
    for error in details:
        place, node = _spot(entries[str(error["loc"][0])], error)
        report.fault(place, sentence(error, node))
    return frozenset(str(error["loc"][0]) for error in details)


def _spot(entry: Entry, error: ErrorDetails) -> tuple[Place, yaml.Node]:
    """Follow the error's location through the nodes."""
    place, node = entry.value, entry.node
    of_key = error["loc"][2:] == ("[key]",)
    for step in error["loc"][1:2]:
        if isinstance(step, int):
            node = node.value[step]
            place = place_of(node, f"{place.path}[{step}]")
        elif isinstance(node, yaml.MappingNode):
            found = [pair for pair in node.value if getattr(pair[0], "value", None) == step]
            node = found[0][0 if of_key else 1]
            place = place_of(node, joined(place.path, step))
    return place, node
