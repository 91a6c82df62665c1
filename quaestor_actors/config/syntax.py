"""What the YAML parser says, in words that name the remedy."""

from __future__ import annotations

import yaml

from quaestor_actors.config.source import LINE_BREAK

# The two parsers of PyYAML word the same problem differently; a part that is in one of them leads to our sentence.
_SENTENCES = (
    ("mapping values are not allowed", "a key is not allowed here: indent it like its neighbours, or put a value that "
     "holds ': ' in quotes"),
    ("did not find expected key", "expected a key: indent this line like its neighbours"),
    ("expected <block end>", "expected a key: indent this line like its neighbours"),
    ("did not find expected '-' indicator", "expected '- ': indent this line like its neighbours"),
    ("could not find expected ':'", "expected ': ' after the key"),
    ("unknown escape character", "unknown escape sequence: write \\\\ for a backslash, or use single quotes"),
    ("expected ',' or ']'", "expected ',' or ']'"),
    ("expected ',' or '}'", "expected ',' or '}'"),
)  # fmt: skip


def syntax_fault(error: yaml.MarkedYAMLError, text: str) -> tuple[int, int, str]:
    """Return the 1-based line and column of a parser's error, and a sentence for it."""
    problem = error.problem or "unknown problem"
    begun, mark = error.context_mark, error.problem_mark
    if mark is None:
        return 0, 0, f"is not valid YAML: {problem}"
    if "end of stream" in problem and begun is not None:
        # Where it begins helps more than the end of the file.
        return begun.line + 1, begun.column + 1, "the quotes that begin here are never closed"
    line, column = mark.line + 1, mark.column + 1
    if "cannot start any token" in problem:
        return line, column, _bad_start(text, mark)
    for part, sentence in _SENTENCES:
        if part in problem:
            since = f" to close what begins at line {begun.line + 1}" if "expected ','" in part and begun else ""
            return line, column, f"{sentence}{since}"
    return line, column, f"is not valid YAML: {problem}"


def _bad_start(text: str, mark: yaml.Mark) -> str:
    character = LINE_BREAK.split(text)[mark.line][mark.column]
    if character == "\t":
        return "a tab cannot indent: use spaces"
    return f"a value cannot begin with {character!r}: put it in quotes"
