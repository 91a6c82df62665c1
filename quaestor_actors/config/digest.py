"""A digest of what configuration files say, by which hosts can tell whether they have the same ones."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from quaestor_actors.config.yaml_values import plain_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    import yaml

_DIGITS: Final = 12
"""Enough to tell apart what one cluster will ever be configured by."""


def digest_of(documents: Iterable[yaml.Node]) -> str:
    """Return a digest of documents: of what they say, not of comments, spaces, or the order of keys.

    There may be secrets in them. They cannot be guessed back one by one, as all is digested at once.
    """
    said = [plain_value(document, as_written=True) for document in documents]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:_DIGITS]
