"""From a file to YAML nodes: only safe machinery, bounded in size and depth, every failure with its place.

Scalars stay unresolved (`PLAIN_TAG`): PyYAML would read them by the rules of YAML 1.1, where `no` is false.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

import yaml

from quaestor_actors.config.report import Place, Report

if TYPE_CHECKING:
    from pathlib import Path

PLAIN_TAG: Final = "plain"
"""The tag of a scalar without quotes or explicit tag: its type follows from its text."""

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 40
MAX_EXPANDED_NODES: Final = 50_000
"""How many nodes a document may have once each alias stands for a copy of what it names."""

_LINE_BREAK: Final = re.compile("\r\n|\r|\n")

_OTHER_LINE_BREAKS: Final = re.compile("[\x85\u2028\u2029]")
"""Lines end here for YAML 1.1, and so for PyYAML; not for YAML 1.2, and not for editors."""

_STANDARD_TAGS: Final[dict[type[yaml.Node], str]] = {
    yaml.ScalarNode: "tag:yaml.org,2002:str",
    yaml.SequenceNode: "tag:yaml.org,2002:seq",
    yaml.MappingNode: "tag:yaml.org,2002:map",
}

# PyYAML's wording on the left; the remedy, in terms of what the user sees, on the right.
_REMEDIES: Final = (
    (r"cannot start any token", "this character cannot begin a value here; put the text in quotes"),
    (r"mapping values are not allowed", "unexpected `:`; mend the indentation, or put the text in quotes"),
    (r"could not find expected ':'", "a key without its `:`"),
    (r"expected <block end>", "the indentation does not fit the lines above"),
    (r"undefined alias", "an alias (`*name`) of an anchor (`&name`) that is not there"),
    (r"duplicate anchor|second occurrence", "an anchor (`&name`) of this name is there already"),
    (r"end of stream", "the file ends inside a quoted text"),
    (r"',' or '[\]}]'", "a list or mapping in brackets is not closed, or lacks a comma"),
    (r"another document", "a second document begins; one file holds one"),
    (r"unknown escape character", "an unknown escape after the backslash; single quotes keep it as it is"),
)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, used up to the nodes only, with a limit to the nesting."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._nodes += 1
        if self._nodes > MAX_EXPANDED_NODES:
            problem = f"more than {MAX_EXPANDED_NODES} values; this cannot be a configuration"
            raise yaml.composer.ComposerError(problem=problem, problem_mark=self.get_mark())
        self._depth += 1
        if self._depth > MAX_DEPTH:
            problem = f"nested deeper than {MAX_DEPTH} levels"
            raise yaml.composer.ComposerError(problem=problem, problem_mark=self.get_mark())
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: object) -> str:  # noqa: ARG002 - overrides
        match implicit:
            case (True, _) if kind is yaml.ScalarNode:
                return PLAIN_TAG
            case _:
                return _STANDARD_TAGS[kind]


class _Mark(Protocol):
    line: int
    column: int


def read_document(file: Path, report: Report) -> yaml.Node | None:
    """Return the root node of a file, or None after a fault has been reported.

    Args:
        file: the file to read.
        report: takes whatever is wrong; with a root node returned the whole tree is sound and bounded.
    """
    raw = _read(file, report)
    text = None if raw is None else _decode(raw, report)
    root = None if text is None else _compose(text, report)
    if root is None or not _is_sound(root, report):
        return None
    return root


def _read(file: Path, report: Report) -> bytes | None:
    try:
        if not file.exists():
            report.fault(Place(), "there is no such file")
            return None
        # Opening a pipe or a device could wait for ever.
        if not file.is_file():
            report.fault(Place(), "not a regular file")
            return None
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        report.fault(Place(), f"cannot be read: {error.strerror}")
        return None
    if len(raw) > MAX_BYTES:
        report.fault(Place(), f"larger than {MAX_BYTES // 1024} KiB; this cannot be a configuration")
        return None
    return raw


def _place_at(before: str) -> Place:
    lines = _LINE_BREAK.split(before)
    return Place(line=len(lines), column=len(lines[-1]) + 1)


def _decode(raw: bytes, report: Report) -> str | None:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        place = _place_at(raw[: error.start].decode("utf-8").removeprefix("\ufeff"))
        report.fault(place, f"byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8")
        return None
    text = text.removeprefix("\ufeff")
    if unprintable := yaml.reader.Reader.NON_PRINTABLE.search(text):
        place = _place_at(text[: unprintable.start()])
        report.fault(place, f"character U+{ord(unprintable.group()):04X} is not allowed in YAML")
        return None
    if line_break := _OTHER_LINE_BREAKS.search(text):
        place = _place_at(text[: line_break.start()])
        code = f"{ord(line_break.group()):04X}"
        report.fault(place, f'character U+{code} ends a line for some programs only; write "\\u{code}" in quotes')
        return None
    return text


def _compose(text: str, report: Report) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark or loader.get_mark()
        report.fault(_marked(mark), f"not valid YAML: {_remedy(error, text, mark)}")
        return None
    except (ValueError, OverflowError):
        # PyYAML hands escapes like "\UFFFFFFFF" and endless version numbers to chr() and int() unchecked.
        report.fault(_marked(loader.get_mark()), "not valid YAML: a number or an escape is out of range")
        return None
    finally:
        loader.dispose()
    if root is None:
        report.fault(Place(), "the file is empty")
        return None
    return root


def _marked(mark: _Mark) -> Place:
    return Place(line=mark.line + 1, column=mark.column + 1)


def _remedy(error: yaml.MarkedYAMLError, text: str, mark: _Mark) -> str:
    problem = error.problem or error.context or "it cannot be understood"
    lines = _LINE_BREAK.split(text)
    here = lines[mark.line][mark.column :] if mark.line < len(lines) else ""
    if here.startswith("\t"):
        return "a tab in the indentation; use spaces"
    for wording, remedy in _REMEDIES:
        if re.search(wording, problem):
            return remedy
    return problem


def _is_sound(root: yaml.Node, report: Report) -> bool:
    """Walk the tree as if every alias were a copy; report strange tags, and trees that have no end."""
    before = len(report.faults)
    waiting: list[tuple[yaml.Node, int]] = [(root, 1)]
    seen: set[int] = set()
    visited = 0
    while waiting:
        node, depth = waiting.pop()
        visited += 1
        if visited > MAX_EXPANDED_NODES or depth > MAX_DEPTH:
            place = _marked(node.start_mark)
            report.fault(place, "aliases unfold into more than any configuration needs; write the values out")
            break
        if id(node) not in seen:
            seen.add(id(node))
            _check_node(node, report)
        if isinstance(node, yaml.MappingNode):
            waiting.extend((part, depth + 1) for pair in node.value for part in pair)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend((item, depth + 1) for item in node.value)
    return len(report.faults) == before


def _check_node(node: yaml.Node, report: Report) -> None:
    if node.tag not in {PLAIN_TAG, _STANDARD_TAGS[type(node)]}:
        report.fault(_marked(node.start_mark), "tags (`!...`) are not used here; remove it")
    if isinstance(node, yaml.ScalarNode) and re.search("[\0\ud800-\udfff]", node.value):
        report.fault(_marked(node.start_mark), "an escape for a character that no text can hold")
