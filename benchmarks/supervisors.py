"""Measures our supervisor beside runit, s6, supervisord and circus, in one run on one machine.

python benchmarks/supervisors.py [--quick] [--only ours,runit] [--measure restart,scale] [-o table|json]

Exit code: 0 if every target that was measured is kept; 1 if one is not, or a measurement failed; 2 if nothing could be
measured; 130 after Ctrl+C.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import NoReturn

import table
from figures import Figures
from measure import crash_loop, idle, memory, our_tree, processes, restart, scale
from measure.follower import new_listener
from measure.session import QUICK, THOROUGH, Session
from peers.catalogue import DEFAULT, all_peers
from peers.peer import Peer, UnavailableError
from targets import Outcome, judge

MEASURES: dict[str, tuple[Callable[[Session], None], ...]] = {
    "restart": (restart.measure,),
    "scale": (scale.measure,),
    "memory": (memory.measure, our_tree.measure),
    "crash": (crash_loop.measure,),
    "idle": (idle.measure,),
}
BROKEN_TARGET, NOTHING_MEASURED, INTERRUPTED = 1, 2, 130


def _names(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def split(text: str) -> tuple[str, ...]:
        chosen = tuple(text.split(","))
        if unknown := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known are {', '.join(known)}")
        return chosen

    return split


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    peers, measures = tuple(all_peers()), tuple(MEASURES)
    parser.add_argument("--quick", action="store_true", help="fewer trials, shorter idling: for a first look")
    parser.add_argument("--only", type=_names(peers), default=DEFAULT, metavar="A,B", help=f"of {', '.join(peers)}")
    parser.add_argument(
        "--measure", type=_names(measures), default=measures, metavar="A,B", help=f"of {', '.join(measures)}"
    )
    parser.add_argument("--no-install", action="store_true", help="skip peers that are not there")
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table", help="default: table")
    return parser.parse_args()


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "quaestor-bench"


def _prepared(names: tuple[str, ...], figures: Figures, *, install: bool) -> dict[str, Peer]:
    """Return the peers that can be measured here."""
    known = all_peers()
    ready: dict[str, Peer] = {}
    for name in names:
        try:
            known[name].prepare(_cache(), install=install)
        except UnavailableError as error:
            figures.remark(f"{name} is skipped: {error}")
        else:
            ready[name] = known[name]
    return ready


def _conditions(session: Session) -> dict[str, object]:
    listener = new_listener()
    listener.close()
    return {
        "machine": f"{platform.system()} {platform.release()}, {os.cpu_count()} processors",
        "python": platform.python_version(),
        "at": time.strftime("%Y-%m-%d %H:%M:%S"),
        "clock": listener.description,
        "load_before": os.getloadavg()[0],
        **asdict(session.thoroughness),
    }


def _run(arguments: argparse.Namespace, directory: Path) -> int:
    figures = Figures()
    peers = _prepared(arguments.only, figures, install=not arguments.no_install)
    session = Session(
        peers=peers,
        thoroughness=QUICK if arguments.quick else THOROUGH,
        figures=figures,
        directory=directory,
    )
    conditions = _conditions(session)
    for name in arguments.measure:
        for measure in MEASURES[name]:
            measure(session)
    verdicts = judge(figures)
    if arguments.output == "json":
        print(table.document(figures, verdicts, tuple(peers), conditions=conditions))
    else:
        print(f"{conditions['at']}, {conditions['machine']}, load before {conditions['load_before']:.2f}")
        print(f"Restarts, starts and stops: {conditions['clock']}.\n")
        print(table.text(figures, verdicts, tuple(peers)))
    if not figures.samples:
        return NOTHING_MEASURED
    is_broken = figures.has_failed or any(verdict.outcome is Outcome.FAIL for verdict in verdicts)
    return BROKEN_TARGET if is_broken else 0


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    # Once is enough: the next must not disturb the ending of a thousand processes.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    """Run the comparison; whatever happens, end everything that it started."""
    arguments = _arguments()
    processes.become_subreaper()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    with tempfile.TemporaryDirectory(prefix="qbench-") as directory:
        try:
            return _run(arguments, Path(directory))
        except KeyboardInterrupt:
            return INTERRUPTED
        finally:
            processes.kill_descendants(of=os.getpid())


if __name__ == "__main__":
    sys.exit(main())
