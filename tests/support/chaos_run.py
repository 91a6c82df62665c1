"""Short runs of chaos with a plan that a test writes down, on a small cluster; and the command itself."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.cluster import QUAESTOR, make_cluster

from quaestor_actors.chaos.disk import LockedDisk
from quaestor_actors.chaos.plan import Action, Step
from quaestor_actors.chaos.run import Outcome, run
from quaestor_actors.chaos.world import World

COMMAND_TIMEOUT_S = 110.0


def carry_out(folder: Path, *steps: Sequence[Action]) -> Outcome:
    """Do these faults, those of a step at once, to two workers and a balancer, and return what was seen."""
    make_cluster(folder)
    plan = [Step(number=number, pause_s=0.0, actions=tuple(actions)) for number, actions in enumerate(steps, start=1)]
    with World(folder, environ=os.environ, make_disk=LockedDisk) as world:
        # pytest shows what was said beside the assertion that fails.
        return run(world, plan, seconds=None, say=print)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How the command ended."""

    code: int
    verdict: dict[str, Any]
    """The report's document."""
    out: str
    err: str


def chaos(folder: Path, *arguments: str) -> Ended:
    """Run `quaestor chaos` to its end."""
    report = folder / "report.json"
    done = subprocess.run(
        [QUAESTOR, "chaos", "--report", report, *arguments],
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    verdict = json.loads(report.read_text()) if report.exists() and report.stat().st_size else {}
    return Ended(code=done.returncode, verdict=verdict, out=done.stdout, err=done.stderr)
