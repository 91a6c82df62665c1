"""An actor of the tree on one screen, one of the user's above all: pure functions, what is known in, a list out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import tzinfo
from typing import Any

from quaestor_actors.actors.view import ActorView, HostView, TreeView
from quaestor_actors.cli.events_rendering import event_columns, event_document
from quaestor_actors.cli.explain_rendering import event_lines, host_facts, wrapped
from quaestor_actors.cli.listing import SCHEMA_VERSION, Listing, colour_of_state
from quaestor_actors.cli.render import age, words
from quaestor_actors.core.event import Event
from quaestor_actors.core.host_selector import on_host

_NEXT = {
    "failed": "nothing, until its configuration changes or the cluster is started again",
    "done": "nothing",
    "backing_off": "the next try",
    "crashed": "another one, as soon as its process has ended",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedActor:
    """What is known of an actor, at one moment."""

    cluster: str
    actor: ActorView
    events: tuple[Event, ...]
    """The newest first."""
    now: float
    """Seconds since the epoch."""
    host: HostView | None = None
    """On which of several hosts it is."""


def actor_of(tree: TreeView, who: str) -> ActorView | None:
    """Return an actor of a tree by its name; of the user's without what stands before it there."""
    return next((each for each in tree.actors if each.name in {who, f"actor/{who}"}), None)


def actor_listing(
    known: ExplainedActor, *, width: int | None = None, is_wide: bool = False, zone: tzinfo | None = None
) -> Listing[Event]:
    """Return what there is to say; the rows are the events.

    Args:
        known: what is known.
        width: at which reasons are continued on the next line; None: nowhere.
        is_wide: the events are shown as a table with all columns, and nothing is cut.
        zone: of the times that people read; None: of this machine.
    """
    actor = known.actor
    title = (
        (f"actor {_name(known)}: ", None),
        (words(actor.state), colour_of_state(actor.state)),
        (f" for {age(known.now - actor.since)}", None),
    )
    facts = [
        *host_facts(known.host, known.now),
        ("why", actor.reason or "started with the cluster"),
        ("process", "none" if actor.pid is None else f"pid {actor.pid}"),
        ("restarts", str(actor.restarts)),
        ("next", _NEXT.get(actor.state, "nothing")),
    ]
    above = [title, *wrapped(facts, None if is_wide else width)]
    return Listing(
        columns=event_columns(zone),
        rows=known.events,
        document=_document(known),
        head=tuple("".join(text for text, _ in line) for line in above) if is_wide else (),
        drawing=None if is_wide else (*above, *event_lines(known.events, known.now, has_subjects=False)),
    )


def _name(known: ExplainedActor) -> str:
    return on_host(known.actor.name.removeprefix("actor/"), "" if known.host is None else known.host.name)


def _document(known: ExplainedActor) -> dict[str, Any]:
    host = {} if known.host is None else {"cluster_host": known.host.name, "is_current": known.host.is_current}
    return {
        "schemaVersion": SCHEMA_VERSION,
        "cluster": known.cluster,
        **host,
        "subject": known.actor.name,
        "member": None,
        "process_started": None,
        "next": _NEXT.get(known.actor.state, "nothing"),
        "agent": None,
        "members": [],
        "supervisor": {name: value for name, value in asdict(known.actor).items() if name != "since"},
        "events": [event_document(event) for event in known.events],
        "output": [],
        "output_path": None,
    }
