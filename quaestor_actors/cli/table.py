"""From rows to lines of text that fit: pure functions.

A table has three tiers: full, condensed and mini. The first one that fits is taken; the column that takes the rest is
cut with an ellipsis. No line is ever wrapped. Without a width nothing is cut, so that a search finds everything.

What is shown may come from anybody who may write to the registry or runs a service, so nothing of it reaches a
terminal as a command.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from quaestor_actors.cli.listing import Colour, Column, Piece, Tier

GAP = 2
REST_AT_LEAST = 16
"""Cells for the column that takes the rest, if it needs them; else the next smaller tier is taken."""

ELLIPSIS = "…"


def printable(text: str) -> str:
    """Return a text with escapes in place of what would not be seen, or would command a terminal."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def width_of(text: str) -> int:
    """Return how many cells of a terminal a text takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def cut(text: str, width: int) -> str:
    """Return a text that takes no more than so many cells; one that was longer ends with an ellipsis."""
    if width_of(text) <= width:
        return text
    return _beginning(text, width - 1) + ELLIPSIS if width > 0 else ""


def drawn_line(pieces: Sequence[Piece], *, width: int | None, has_colours: bool) -> str:
    """Return a line of pieces that stand side by side."""
    texts = [printable(text) for text, _ in pieces]
    needed = sum(map(width_of, texts))
    is_cut = width is not None and needed > width
    left = needed if width is None or not is_cut else width - 1
    line = ""
    for text, (_, colour) in zip(texts, pieces, strict=True):
        line += _painted(_beginning(text, left), colour if has_colours else None)
        left = max(0, left - width_of(text))
    return line + ELLIPSIS if is_cut else line


def table_lines(
    columns: Sequence[Column[Any]], rows: Sequence[Any], *, width: int | None, has_colours: bool
) -> list[str]:
    """Return the header and a line for each row, none of them longer than the width; without rows nothing."""
    told = [column for column in columns if column.is_telling is None or any(map(column.is_telling, rows))]
    for tier in (Tier.FULL, Tier.CONDENSED, Tier.MINI):
        shown = [column for column in told if column.tier <= tier]
        cells = _cells_of(shown, rows)
        natural = _natural_widths(cells)
        if width is None or _least_width(shown, natural) <= width:
            break
    return _lines(shown, rows, cells, _fitted(shown, natural, width), has_colours=has_colours)


def wide_lines(columns: Sequence[Column[Any]], rows: Sequence[Any], *, has_colours: bool) -> list[str]:
    """Return the header and a line for each row, with all columns and nothing cut; without rows nothing."""
    cells = _cells_of(columns, rows)
    return _lines(columns, rows, cells, _natural_widths(cells), has_colours=has_colours)


def tsv_lines(columns: Sequence[Column[Any]], rows: Sequence[Any]) -> list[str]:
    r"""Return the header and a line for each row, all columns, separated by tabs; `\` escapes what is not printable."""
    lines = ["\t".join(column.title for column in columns)]
    for row in rows:
        values = ((column.exact or column.text)(row) for column in columns)
        lines.append("\t".join(printable(value.replace("\\", "\\\\")) for value in values))
    return lines


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines of left-aligned cells; the last one of each line is as long as it is."""
    cells = [tuple(header), *(tuple(row) for row in rows)]
    widths = _natural_widths(cells)
    return [_padded(line, widths) for line in cells]


def _beginning(text: str, width: int) -> str:
    """Return as much of a text as so many cells hold."""
    if width_of(text) <= width:
        return text
    kept = ""
    for letter in text:
        width -= _cells(letter)
        if width < 0:
            break
        kept += letter
    return kept


def _cells(letter: str) -> int:
    # Loading it takes longer than all else here, and most texts are ASCII.
    import unicodedata

    if unicodedata.combining(letter) or unicodedata.category(letter) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(letter) in {"W", "F"} else 1


def _painted(text: str, colour: Colour | None) -> str:
    return text if colour is None or not text else f"\x1b[{colour.value}m{text}\x1b[0m"


def _cells_of(columns: Sequence[Column[Any]], rows: Sequence[Any]) -> list[tuple[str, ...]]:
    """Return the header and all rows as text."""
    header = tuple(column.title for column in columns)
    return [header, *(tuple(printable(column.text(row)) for column in columns) for row in rows)]


def _natural_widths(cells: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(width_of, column)) for column in zip(*cells, strict=True)]


def _least_width(columns: Sequence[Column[Any]], natural: Sequence[int]) -> int:
    least = (
        min(width, REST_AT_LEAST) if column.takes_rest else width
        for column, width in zip(columns, natural, strict=True)
    )
    return sum(least) + GAP * (len(columns) - 1)


def _fitted(columns: Sequence[Column[Any]], natural: Sequence[int], width: int | None) -> list[int]:
    """Return the columns' widths; first the one that takes the rest gives way, then those to the right."""
    if width is None:
        return list(natural)
    surplus = sum(natural) + GAP * (len(columns) - 1) - width
    widths, left = [], width
    for column, wanted in zip(columns, natural, strict=True):
        size = max(0, wanted - max(0, surplus)) if column.takes_rest else wanted
        widths.append(max(0, min(size, left)))
        left -= widths[-1] + GAP
    return widths


def _lines(
    columns: Sequence[Column[Any]],
    rows: Sequence[Any],
    cells: Sequence[Sequence[str]],
    widths: Sequence[int],
    *,
    has_colours: bool,
) -> list[str]:
    if not rows:
        return []
    fitted = [[cut(cell, width) for cell, width in zip(line, widths, strict=True)] for line in cells]
    lines = [_padded(fitted[0], widths)]
    for row, line in zip(rows, fitted[1:], strict=True):
        paints = [_paint(column, row) if has_colours else str for column in columns]
        lines.append(_padded(line, widths, paints))
    return lines


def _paint(column: Column[Any], row: Any) -> Callable[[str], str]:
    colour = column.colour(row) if column.colour is not None else None
    return lambda text: _painted(text, colour)


def _padded(cells: Sequence[str], widths: Sequence[int], paints: Sequence[Callable[[str], str]] | None = None) -> str:
    # Spaces at the end of a line would be wrapped by a terminal that the line fills.
    end = max((at for at, cell in enumerate(cells) if cell), default=-1)
    line = ""
    for at, (cell, width) in enumerate(zip(cells[: end + 1], widths, strict=False)):
        padding = " " * (width - width_of(cell) + GAP) if at < end else ""
        line += (cell if paints is None else paints[at](cell)) + padding
    return line
