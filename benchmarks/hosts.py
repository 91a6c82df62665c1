"""Measures three hosts when something happens to them: how soon the others know, and how soon what floats serves again.

Exit code: 0 if everything was measured, 1 if something was not, 2 if nothing could be, 130 after Ctrl+C.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from balancing.whole_run import BROKEN_GOAL, NOTHING_MEASURED, conditions, run, say
from support.floating_hosts import boot_now
from support.hurt_hosts import LOSS, NAMES, HurtHosts, run_hurt_hosts
from support.switched_networks import HERE, why_impossible
from support.waiting import wait_until

from quaestor_actors.core.event import Event

ROUNDS = 10
TTL_S = 2
MEMBER = "Witness/1"
UNDER_LOSS_S = 15.0
_PATIENCE_S = 60.0
_HEAD = ("event", "known, s", "served, s")
EXAMPLE = "example: make hosts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one event took, in seconds; None: nothing of the kind came of it."""

    known_s: float | None = None
    served_s: float | None = None


@dataclass(slots=True)
class Trial:
    """One event, from when it begins to happen."""

    hosts: HurtHosts
    host: str
    """Where the member that floats is."""
    began: float = field(default_factory=boot_now)
    began_at: float = field(default_factory=time.time)

    @property
    def others(self) -> list[str]:
        """The hosts on which it is not."""
        return [name for name in NAMES if name != self.host]

    def happens(self) -> None:
        """Count from now."""
        self.began, self.began_at = boot_now(), time.time()

    def known(self, by: Iterable[str], about: str, after: str) -> float:
        """Wait until hosts have heard something, and return after how long the last one had."""
        return max(self.heard(name, lambda each: (each.subject, each.after) == (about, after)) for name in by)

    def coordinated(self, by: Iterable[str]) -> float:
        """Wait until hosts know another coordinator."""
        former = self.host
        return max(
            self.heard(name, lambda each: each.subject == "coordinator" and each.after not in {former, "nobody"})
            for name in by
        )

    def served(self, on: Iterable[str]) -> float:
        """Wait until the member executes on one of these, begun since; return after how long it did."""
        places = tuple(on)

        def found() -> list[float]:
            all_of_it = self.hosts.floating.testimonies(MEMBER)
            return [each.began for each in all_of_it if each.host in places and each.began > self.began]

        return min(wait_until(found, _PATIENCE_S, f"{MEMBER} to execute on {places}")) - self.began

    def heard(self, name: str, is_it: Callable[[Event], bool]) -> float:
        """Wait until a host has written down such an event, and return after how long."""

        def found() -> list[float]:
            events = self.hosts.by_name[name].events()
            return [each.at for each in events if each.at >= self.began_at and is_it(each)]

        return wait_until(found, _PATIENCE_S, f"{name} to hear of it")[0] - self.began_at


def join(trial: Trial) -> Measured:
    """A host is started. Known: from when its actor system starts; served: from when its launcher does."""
    host = trial.hosts.by_name[trial.others[0]]
    trial.hosts.kill(host.host)
    watchers = [name for name in NAMES if name != host.host]
    wait_until(lambda: _see(trial, watchers, host.host, "lost"), _PATIENCE_S, "it to be lost")
    trial.happens()
    host.begin()
    known, served = trial.known(watchers, host.host, "joined"), _pinned(trial, host.host)
    (record,) = (host.directory / "run").glob("*/admin.pid")
    return Measured(known_s=known + trial.began_at - record.stat().st_mtime, served_s=served)


def tree_restarted(trial: Trial) -> Measured:
    """All actors of a host are killed, and started again; members go on. Served: until its root works."""
    host = trial.hosts.by_name[trial.others[0]]
    (record,) = (host.directory / "run").glob("*/admin.pid")
    trial.happens()
    os.kill(int(record.read_text().split()[0]), signal.SIGKILL)
    watchers = [name for name in NAMES if name != host.host]
    known = trial.known(watchers, host.host, "joined")
    return Measured(known_s=known, served_s=trial.heard(host.host, lambda each: each.after == "running"))


