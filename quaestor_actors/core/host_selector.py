"""How operators name members of several hosts: `Worker/2@a3` on one, `Worker/2` or `Worker/2@*` on all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from quaestor_actors.core import selector

ALL_HOSTS = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostMembers:
    """Who is on a host."""

    members: tuple[str, ...] | None
    """As it has said last; None: it has never said anything."""
    is_reachable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenOnHosts:
    """What selectors name."""

    members: dict[str, tuple[str, ...]]
    """By host, of those that can be reached; hosts of which nobody is meant are not there."""
    unknown: tuple[str, ...]
    """Selectors that name nobody."""
    out_of_reach: tuple[tuple[str, str], ...]
    """Selectors that name only members on a host that cannot be reached, and that host."""
    left_out: tuple[str, ...]
    """Hosts that cannot be reached, and on which selectors that also name others may name somebody."""


def split(text: str, hosts: Iterable[str]) -> tuple[str, str | None]:
    """Return what a selector says of members, and the host; None: all hosts.

    Hosts compare case-insensitively. What follows the last `@` and is no host is returned as it was written.
    """
    name, at, host = text.rpartition("@")
    if not at:
        return text, None
    if host == ALL_HOSTS:
        return name, None
    return name, next((known for known in hosts if known.lower() == host.lower()), host)


def choose(selectors: Iterable[str], hosts: Mapping[str, HostMembers]) -> ChosenOnHosts:
    """Return the members of each host that the selectors name."""
    chosen: dict[str, dict[str, None]] = {}
    unknown, out_of_reach, left_out = [], [], dict[str, None]()
    for text in selectors:
        name, host = split(text, hosts)
        meant = hosts if host is None else {host: hosts[host]} if host in hosts else {}
        found = {each: _named(name, meant[each].members or ()) for each in meant}
        there = {each: members for each, members in found.items() if members and meant[each].is_reachable}
        for each, members in there.items():
            chosen.setdefault(each, {}).update(dict.fromkeys(members))
        # Of a host that has never said anything it is open whether it has such a member.
        away = [each for each in meant if not meant[each].is_reachable and (found[each] or meant[each].members is None)]
        if there:
            left_out.update(dict.fromkeys(away))
        elif away and (host is not None or found[away[0]]):
            out_of_reach.append((text, away[0]))
        else:
            unknown.append(text)
    return ChosenOnHosts(
        members={host: tuple(chosen[host]) for host in hosts if host in chosen},
        unknown=tuple(unknown),
        out_of_reach=tuple(out_of_reach),
        left_out=tuple(left_out),
    )


def _named(name: str, members: tuple[str, ...]) -> tuple[str, ...]:
    return selector.choose([name], members).members
