"""Watching a list of somebody who does not always answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.listings import listings

from quaestor_actors.cli.forms import Form
from quaestor_actors.cli.listing import Listing
from quaestor_actors.cli.screen import Screen
from quaestor_actors.cli.watching import watch
from quaestor_actors.errors import NotRunningError

APPENDED = Screen(is_terminal=False, width=None, height=None, has_colours=False)
IN_PLACE = Screen(is_terminal=True, width=80, height=24, has_colours=False)
PLAN = listings()["plan"]


def looks(*outcomes: Listing[Any] | BaseException) -> Callable[[], Listing[Any]]:
    """Return a look that has these outcomes, one after the other."""
    following: Iterator[Listing[Any] | BaseException] = iter(outcomes)

    def look() -> Listing[Any]:
        outcome = next(following)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return look


def watched(form: Form, screen: Screen, *outcomes: Listing[Any] | BaseException) -> None:
    """Watch until Ctrl+C is among the outcomes."""
    with pytest.raises(KeyboardInterrupt):
        watch(looks(*outcomes, KeyboardInterrupt()), form, interval_s=0.001, screen=lambda: screen)


def test__outage__is_said_once_and_its_end_too(capsys: pytest.CaptureFixture[str]) -> None:
    away = NotRunningError("no cluster is running here")
    watched(Form.TABLE, APPENDED, PLAN, away, away, PLAN)
    captured = capsys.readouterr()
    assert captured.out.count("replace  Worker/1") == 2
    said = [line.partition(" ")[2] for line in captured.err.splitlines()]
    assert said == ["no cluster is running here; waiting until it answers again", "it answers again"]


def test__outage__in_place_keeps_what_was_and_says_so_above(capsys: pytest.CaptureFixture[str]) -> None:
    watched(Form.TABLE, IN_PLACE, PLAN, NotRunningError("no cluster is running here"))
    frames = capsys.readouterr().out.split("\x1b[H")
    assert "this is how it was last: no cluster is running here" in frames[-1].splitlines()[0]
    assert "replace  Worker/1" in frames[-1]


def test__first_look__fails_as_without_watching() -> None:
    with pytest.raises(NotRunningError):
        watch(looks(NotRunningError("gone")), Form.TABLE, interval_s=0.001, screen=lambda: APPENDED)


def test__machine_forms__follow_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    watched(Form.JSON, IN_PLACE, PLAN, PLAN)
    assert [json.loads(line)["cluster"] for line in capsys.readouterr().out.splitlines()] == ["demo", "demo"]
    watched(Form.TSV, APPENDED, PLAN, PLAN)
    first, second = capsys.readouterr().out.rstrip("\n").split("\n\n")
    assert first == second
    watched(Form.YAML, APPENDED, PLAN, PLAN)
    assert capsys.readouterr().out.count("---\n") == 2