def power_lost(trial: Trial) -> Measured:
    """SIGKILL to everything on the host."""
    trial.happens()
    trial.hosts.kill(trial.host)
    return _lost(trial)


def cable(trial: Trial) -> Measured:
    """The cable is pulled out."""
    trial.happens()
    trial.hosts.networks.isolate(trial.host)
    return _lost(trial)


def one_separated(trial: Trial) -> Measured:
    """The host and the other two do not hear each other; all of them have etcd."""
    trial.happens()
    trial.hosts.networks.separate(trial.host, trial.others)
    known = [trial.known(trial.others, trial.host, "lost")]
    known += [trial.known([trial.host], other, "lost") for other in trial.others]
    return Measured(known_s=max(known))


def two_cut_off(trial: Trial) -> Measured:
    """Two of three lose their cables, the one with the member among them."""
    gone = trial.host, trial.others[0]
    trial.happens()
    trial.hosts.networks.isolate(*gone)
    known = max(trial.known([trial.others[1]], name, "lost") for name in gone)
    return Measured(known_s=known, served_s=trial.served([trial.others[1]]))


def one_way(trial: Trial) -> Measured:
    """One of the others does not hear the host any more, which still hears it."""
    trial.happens()
    trial.hosts.networks.cut([(trial.host, trial.others[0])])
    return Measured(known_s=trial.known([trial.others[0]], trial.host, "lost"))


def one_way_from_store(trial: Trial) -> Measured:
    """The host does not hear etcd any more, which still hears it."""
    trial.happens()
    trial.hosts.networks.cut([(HERE, trial.host)])
    known = trial.heard(trial.host, lambda each: each.after == "out of touch")
    return Measured(known_s=known, served_s=trial.served(trial.others))


def leader(trial: Trial) -> Measured:
    """The leader of etcd is killed; counted until etcd takes writes again."""
    trial.happens()
    trial.hosts.lose_leader()

    def is_writable() -> bool:
        try:
            trial.hosts.etcd.ctl("--dial-timeout", "1s", "--command-timeout", "1s", "put", "benchmark", "1")
        except subprocess.CalledProcessError:
            return False
        return True

    wait_until(is_writable, _PATIENCE_S, "etcd to take writes")
    return Measured(known_s=boot_now() - trial.began)


def coordinator(trial: Trial) -> Measured:
    """The coordinating host loses its power; counted until another one coordinates."""
    lost = wait_until(trial.hosts.coordinator, _PATIENCE_S, "a coordinator")
    moves = trial.host == lost
    trial.host = lost
    trial.happens()
    trial.hosts.kill(lost)
    known = trial.coordinated(trial.others)
    return Measured(known_s=known, served_s=trial.served(trial.others) if moves else None)


def heal(trial: Trial) -> Measured:
    """A cable is put back after 5 s; served: until the host may run what floats again."""
    trial.hosts.networks.isolate(trial.host)
    _lost(trial)
    wait_until(lambda: boot_now() > trial.began + 5.0, _PATIENCE_S, "time to pass")
    trial.happens()
    trial.hosts.networks.heal()
    known = [trial.known(trial.others, trial.host, "joined")]
    known += [trial.known([trial.host], other, "joined") for other in trial.others]
    served = trial.heard(trial.host, lambda each: each.after == "in touch")
    return Measured(known_s=max(known), served_s=served)


def loss(trial: Trial) -> Measured:
    """Three frames of ten are lost for 15 s; known: how long hosts were taken for lost; served: the longest pause."""
    trial.happens()
    trial.hosts.networks.lose(LOSS)
    wait_until(lambda: boot_now() > trial.began + UNDER_LOSS_S, _PATIENCE_S, "time to pass")
    ends = time.time()
    trial.hosts.networks.heal()
    alarmed = 0.0
    for host in trial.hosts.by_name.values():
        lost: dict[str, float] = {}
        for event in host.events():
            if event.at > trial.began_at and event.after == "lost":
                lost[event.subject] = event.at
            if event.after == "joined" and event.subject in lost:
                alarmed += event.at - lost.pop(event.subject)
        alarmed += sum(ends - at for at in lost.values())
    wait_until(lambda: trial.hosts.floating.executing().get(MEMBER), _PATIENCE_S, f"{MEMBER} to execute")
    moments = sorted(m for each in trial.hosts.floating.testimonies(MEMBER) for m in each.moments if m > trial.began)
    return Measured(known_s=alarmed / 6, served_s=max(b - a for a, b in itertools.pairwise(moments)))


