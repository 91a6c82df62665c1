"""The plan of a run is decided by its seed, and by nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import islice

from quaestor_actors.chaos.plan import ConfigVariant, Fault, Role, step, steps

PLANNED = 300


def test__plan__same_seed_in_another_process__is_the_same() -> None:
    code = f"from quaestor_actors.chaos.plan import step\nfor n in range(1, {PLANNED}): print(step(7, n))"
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str(step(7, number)) for number in range(1, PLANNED)]


def test__plan__other_seed__is_another_one() -> None:
    assert list(islice(steps(1), PLANNED)) != list(islice(steps(2), PLANNED))


def test__plan__begun_later__goes_on_as_if_begun_first() -> None:
    assert list(islice(steps(3, first=11), 10)) == list(islice(steps(3), 20))[10:]


def test__plan__long_enough__has_every_fault_for_everybody() -> None:
    actions = [action for each in islice(steps(1), PLANNED) for action in each.actions]
    assert {action.fault for action in actions} == set(Fault)
    assert {action.role for action in actions if action.fault is Fault.KILL} == set(Role)
    assert {action.variant for action in actions if action.fault is Fault.CONFIG} == set(ConfigVariant)
    assert any(len(each.actions) > 1 for each in islice(steps(1), PLANNED))


def test__plan__chosen_faults__has_no_others() -> None:
    chosen = (Fault.HANG, Fault.GARBAGE)
    actions = [action for each in islice(steps(1, chosen), PLANNED) for action in each.actions]
    assert {action.fault for action in actions} == set(chosen)
