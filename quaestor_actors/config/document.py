"""From YAML text to a tree of nodes that know their place.

Built from the parser's events rather than by `yaml.compose`: that recurses in C and overflows the stack on deep
nesting, and expands aliases without limit. Values follow the core schema of YAML 1.2, in which `no`, `on` and `yes`
are texts (https://yaml.org/spec/1.2.2/#103-core-schema).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from quaestor_actors.config.faults import FaultList, quoted
from quaestor_actors.config.syntax import syntax_fault

try:
    from yaml import CSafeLoader as EventLoader
except ImportError:  # PyYAML was built without libyaml
    from yaml import SafeLoader as EventLoader  # type: ignore[assignment]  # same events, other class

MAX_DEPTH = 32
MAX_NODES = 50_000
"""Counted after the expansion of aliases."""

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
# Longer ones are no sensible number, and int() refuses them from 4300 digits on.
_DECIMAL = re.compile(r"[-+]?[0-9]{1,40}")
_OCTAL = re.compile(r"0o[0-7]{1,40}")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]{1,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """A single value as it is written."""

    line: int
    column: int
    text: str
    is_plain: bool
    """Without quotes, so that it may be a number, a truth value or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """A list."""

    line: int
    column: int
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """Keys and values in the order of the file; nothing is checked yet, a key may come twice."""

    line: int
    column: int
    entries: tuple[tuple[Node, Node], ...]


Node: TypeAlias = Scalar | Sequence | Mapping
Plain: TypeAlias = None | bool | int | float | str | tuple[Any, ...] | dict[str, Any]


def is_null(node: Node) -> bool:
    """Return whether a node says that there is no value."""
    return isinstance(node, Scalar) and node.is_plain and node.text in _NULL


def plain(node: Node) -> Plain:
    """Return a node's value as plain Python data; sequences become tuples."""
    match node:
        case Scalar():
            return _scalar_value(node)
        case Sequence():
            return tuple(plain(item) for item in node.items)
        case Mapping():
            return {key.text: plain(value) for key, value in node.entries if isinstance(key, Scalar)}


def _scalar_value(node: Scalar) -> Plain:
    text = node.text
    if not node.is_plain:
        return text
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _DECIMAL.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text[2:], base=8)
    if _HEXADECIMAL.fullmatch(text):
        return int(text, base=16)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITE.fullmatch(text):
        return float(text.replace(".", ""))
    return text


def parse(text: str, faults: FaultList) -> Node | None:
    """Return the one document of a text.

    What is wrong is noted. None if that leaves no document; an empty one is noted too.
    """
    builder = _Builder(faults)
    events: Iterator[yaml.Event] = yaml.parse(text, Loader=EventLoader)
    # Left early, the generator would free the parser only when it is collected.
    with closing(events):  # type: ignore[type-var]  # a generator, which the stubs do not say
        try:
            for event in events:
                builder.take(event)
        except yaml.MarkedYAMLError as error:
            line, column, message = syntax_fault(error, text)
            faults.add_at(line, column, message)
            return None
        except _RefusedError:
            return None
    if builder.root is None or is_null(builder.root):
        faults.add_at(0, 0, "is empty")
        return None
    return builder.root


class _RefusedError(Exception):
    """The document is not read any further; why is among the faults."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Built:
    node: Node
    size: int
    """Nodes in it, aliases expanded."""
    height: int


@dataclass(slots=True, kw_only=True)
class _Open:
    """A collection whose end has not come yet."""

    start: yaml.CollectionStartEvent
    children: list[Node] = field(default_factory=list)
    size: int = 1
    height: int = 1


class _Builder:
    """Turns events into nodes without recursion and within limits."""

    def __init__(self, faults: FaultList) -> None:
        self.root: Node | None = None
        self._faults = faults
        self._open: list[_Open] = []
        self._anchors: dict[str, _Built | None] = {}
        self._size = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._refuse(event, "a second document begins here: a file holds one, remove the rest")
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.ScalarEvent():
                self._check_tag(event)
                self._check_text(event)
                node = Scalar(**_place(event), text=event.value, is_plain=event.implicit[0])
                self._place(_Built(node=node, size=1, height=0), event, event.anchor)
            case yaml.CollectionStartEvent():
                self._check_tag(event)
                if event.anchor is not None:
                    # Known from here on, usable only once it is complete.
                    self._anchors[event.anchor] = None
                self._open.append(_Open(start=event))
                self._check_depth(event, 0)
            case yaml.CollectionEndEvent():
                self._close()
            case _:
                pass

    def _alias(self, event: yaml.AliasEvent) -> None:
        name = event.anchor
        if name not in self._anchors:
            self._refuse(event, f"there is no anchor &{name} before this alias")
        target = self._anchors[name]
        if target is None:
            self._refuse(event, f"the alias *{name} stands inside of what it refers to")
        else:
            self._place(target, event, None)

    def _close(self) -> None:
        ended = self._open.pop()
        children = ended.children
        node: Node
        if isinstance(ended.start, yaml.MappingStartEvent):
            pairs = zip(children[::2], children[1::2], strict=True)
            node = Mapping(**_place(ended.start), entries=tuple(pairs))
        else:
            node = Sequence(**_place(ended.start), items=tuple(children))
        # Its parts have been counted as they came.
        self._size -= ended.size - 1
        self._place(_Built(node=node, size=ended.size, height=ended.height), ended.start, ended.start.anchor)

    def _place(self, built: _Built, event: yaml.NodeEvent, anchor: str | None) -> None:
        """Put a finished node where it belongs, and remember it if it has an anchor."""
        self._check_depth(event, built.height)
        self._size += built.size
        if self._size > MAX_NODES:
            self._refuse(event, f"the document grows beyond {MAX_NODES} values here")
        if anchor is not None:
            self._anchors[anchor] = built
        if not self._open:
            self.root = built.node
            return
        parent = self._open[-1]
        parent.children.append(built.node)
        parent.size += built.size
        parent.height = max(parent.height, built.height + 1)

    def _check_depth(self, event: yaml.NodeEvent, height: int) -> None:
        if len(self._open) + height > MAX_DEPTH:
            self._refuse(event, f"is nested deeper than {MAX_DEPTH} levels")

    def _check_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.tag is not None:
            place = _place(event)
            message = f"the tag {quoted(event.tag)} is not allowed: remove it (quotes make a text of anything)"
            self._faults.add_at(place["line"], place["column"], message)

    def _check_text(self, event: yaml.ScalarEvent) -> None:
        if "\0" in event.value or any("\ud800" <= character <= "\udfff" for character in event.value):
            self._refuse(event, "an escape sequence stands for a character that no program can be given")

    def _refuse(self, event: yaml.Event, message: str) -> None:
        place = _place(event)
        self._faults.add_at(place["line"], place["column"], message)
        raise _RefusedError


def _place(event: yaml.Event) -> dict[str, int]:
    mark = event.start_mark
    return {"line": mark.line + 1, "column": mark.column + 1}
