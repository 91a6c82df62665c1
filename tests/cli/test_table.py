"""Tables that fit: tiers, cuts, colours, and forms that nothing is cut in."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.profiles import examples

from quaestor_actors.cli.listing import Colour, Column, Tier, colour_of_state
from quaestor_actors.cli.table import (
    aligned,
    cut,
    drawn_line,
    printable,
    table_lines,
    tsv_lines,
    wide_lines,
    width_of,
)

Row = tuple[str, str, str]

COLUMNS: tuple[Column[Row], ...] = (
    Column(title="NAME", text=lambda row: row[0]),
    Column(title="STATE", text=lambda row: row[1], colour=lambda row: colour_of_state(row[1]), tier=Tier.CONDENSED),
    Column(title="EXTRA", text=lambda _: "more", tier=Tier.FULL),
    Column(title="RARE", text=lambda _: "much more", tier=Tier.WIDE),
    Column(title="WHY", text=lambda row: row[2], takes_rest=True),
)
ROWS: tuple[Row, ...] = (("a", "serving", "because it was started"), ("bb", "failed", "x"))

cells = st.text(max_size=40)


def at(width: int | None, *, has_colours: bool = False) -> list[str]:
    return table_lines(COLUMNS, ROWS, width=width, has_colours=has_colours)


def test__full__where_there_is_room() -> None:
    assert at(None) == [
        "NAME  STATE    EXTRA  WHY",
        "a     serving  more   because it was started",
        "bb    failed   more   x",
    ]
    assert at(44) == at(None)


@pytest.mark.parametrize(
    ("width", "header"),
    [
        (44, "NAME  STATE    EXTRA  WHY"),
        (38, "NAME  STATE    EXTRA  WHY"),
        (37, "NAME  STATE    WHY"),
        (31, "NAME  STATE    WHY"),
        (30, "NAME  WHY"),
    ],
)
def test__tiers__the_largest_one_that_leaves_room_for_the_reason(width: int, header: str) -> None:
    assert at(width)[0] == header


def test__rest__is_cut_with_an_ellipsis() -> None:
    assert at(38)[1] == "a     serving  more   because it was …"
    assert width_of(at(38)[1]) <= 38


def test__too_narrow_for_anything__the_first_columns_remain() -> None:
    assert at(6) == ["NAME", "a", "bb"]
    assert at(3) == ["NA…", "a", "bb"]


def test__wide__has_all_columns_whole() -> None:
    assert wide_lines(COLUMNS, ROWS, has_colours=False)[1] == "a     serving  more   much more  because it was started"


def test__without_rows__there_is_no_header_but_for_machines() -> None:
    assert table_lines(COLUMNS, (), width=80, has_colours=False) == []
    assert wide_lines(COLUMNS, (), has_colours=False) == []
    assert tsv_lines(COLUMNS, ()) == ["NAME\tSTATE\tEXTRA\tRARE\tWHY"]


def test__column_that_tells_nothing__is_left_out_of_the_table_alone() -> None:
    silent: Column[Row] = Column(title="SCOPE", text=lambda row: row[2], is_telling=lambda row: bool(row[2]))
    columns = (COLUMNS[0], silent)
    assert table_lines(columns, (("a", "", ""),), width=None, has_colours=False) == ["NAME", "a"]
    assert table_lines(columns, (("a", "", ""), ("b", "", "x")), width=None, has_colours=False)[0] == "NAME  SCOPE"
    assert wide_lines(columns, (("a", "", ""),), has_colours=False)[0] == "NAME  SCOPE"


def test__colours__are_of_states_alone_and_take_no_room() -> None:
    painted = at(38, has_colours=True)
    assert painted[1] == "a     \x1b[32mserving\x1b[0m  more   because it was …"
    assert painted[2] == "bb    \x1b[31mfailed\x1b[0m   more   x"
    assert [re.sub(r"\x1b\[\d+m", "", line) for line in painted] == at(38)


@pytest.mark.parametrize(
    ("state", "colour"),
    [
        ("serving", Colour.GREEN),
        ("running", Colour.GREEN),
        ("SERVING", Colour.GREEN),
        ("starting", Colour.YELLOW),
        ("backing_off", Colour.YELLOW),
        ("UNKNOWN", Colour.YELLOW),
        ("failed", Colour.RED),
        ("crashed", Colour.RED),
        ("NOT_SERVING", Colour.RED),
        ("unreachable", Colour.RED),
        ("stopped", None),
    ],
)
def test__colour_of_a_state(state: str, colour: Colour | None) -> None:
    assert colour_of_state(state) is colour


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
        ("", 0, ""),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("e\u0301e\u0301", 2, "e\u0301e\u0301"),
    ],
)
def test__cut__counts_cells_of_the_terminal(text: str, width: int, expected: str) -> None:
    assert cut(text, width) == expected


def test__drawn_line__is_cut_as_a_whole() -> None:
    pieces = (("name  ", None), ("serving", Colour.GREEN), (" 9s", None))
    assert drawn_line(pieces, width=None, has_colours=False) == "name  serving 9s"
    assert drawn_line(pieces, width=16, has_colours=False) == "name  serving 9s"
    assert drawn_line(pieces, width=15, has_colours=False) == "name  serving …"
    assert drawn_line(pieces, width=13, has_colours=False) == "name  servin…"
    assert drawn_line(pieces, width=4, has_colours=True) == "nam…"
    assert drawn_line(pieces, width=13, has_colours=True) == "name  \x1b[32mservin\x1b[0m…"


def test__tsv__escapes_what_would_break_it() -> None:
    row = ("tab\there", "line\nbreak", "back\\slash \x1b[2J")
    assert tsv_lines(COLUMNS, (row,))[1] == "tab\\there\tline\\nbreak\tmore\tmuch more\tback\\\\slash \\x1b[2J"


def test__aligned__pads_all_but_the_last() -> None:
    assert aligned(("A", "B"), [("long", "x"), ("s", "longer")]) == ["A     B", "long  x", "s     longer"]


@given(rows=st.lists(st.tuples(cells, cells, cells), max_size=4), width=st.integers(1, 120))
@settings(max_examples=examples(200))
def test__any_rows__no_line_is_longer_than_the_terminal_or_commands_it(rows: list[Row], width: int) -> None:
    for line in table_lines(COLUMNS, rows, width=width, has_colours=False):
        assert width_of(line) <= width
        assert line.isprintable()


@given(rows=st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=4))
@settings(max_examples=examples(100))
def test__any_rows__without_a_width_nothing_is_cut(rows: list[Row]) -> None:
    lines = table_lines(COLUMNS, rows, width=None, has_colours=False)
    for row, line in zip(rows, lines[1:], strict=True):
        assert all(printable(cell).rstrip() in line for cell in row)


@given(rows=st.lists(st.tuples(cells, cells, cells), max_size=4))
@settings(max_examples=examples(100))
def test__any_rows__can_be_had_back_from_tsv(rows: list[Row]) -> None:
    for row, line in zip(rows, tsv_lines(COLUMNS, rows)[1:], strict=True):
        parts = [part.encode("latin-1", "backslashreplace").decode("unicode_escape") for part in line.split("\t")]
        assert (parts[0], parts[1], parts[4]) == row
