"""Whether what was commanded on several hosts has come true: pure functions over what each of them shows."""

from __future__ import annotations

from collections.abc import Sequence

from quaestor_actors.actors.view import HostView
from quaestor_actors.cli.render import words
from quaestor_actors.cli.render_hosts import UNKNOWN
from quaestor_actors.cli.wishes import Holder, Outcome, Standing, Wish, holders, outcomes


def outcomes_on_hosts(hosts: Sequence[HostView], wished: Sequence[Wish]) -> list[Outcome]:
    """Return how it is with each wish; on a host that does not answer all are open."""
    found = []
    for host in hosts:
        its = [wish for wish in wished if wish.host == host.name]
        if host.is_current and host.tree is not None:
            found += outcomes(host.tree, its)
        else:
            why = _why(host)
            found += [Outcome(wish=wish, standing=Standing.OPEN, state=UNKNOWN, reason=why) for wish in its]
    return found


def holders_on_hosts(hosts: Sequence[HostView], found: Sequence[Outcome], now: float) -> list[Holder]:
    """Return who holds up what is still open: a host that does not answer as a whole, those who serve last.

    Args:
        hosts: what there is now.
        found: how it is with every wish.
        now: seconds since the epoch.
    """
    told: list[Holder] = []
    for host in hosts:
        its = [each for each in found if each.wish.host == host.name and each.standing is Standing.OPEN]
        if host.is_current and host.tree is not None:
            told += holders(host.tree, its, now, host=host.name)
        elif its:
            told.append(Holder(who=f"host {host.name}", state=host.state, reason=host.reason))
    return sorted(told, key=lambda one: one.state == "serving")


def _why(host: HostView) -> str:
    standing = "" if host.state in {"joined", "here"} else f" is {words(host.state)}"
    return f"{host.name}{standing}: {host.reason}"
