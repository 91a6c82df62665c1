"""The forms in which every list can be had: pure functions, a list in, text out."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any, assert_never

from quaestor_actors.cli.listing import Listing
from quaestor_actors.cli.table import drawn_line, table_lines, tsv_lines, wide_lines


class Form(StrEnum):
    """What `-o` chooses."""

    TABLE = "table"
    """For people; on a terminal it fits the width."""
    WIDE = "wide"
    """For people: all columns, and nothing is cut."""
    JSON = "json"
    YAML = "yaml"
    TSV = "tsv"
    """A header and rows, separated by tabs; not aligned."""

    @property
    def is_for_people(self) -> bool:
        """Whether remarks belong beside it."""
        return self in {Form.TABLE, Form.WIDE}


def rendered(
    listing: Listing[Any], form: Form, *, width: int | None = None, has_colours: bool = False, is_compact: bool = False
) -> str:
    """Return a list in a form, without a newline at the end.

    Args:
        listing: what is listed.
        form: how.
        width: of the terminal, in cells; None: nothing is cut.
        has_colours: whether states have colours, in the forms for people.
        is_compact: JSON in one line, and YAML as one document of several.
    """
    match form:
        case Form.TABLE:
            return "\n".join(_for_people(listing, width=width, has_colours=has_colours))
        case Form.WIDE:
            body = wide_lines(listing.columns, listing.rows, has_colours=has_colours)
            return "\n".join(_below_head(listing, body, width=None))
        case Form.JSON:
            return json.dumps(listing.document, indent=None if is_compact else 2)
        case Form.YAML:
            return _yaml(listing, is_one_of_many=is_compact)
        case Form.TSV:
            return "\n".join(tsv_lines(listing.columns, listing.rows))
        case _:
            assert_never(form)


def _for_people(listing: Listing[Any], *, width: int | None, has_colours: bool) -> list[str]:
    if listing.drawing is None:
        body = table_lines(listing.columns, listing.rows, width=width, has_colours=has_colours)
    else:
        body = [drawn_line(pieces, width=width, has_colours=has_colours) for pieces in listing.drawing]
    return _below_head(listing, body, width=width)


def _below_head(listing: Listing[Any], body: list[str], *, width: int | None) -> list[str]:
    head = [drawn_line(((line, None),), width=width, has_colours=False) for line in listing.head]
    return [*head, *([""] if head and body else []), *body]


def _yaml(listing: Listing[Any], *, is_one_of_many: bool) -> str:
    # Only this form pays for it.
    import yaml

    plain = json.loads(json.dumps(listing.document))
    text: str = yaml.safe_dump(plain, sort_keys=False, width=1_000_000, explicit_start=is_one_of_many)
    return text.rstrip("\n")
