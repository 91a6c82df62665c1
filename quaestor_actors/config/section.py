"""One section of a file: from a mapping of the document to its typed settings, every fault located."""

from __future__ import annotations

import functools
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeGuard, TypeVar

from pydantic import ValidationError

from quaestor_actors.config.document import Mapping, Node, Plain, Scalar, Sequence, is_null, plain
from quaestor_actors.config.faults import FaultList, child_path, closest, did_you_mean, found
from quaestor_actors.config.schema import Settings

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

SettingsT = TypeVar("SettingsT", bound=Settings)

_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "finite_number": "a number",
    "float_type": "a number",
    "int_type": "a whole number",
    "string_type": "text",
    "tuple_type": "a list",
}
_LIMITS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
}
# What YAML 1.1 took for truth values, and people still do.
_FORMER_TRUE = frozenset({"yes", "on", "y", "true"})
_FORMER_FALSE = frozenset({"no", "off", "n", "false"})
_AS_WRITTEN = "environmentVariables"
"""Values of this key are not interpreted: `1.10` and `false` reach the process as they are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section(Generic[SettingsT]):
    """A section as far as it is usable."""

    node: Mapping
    path: str
    settings: SettingsT
    """Its fields are valid except those in `unusable`."""
    unusable: frozenset[str]
    """Fields whose values are missing or wrong, which is among the faults already."""
    nodes: AbstractMapping[str, Node]
    """The value of each field that is given, usable or not."""

    def usable(self, *fields: str) -> bool:
        """Return whether all these fields have a value that can be relied on, given or default."""
        return self.unusable.isdisjoint(fields)

    def given(self, field: str) -> bool:
        """Return whether the file has a value for the field, even a wrong one."""
        return field in self.nodes

    def place(self, field: str) -> tuple[Node, str]:
        """Return the node and the path of a field's value, or of the section if it is not given."""
        if field not in self.nodes:
            return self.node, self.path
        return self.nodes[field], child_path(self.path, _alias(type(self.settings), field))

    def item_place(self, field: str, index: int) -> tuple[Node, str]:
        """Return the node and the path of one item of a given field that is a list."""
        node, path = self.place(field)
        return (node.items[index] if isinstance(node, Sequence) else node), f"{path}[{index}]"


def entries_of(
    mapping: Mapping, path: str, faults: FaultList, *, any_case: bool = True
) -> list[tuple[Scalar, Node]]:
    """Return the keys and values of a mapping; keys that are no text or come again are noted and left out."""
    kept: dict[str, tuple[Scalar, Node]] = {}
    for key, value in mapping.entries:
        if not isinstance(key, Scalar):
            faults.add(key, path, f"a key must be text, found {found(plain(key))}")
            continue
        name = key.text.casefold() if any_case else key.text
        if name not in kept:
            kept[name] = (key, value)
            continue
        first = kept[name][0]
        spelling = "" if first.text == key.text else f" as {first.text}; upper and lower case are the same"
        message = f"duplicate key (first at line {first.line}{spelling})"
        faults.add(key, child_path(path, key.text), message)
    return list(kept.values())


def read_section(
    model: type[SettingsT],
    node: Mapping,
    path: str,
    faults: FaultList,
    *,
    preset: AbstractMapping[str, Plain] | None = None,
) -> Section[SettingsT]:
    """Read a section and note everything that is wrong with it.

    Args:
        model: The settings that the section holds.
        node: The section.
        path: Where it is in the document.
        faults: Where to note what is wrong.
        preset: Values by key for what the section does not give itself.
    """
    reader = _Reader(model, node, path, faults)
    values = {**(preset or {}), **reader.values()}
    try:
        settings = model.model_validate(values)
        unusable: frozenset[str] = frozenset()
    except ValidationError as invalid:
        unusable = reader.note(invalid.errors(include_url=False))
        good = {key: value for key, value in values.items() if reader.field(key) not in unusable | {None}}
        settings = model.model_construct(**good)
    return Section(node=node, path=path, settings=settings, unusable=unusable, nodes=reader.nodes)


@functools.cache
def _fields(model: type[Settings]) -> dict[str, tuple[str, str]]:
    """Return by case-folded key the key and the field of each of a model's fields."""
    aliases = {field: info.alias or field for field, info in model.model_fields.items()}
    return {alias.casefold(): (alias, field) for field, alias in aliases.items()}


def _alias(model: type[Settings], field: str) -> str:
    return model.model_fields[field].alias or field


