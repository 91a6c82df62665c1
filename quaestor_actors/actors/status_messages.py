"""What everybody asks the root, in a module of its own: a command that asks only this need not wait for the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from quaestor_actors.core.crossing import Crossing

# Whoever asks for the status must not wait for this, and it is an annotation only.
if TYPE_CHECKING:
    from quaestor_actors.actors.view import TreeView


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRequest(Crossing):
    """From anybody with the cookie: show the tree."""

    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReply(Crossing):
    """The answer to one StatusRequest."""

    request_id: str
    tree: TreeView
