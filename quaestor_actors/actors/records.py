"""A host's records for other hosts: parts of its log directory, of which nobody names a file.

What is asked for are members, agents and actors. Their files are looked for among those that the cluster makes, and no
answer is larger than a page for each.
"""

from __future__ import annotations

from pathlib import Path

from quaestor_actors.actors.records_messages import (
    EventsReply,
    EventsRequest,
    MemberOutput,
    OutputReply,
    OutputRequest,
)
from quaestor_actors.adapters import cluster_events
from quaestor_actors.adapters.member_output import OutputFollower, OutputPosition, last_lines, output_files
from quaestor_actors.core import selector

PAGE_BYTES = 262_144

EVENT_BYTES = 256
"""About as much is one event, so that an answer has a page of them."""


def answer(
    directory: Path, request: EventsRequest | OutputRequest, *, page_bytes: int = PAGE_BYTES
) -> EventsReply | OutputReply:
    """Return what a host has to say to a request.

    Args:
        directory: its log directory.
        request: by whomever.
        page_bytes: of each ring of events, and of what all members that are asked for have written.
    """
    if isinstance(request, EventsRequest):
        return _events(directory, request, page_bytes)
    return _outputs(directory, request, page_bytes)


def _events(directory: Path, request: EventsRequest, page_bytes: int) -> EventsReply:
    found, complete_since = cluster_events.latest(directory, at_most=page_bytes)
    wanted = cluster_events.chosen(found, request.selectors, since=request.since)
    allowed = page_bytes // EVENT_BYTES
    most = allowed if request.count is None else min(request.count, allowed)
    events = tuple(wanted[max(0, len(wanted) - most) :])
    has_too_many = most != request.count and len(wanted) > most
    # Older ones than those that were read are asked for.
    lacks_some = complete_since > request.since and sum(event.at >= complete_since for event in events) < most
    return EventsReply(request_id=request.request_id, events=events, is_cut=has_too_many or lacks_some)


def _outputs(directory: Path, request: OutputRequest, page_bytes: int) -> OutputReply:
    files = output_files(directory)
    chosen = selector.choose(request.selectors, files)
    positions = dict(request.positions)
    room = page_bytes // max(1, len(chosen.members))
    outputs = tuple(_output(member, files[member], request, positions.get(member), room) for member in chosen.members)
    return OutputReply(request_id=request.request_id, outputs=outputs, unknown=chosen.unknown)


def _output(
    member: str, path: Path, request: OutputRequest, position: OutputPosition | None, room: int
) -> MemberOutput:
    follower = OutputFollower(path, position)
    if position is None:
        # A page has not more lines than bytes.
        most = room if request.count is None else min(request.count, room)
        lines = last_lines(path, most, end=follower.begin, at_most=room)
    else:
        lines = follower.added()
    kept = _newest(lines, room)
    return MemberOutput(
        member=member,
        path=str(path),
        lines=tuple(kept),
        position=follower.position,
        is_cut=len(kept) < len(lines),
    )


def _newest(lines: list[bytes], room: int) -> list[bytes]:
    """Return as many of the last lines as there is room for; a line that is longer by itself loses its end."""
    kept: list[bytes] = []
    for line in reversed(lines):
        if (room := room - len(line) - 1) < 0:
            return kept[::-1] if kept else [line[: room + len(line)]]
        kept.append(line)
    return kept[::-1]
