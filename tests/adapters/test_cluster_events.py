"""Events of several rings as one story, and choosing among them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import pytest
from support.command_line import quaestor

from quaestor_actors.adapters.cluster_events import ClusterEvents, chosen
from quaestor_actors.adapters.event_log import EventLog
from quaestor_actors.cli.durations import Ago
from quaestor_actors.core.event import Event, EventKind

EVENT = Event(at=1.0, kind=EventKind.MEMBER, subject="W/1", before=None, after="starting", reason="cluster start")


def event(at: float, subject: str) -> Event:
    return replace(EVENT, at=at, subject=subject)


def test__rings__are_merged_by_time_also_those_that_come_later(tmp_path: Path) -> None:
    source = ClusterEvents(tmp_path)
    EventLog(tmp_path / "W.events").append([event(1, "W/1"), event(3, "W/2")])
    EventLog(tmp_path / "cluster.events").append([event(2, "agent/W")])
    assert [one.at for one in source.added()] == [1, 2, 3]
    EventLog(tmp_path / "V.events").append([event(5, "V/1")])
    EventLog(tmp_path / "W.events").append([event(4, "W/1")])
    assert [one.subject for one in source.added()] == ["W/1", "V/1"]
    assert source.added() == []


def test__selectors__are_as_everywhere_and_reach_what_belongs_to_an_agent() -> None:
    subjects = ["W", "W/1", "W/10", "agent/W", "agent/W/prober", "W at localhost:1", "WW/1", "cluster"]
    events = [event(at, subject) for at, subject in enumerate(subjects)]
    assert [one.subject for one in chosen(events, ["W/1"])] == ["W/1"]
    for selector in ("W", "W/*"):
        assert [one.subject for one in chosen(events, [selector])] == subjects[:6]
    assert chosen(events, []) == events
    assert [one.at for one in chosen(events, [], since=3.0, count=2)] == [6, 7]
    assert chosen(events, [], count=0) == []


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), ("1d", 86400)])
def test__ago(text: str, seconds: float) -> None:
    assert Ago().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "m", "-1s", "1w", "nan"])
def test__ago__that_is_none(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a duration"):
        Ago().convert(text, None, None)


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where clusters would leave their logs; none runs."""
    monkeypatch.setenv("QUAESTOR_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("QUAESTOR_LOG_DIR", str(tmp_path / "log"))
    return tmp_path / "log"


def test__cluster_that_is_down__is_found_by_its_events(logs: Path) -> None:
    nowhere = quaestor("events")
    assert (nowhere.code, nowhere.err.count("\n")) == (4, 1)
    (logs / "demo").mkdir(parents=True)
    EventLog(logs / "demo" / "W.events").append([EVENT])
    only = quaestor("events", "-o", "tsv")
    assert (only.code, only.out.splitlines()[1].split("\t")[2:6]) == (0, ["member", "W/1", "-", "starting"])
    (logs / "other").mkdir()
    EventLog(logs / "other" / "W.events").append([event(2, "O/1")])
    several = quaestor("events")
    assert (several.code, "demo, other" in several.err) == (1, True)
    assert "O/1" in quaestor("events", "--cluster", "other").out
    assert quaestor("events", "--cluster", "third").code == 4


def test__nothing_chosen__is_said(logs: Path) -> None:
    (logs / "demo").mkdir(parents=True)
    EventLog(logs / "demo" / "W.events").append([EVENT])
    answer = quaestor("events", "Nobody")
    assert (answer.code, answer.out, answer.err) == (0, "", "no events\n")


def test__output_of_a_cluster_that_is_down(logs: Path) -> None:
    (logs / "demo").mkdir(parents=True)
    EventLog(logs / "demo" / "W.events").append([EVENT])
    for number in (1, 2):
        (logs / "demo" / f"W-{number}.log").write_text(f"one\ntwo {number}\n")
    assert quaestor("logs", "W/1").out == "one\ntwo 1\n"
    assert quaestor("logs", "W", "--lines", "1").out == "W/1 | two 1\nW/2 | two 2\n"
    unknown = quaestor("logs", "W/3")
    assert (unknown.code, "W/1, W/2" in unknown.err) == (5, True)