class _Reader:
    """Reads one section; knows where each key and value stands."""

    def __init__(self, model: type[Settings], node: Mapping, path: str, faults: FaultList) -> None:
        self._known = _fields(model)
        self._node = node
        self._path = path
        self._faults = faults
        self._keys: dict[str, Scalar] = {}
        self._variables: dict[str, tuple[Scalar, Node]] = {}
        self.nodes: dict[str, Node] = {}

    def field(self, key: str) -> str | None:
        """Return the field that a key sets; None if there is no such key."""
        return self._known[key.casefold()][1] if key.casefold() in self._known else None

    def values(self) -> dict[str, Plain]:
        """Return what is given, by key as the schema spells it. A key without a value counts as not given."""
        values: dict[str, Plain] = {}
        for key, node in entries_of(self._node, self._path, self._faults):
            name, field = self._known.get(key.text.casefold(), (key.text, None))
            self._keys[name] = key
            if field is None:
                values[name] = plain(node)
            elif not is_null(node):
                self.nodes[field] = node
                values[name] = self._variables_of(node) if name == _AS_WRITTEN else plain(node)
        return values

    def _variables_of(self, node: Node) -> Plain:
        if not isinstance(node, Mapping):
            return plain(node)
        path = child_path(self._path, _AS_WRITTEN)
        self._variables = {
            key.text: (key, value) for key, value in entries_of(node, path, self._faults, any_case=False)
        }
        return {
            name: value.text if _is_text(value) else plain(value)
            for name, (_, value) in self._variables.items()
        }

    def note(self, errors: list[ErrorDetails]) -> frozenset[str]:
        """Note each error at its place; return the fields that have no usable value because of them."""
        unusable: set[str] = set()
        for error in errors:
            key = str(error["loc"][0])
            if error["type"] == "extra_forbidden":
                self._faults.add(self._keys[key], child_path(self._path, key), self._unknown_key(key))
                meant = closest(key, self._names())
                # What is misspelt has a value that nobody knows; to call it missing would be the same fault twice.
                unusable.update(field for field in [self.field(meant or "")] if field and field not in self.nodes)
        misspelt = frozenset(unusable)
        for error in errors:
            key = str(error["loc"][0])
            field = self.field(key)
            if field is None or field in misspelt:
                continue
            unusable.add(field)
            if error["type"] == "missing":
                self._faults.add(self._node, self._path, f"missing key {key}")
            else:
                self._note_value(error, field)
        return frozenset(unusable)

    def _names(self) -> tuple[str, ...]:
        return tuple(alias for alias, _ in self._known.values())

    def _unknown_key(self, key: str) -> str:
        if key == "<<":
            return "merge keys are not supported: repeat the keys that are meant"
        return f"unknown key {did_you_mean(key, self._names())}"

    def _note_value(self, error: ErrorDetails, field: str) -> None:
        key, *inner = error["loc"]
        path = child_path(self._path, str(key))
        # A value that is wrong was given, or preset: then the section is the nearest place.
        node = self.nodes.get(field, self._node)
        for part in inner:
            if isinstance(part, int) and isinstance(node, Sequence):
                node, path = node.items[part], f"{path}[{part}]"
            elif part == "[key]":
                node = next(k for k, v in self._variables.values() if v is node)
            elif part in self._variables:
                node, path = self._variables[str(part)][1], child_path(path, str(part))
        self._faults.add(node, path, sentence(error["type"], error["input"], error.get("ctx", {})))


def _is_text(node: Node) -> TypeGuard[Scalar]:
    """Return whether a variable's value is a text as it is written; `null` is not, an empty one is."""
    return isinstance(node, Scalar) and (not node.text or not is_null(node))


def sentence(kind: str, value: object, context: AbstractMapping[str, Any]) -> str:
    """Return what is wrong with a value, for a kind of error of the schema."""
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}, found {found(value)}{_remedy(kind, value)}"
    if kind in _LIMITS:
        word, limit = _LIMITS[kind]
        return f"must be {word} {int(context[limit])}, found {found(value)}"
    return str(context["error"])


def _remedy(kind: str, value: object) -> str:
    if kind == "bool_type" and isinstance(value, str):
        if value.casefold() in _FORMER_TRUE:
            return " (write true)"
        if value.casefold() in _FORMER_FALSE:
            return " (write false)"
    if kind == "string_type" and isinstance(value, bool | int | float | None):
        return " (put it in quotes)"
    return ""
