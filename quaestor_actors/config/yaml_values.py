"""What a YAML node means by the core schema of YAML 1.2, and how it is called in a sentence.

Source of the scalar rules: YAML 1.2.2, section 10.3.2. Only `true` and `false` are booleans.
"""

from __future__ import annotations

import re
from typing import Final

import yaml

from quaestor_actors.config.report import one_line
from quaestor_actors.config.yaml_document import PLAIN_TAG

Scalar = str | int | float | bool | None
Value = Scalar | tuple["Value", ...] | dict[str, "Value"]

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
# Bounded, so that no number takes long to convert or cannot be printed.
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,300}", re.ASCII)
_BASED: Final = re.compile(r"0o[0-7]{1,100}|0x[0-9a-fA-F]{1,100}", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_SPECIAL: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", re.ASCII)
_SHOWN: Final = 60


def scalar_value(node: yaml.Node) -> Scalar:
    """Return the value of a scalar node: what its text says if it is plain, else the text."""
    text: str = node.value
    if node.tag != PLAIN_TAG:
        return text
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    return _number_or_text(text)


def _number_or_text(text: str) -> str | int | float:
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", ""))
    return text


def is_null(node: yaml.Node) -> bool:
    """Tell whether the node is an absent value, `null` or `~`."""
    return isinstance(node, yaml.ScalarNode) and scalar_value(node) is None


def plain_value(node: yaml.Node, *, as_written: bool = False) -> Value:
    """Return the node as plain data; lists become tuples, the keys of mappings text.

    Args:
        node: part of a tree that `read_document` found sound, so the recursion is bounded.
        as_written: numbers and booleans become the text that stands in the file.
    """
    if isinstance(node, yaml.MappingNode):
        pairs = ((key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode))
        return {key.value: plain_value(value, as_written=as_written) for key, value in pairs}
    if isinstance(node, yaml.SequenceNode):
        return tuple(plain_value(item, as_written=as_written) for item in node.value)
    value = scalar_value(node)
    return node.value if as_written and value is not None else value


def shown(text: str) -> str:
    """Return text fit for one line of a message: unprintable characters escaped, cut when long."""
    line = one_line(text)
    return line if len(line) <= _SHOWN else line[: _SHOWN - 3] + "..."


def described(node: yaml.Node) -> str:
    """Return how a sentence calls what was found, e.g. `text 'abc'` or `the number 5`."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    match scalar_value(node):
        case None:
            return "nothing"
        case bool():
            return f"the boolean {node.value}"
        case int() | float():
            return f"the number {shown(node.value)}"
        case str() as text:
            return f"text '{shown(text)}'"
