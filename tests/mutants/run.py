"""Plants faults into copies of the package, one at a time, and shows which tests notice.

    make mutants                         all of them
    make mutants FAULTS='fence|lease'    those whose name matches

A fault that no test notices is a hole in the tests: the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mutants.faults import FAULTS
from mutants.planting import ROOT, Fault

JOBS = 2
"""Faults that are tried at the same time."""

_FIRST_FAILURE = re.compile(r"^(?:FAILED|ERROR) (?:\S+/)?(\S+)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one fault."""

    fault: Fault
    caught_by: str | None
    """The test that failed first; None: nobody noticed."""
    seconds: float


def main() -> int:
    """Plant what is asked for, print the table, and return the exit code."""
    arguments = _parser().parse_args()
    chosen = [fault for fault in FAULTS if re.search(arguments.faults, fault.name)]
    width = max((len(fault.name) for fault in chosen), default=0)
    outcomes = []
    with ThreadPoolExecutor(max_workers=JOBS) as jobs:
        for outcome in jobs.map(plant, chosen):
            outcomes.append(outcome)
            caught_by = outcome.caught_by or "NOT CAUGHT"
            print(f"{outcome.fault.name:<{width}}  {outcome.seconds:5.1f} s  {caught_by}", flush=True)
    caught = sum(outcome.caught_by is not None for outcome in outcomes)
    print(f"{caught} of {len(outcomes)} faults are caught")
    return 0 if outcomes and caught == len(outcomes) else 1


def plant(fault: Fault) -> Outcome:
    """Run the fault's tests against a copy of the package that has the fault."""
    with tempfile.TemporaryDirectory(prefix="quaestor-mutant-") as directory:
        copy = Path(directory) / "quaestor_actors"
        shutil.copytree(ROOT / "quaestor_actors", copy, ignore=shutil.ignore_patterns("__pycache__"))
        path = copy / fault.file
        path.write_text(fault.planted_in(path.read_text()))
        began = time.monotonic()
        answer = _run_tests(fault, Path(directory))
        seconds = time.monotonic() - began
    if answer.returncode not in {0, 1, 2}:
        raise RuntimeError(f"the tests of {fault.name!r} did not run: {answer.stdout}{answer.stderr}")
    found = _FIRST_FAILURE.search(answer.stdout)
    return Outcome(fault=fault, caught_by=found[1] if found else None, seconds=seconds)


def _run_tests(fault: Fault, directory: Path) -> subprocess.CompletedProcess[str]:
    # Not `python -m pytest`, which would find the package without the fault in the current folder.
    command = [Path(sys.executable).with_name("pytest"), "-q", "-x", "--no-header", "--tb=no", "-p", "no:cacheprovider"]
    variables = {"PYTHONPATH": str(directory), "PYTHONDONTWRITEBYTECODE": "1", "QUAESTOR_PROFILE": "mutants"}
    environment = {**os.environ, **variables}
    return subprocess.run(
        [*command, *fault.tests], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Plant faults and see whether tests notice.")
    parser.add_argument("faults", nargs="?", default="", help="a regular expression for the names of faults")
    return parser


if __name__ == "__main__":
    sys.exit(main())