def power_lost_under_loss(trial: Trial) -> Measured:
    """SIGKILL to everything on the host, while three frames of ten are lost."""
    trial.hosts.networks.lose(LOSS)
    trial.happens()
    trial.hosts.kill(trial.host)
    return _lost(trial)


def _lost(trial: Trial) -> Measured:
    return Measured(known_s=trial.known(trial.others, trial.host, "lost"), served_s=trial.served(trial.others))


def _see(trial: Trial, by: Iterable[str], about: str, state: str) -> bool:
    def last(name: str) -> str:
        heard = [each.after for each in trial.hosts.by_name[name].events() if each.subject == about]
        return heard[-1] if heard else ""

    return all(last(name) == state for name in by)


def _pinned(trial: Trial, host: str) -> float:
    def found() -> list[float]:
        return [each.began for each in trial.hosts.pinned() if each.host == host and each.began > trial.began]

    return wait_until(found, _PATIENCE_S, "its own member to execute")[0] - trial.began


EVENTS: dict[str, Callable[[Trial], Measured]] = {
    "join": join,
    "all actors killed, and back": tree_restarted,
    "power lost": power_lost,
    "cable pulled out": cable,
    "one cannot hear the other hosts, nor they it": one_separated,
    "two of three cut off": two_cut_off,
    "one way to another host cut": one_way,
    "way from etcd cut": one_way_from_store,
    "leader of etcd lost": leader,
    "coordinator lost": coordinator,
    "cable put back": heal,
    "30 % of all frames lost": loss,
    "power lost, with 30 % of all frames lost": power_lost_under_loss,
}


def measure(folder: Path, rounds: int, ttl_s: int, names: list[str]) -> int:
    """Measure, show the table, and return the exit code."""
    if why := why_impossible():
        say(why)
        return NOTHING_MEASURED
    say(conditions())
    found: dict[str, list[Measured]] = {name: [] for name in names}
    failures = 0
    try:
        with run_hurt_hosts(folder, ttl_s=ttl_s) as hosts:
            for number, name in itertools.product(range(1, rounds + 1), names):
                failures += not _try(hosts, name, found[name], f"{number}/{rounds}")
                hosts.heal()
                hosts.expect_well()
    finally:
        _show(found)
    return BROKEN_GOAL if failures else 0


def _try(hosts: HurtHosts, name: str, found: list[Measured], which: str) -> bool:
    """Let an event happen, and return whether it was measured."""
    hosts.forget()
    try:
        found.append(EVENTS[name](Trial(hosts, hosts.claims()[MEMBER])))
        hosts.check()
    except (TimeoutError, AssertionError) as error:
        say(f"{which} {name}: {error}")
        return False
    say(f"{which} {name}: {found[-1]}")
    return True


def _show(found: dict[str, list[Measured]]) -> None:
    rows = [_HEAD]
    for name, results in found.items():
        known = [each.known_s for each in results if each.known_s is not None]
        served = [each.served_s for each in results if each.served_s is not None]
        rows.append((name, _figures(known), _figures(served)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _figures(values: list[float]) -> str:
    return f"{statistics.median(values):.2f}, {max(values):.2f} (of {len(values)})" if values else "-"


def main() -> int:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLE)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of each event (default: {ROUNDS})")
    parser.add_argument("--ttl", type=int, default=TTL_S, help=f"leaseTtlSeconds (default: {TTL_S})")
    parser.add_argument("--only", choices=EVENTS, action="append", help="an event, more than once for several")
    arguments = parser.parse_args()
    names = arguments.only or list(EVENTS)
    return run(lambda folder: measure(folder, arguments.rounds, arguments.ttl, names))


if __name__ == "__main__":
    sys.exit(main())
