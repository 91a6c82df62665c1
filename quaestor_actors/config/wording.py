"""Turns a validation error into a plain sentence: what was expected, what was found, and the remedy."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

import yaml

from quaestor_actors.config.yaml_document import PLAIN_TAG
from quaestor_actors.config.yaml_values import described, scalar_value, shown

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_EXPECTED: Final = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "agents_type": "a list of agent types, or a mapping from them to conditions",
}
_BOUNDS: Final = {
    "greater_than": ("gt", "a number above"),
    "greater_than_equal": ("ge", "a number not below"),
    "less_than_equal": ("le", "a number not above"),
}
_OTHER_BOOLEANS: Final = frozenset({"yes", "no", "on", "off", "y", "n"})
_NUMBERS: Final = frozenset({"int_type", "float_type"})


def sentence(error: ErrorDetails, node: yaml.Node) -> str:
    """Return the sentence for an error of pydantic about the value at a node."""
    kind = error["type"]
    if kind == "rule":
        return error["msg"]
    if kind == "expected":
        return f"expected {error['msg']}, found {described(node)}"
    if kind in _BOUNDS:
        name, expected = _BOUNDS[kind]
        limit = error.get("ctx", {})[name]
        return f"expected {expected} {limit:.0f}, found {described(node).removeprefix('the number ')}"
    expected = _EXPECTED.get(kind, "another value")
    return f"expected {expected}, found {described(node)}{_hint(kind, node)}"


def _hint(kind: str, node: yaml.Node) -> str:
    match kind:
        case "bool_type" if isinstance(node, yaml.ScalarNode) and node.value.lower() in _OTHER_BOOLEANS:
            truth = "true" if node.value.lower() in {"yes", "on", "y"} else "false"
            return f" (write {truth})"
        case "bool_type" | "int_type" | "float_type" if _is_quoted(kind, node):
            return " (remove the quotes)"
        case "string_type" if isinstance(node, yaml.ScalarNode) and scalar_value(node) is None:
            return " (write '' for empty text)"
        case "string_type" if isinstance(node, yaml.ScalarNode) or getattr(node, "flow_style", False):
            return " (put it in quotes)"
        case "tuple_type" | "agents_type" if isinstance(node, yaml.ScalarNode):
            return f" (write [{shown(node.value)}])"
        case _:
            return ""


def _is_quoted(kind: str, node: yaml.Node) -> bool:
    if not isinstance(node, yaml.ScalarNode) or node.tag == PLAIN_TAG:
        return False
    bare = scalar_value(yaml.ScalarNode(PLAIN_TAG, node.value))
    if kind == "bool_type":
        return isinstance(bare, bool)
    wanted = int if kind == "int_type" else (int, float)
    return isinstance(bare, wanted) and not isinstance(bare, bool)


def probably_meant(key: str, known: tuple[str, ...]) -> str | None:
    """Return the known key that is like an unknown one; None if none is."""
    by_lower = {name.lower(): name for name in known}
    close = get_close_matches(key.lower()[:100], by_lower, n=1)
    return by_lower[close[0]] if close else None


def unknown_key(key: str, known: tuple[str, ...]) -> str:
    """Return the sentence for a key that no mapping of this kind has."""
    if key == "<<":
        return "merging with `<<` is not part of YAML 1.2; write the keys out"
    if meant := probably_meant(key, known):
        return f"unknown key (did you mean {meant}?)"
    return f"unknown key (known are {', '.join(known)})"
