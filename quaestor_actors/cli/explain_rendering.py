"""A member or an agent on one screen: pure functions, what is known of it in, a list out."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import tzinfo
from typing import Any

from quaestor_actors.actors.view import ActorView, AgentView, HostView, MemberView
from quaestor_actors.cli.events_rendering import event_columns, event_document
from quaestor_actors.cli.listing import SCHEMA_VERSION, Listing, Piece, colour_of_state
from quaestor_actors.cli.next_step import what_next
from quaestor_actors.cli.render import age, agent_document, member_document, moment, words
from quaestor_actors.core.event import Event
from quaestor_actors.core.host_selector import on_host

_LABEL_WIDTH = 12
_MEMBERS = 10
"""As many of an agent's are on its screen."""

Line = tuple[Piece, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What is known of a member or of an agent, at one moment."""

    cluster: str
    agent: AgentView
    """The member's, if it is about one."""
    member: MemberView | None
    """None: it is about the agent."""
    members: tuple[MemberView, ...]
    """All of the agent."""
    supervisor: ActorView | None
    started: float | None
    """When the member's process was started, in seconds since the epoch; None: there is none, or it is not known."""
    events: tuple[Event, ...]
    """The newest first."""
    output: tuple[str, ...]
    """The last lines that the member wrote."""
    output_path: str | None
    now: float
    """Seconds since the epoch."""
    host: HostView | None = None
    """On which of several hosts it is."""

    @property
    def host_name(self) -> str:
        """The host's; empty where there are no others."""
        return "" if self.host is None else self.host.name


def explain_listing(
    known: Explained, *, width: int | None = None, is_wide: bool = False, zone: tzinfo | None = None
) -> Listing[Event]:
    """Return what there is to say; the rows are the events.

    Args:
        known: what is known.
        width: at which reasons are continued on the next line; None: nowhere.
        is_wide: the events are shown as a table with all columns, and nothing is cut.
        zone: of the times that people read; None: of this machine.
    """
    facts = _member_facts(known, known.member) if known.member is not None else _agent_facts(known)
    facts = [*host_facts(known.host, known.now), *facts]
    above = [_title(known), *wrapped(facts, None if is_wide else width)]
    below = _output_lines(known)
    return Listing(
        columns=event_columns(zone),
        rows=known.events,
        document=_document(known),
        head=tuple("".join(text for text, _ in line) for line in (*above, *below)) if is_wide else (),
        drawing=None
        if is_wide
        else (*above, *event_lines(known.events, known.now, has_subjects=known.member is None), *below),
    )


def _title(known: Explained) -> Line:
    one = known.member
    if one is not None:
        return (
            (f"{on_host(one.member, known.host_name)}: ", None),
            (words(one.state), colour_of_state(one.state)),
            (f" for {age(known.now - one.since)}", None),
        )
    states = Counter(each.state for each in known.members)
    serving = states.pop("serving", 0)
    others = "".join(f", {count} {words(state)}" for state, count in sorted(states.items()))
    phase = known.agent.phase
    return (
        (f"agent {on_host(known.agent.agent, known.host_name)}: ", None),
        (words(phase), colour_of_state(phase)),
        (f", {serving}/{len(known.members)} members serving{others}", None),
    )


def host_facts(host: HostView | None, now: float) -> list[tuple[str, str]]:
    """Return what there is to say of a host that does not answer."""
    if host is None or host.is_current:
        return []
    last = age(now - (host.tree_at or now))
    return [("host", f"{host.name}: {words(host.state)}: {host.reason}; this is what it said {last} ago")]


def _member_facts(known: Explained, one: MemberView) -> list[tuple[str, str]]:
    failed_checks = f"; failed in a row: {one.failed_checks}" if one.failed_checks else ""
    return [
        ("why", one.reason),
        ("process", _process(known, one)),
        ("restarts", _restarts(known, one)),
        ("check", (one.check or "nothing was said yet") + failed_checks),
        ("next", _next(known, one)),
    ]


def _next(known: Explained, one: MemberView) -> str:
    return what_next(one, known.agent, known.now, host=known.host_name)


def _process(known: Explained, one: MemberView) -> str:
    if one.pid is None:
        return f"none; it has had {one.incarnation}"
    up = f", up for {age(known.now - known.started)}" if known.started is not None else ""
    port = f", {one.host}:{one.port}" if one.port is not None else ""
    return f"pid {one.pid}{port}, incarnation {one.incarnation}{up}"


def _restarts(known: Explained, one: MemberView) -> str:
    retries = known.agent.startup_retries
    parts = [str(one.restarts), f"unexpected ends in a row: {one.failures}"]
    if retries is not None:
        parts.append(f"failed starts in a row: {one.failed_starts} of {retries}")
    return "; ".join((*parts, _intensity(known)))


def _intensity(known: Explained) -> str:
    agent = known.agent
    if agent.restart_limit is None or agent.restart_period_s is None:
        return "restarts of the agent: no limit"
    recent = sum(at > known.now - agent.restart_period_s for at in agent.recent_restarts)
    return f"restarts of the agent: {recent} of {agent.restart_limit} within {agent.restart_period_s:g} s"


def _agent_facts(known: Explained) -> list[tuple[str, str]]:
    agent, supervisor = known.agent, known.supervisor
    facts = [("why", agent.reason)] if agent.reason else []
    if agent.waits_for:
        facts.append(("waits for", ", ".join(agent.waits_for)))
    if agent.to_replace:
        facts.append(("to replace", ", ".join(agent.to_replace)))
    if agent.aborted:
        facts.append(("aborted", f"the last rolling restart: {agent.aborted}"))
    if supervisor is not None:
        pid = f"pid {supervisor.pid}" if supervisor.pid is not None else "no process"
        facts.append(("supervisor", f"{words(supervisor.state)}, {pid}, restarts: {supervisor.restarts}"))
    facts.append(("restarts", _intensity(known)))
    # Those that serve tell the least.
    told = sorted(known.members, key=lambda one: one.state == "serving")
    for number, one in enumerate(told[:_MEMBERS]):
        label = "" if number else "members"
        facts.append((label, f"{one.member} {words(one.state)} for {age(known.now - one.since)}: {one.reason}"))
    if len(told) > _MEMBERS:
        facts.append(("", f"and {len(told) - _MEMBERS} more"))
    return facts


def wrapped(facts: list[tuple[str, str]], width: int | None) -> list[Line]:
    """Return the lines of a screen with a label in front of each fact; None: a fact is one line."""
    lines: list[Line] = []
    for label, text in facts:
        room = None if width is None else max(20, width - _LABEL_WIDTH - 2)
        # Hostile text is made harmless where lines are drawn; here it must not bring line ends of its own.
        pieces = [text] if room is None else textwrap.wrap(text, room) or [""]
        for number, piece in enumerate(pieces):
            lines.append(((f"  {label if number == 0 else '':{_LABEL_WIDTH}}{piece}", None),))
    return lines


def event_lines(events: Sequence[Event], now: float, *, has_subjects: bool) -> list[Line]:
    """Return the lines of a screen that tell what has happened, the newest first."""
    lines: list[Line] = [(("", None),), (("events, the newest first", None),)]
    for event in events:
        who = f"{event.subject}  " if has_subjects else ""
        before = f"{words(event.before)} -> " if event.before else ""
        when = f"{age(now - event.at)} ago"
        lines.append(
            (
                (f"  {when:{_LABEL_WIDTH}}{who}{before}", None),
                (words(event.after), colour_of_state(event.after)),
                (f"  {event.reason}", None),
            )
        )
    return lines if events else [*lines, (("  none", None),)]


def _output_lines(known: Explained) -> list[Line]:
    if known.output_path is None:
        return []
    lines: list[Line] = [(("", None),), ((f"output, the last lines of {known.output_path}", None),)]
    lines += [((f"  {line}", None),) for line in known.output]
    return lines if known.output else [*lines, (("  none", None),)]


def _document(known: Explained) -> dict[str, Any]:
    now, supervisor = known.now, known.supervisor
    host = {} if known.host is None else {"cluster_host": known.host.name, "is_current": known.host.is_current}
    return {
        "schemaVersion": SCHEMA_VERSION,
        "cluster": known.cluster,
        **host,
        "subject": known.agent.agent if known.member is None else known.member.member,
        "member": None if known.member is None else member_document(known.member, now),
        "process_started": None if known.started is None else moment(known.started),
        "next": None if known.member is None else _next(known, known.member),
        "agent": agent_document(known.agent),
        "members": [member_document(each, now) for each in known.members],
        "supervisor": None
        if supervisor is None
        else {name: value for name, value in asdict(supervisor).items() if name != "since"},
        "events": [event_document(event) for event in known.events],
        "output": list(known.output),
        "output_path": known.output_path,
    }
