"""What the supervisors write down for people: every change once, whoever dies meanwhile."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace

import pytest
from support.simple_tree import SimpleTree, agent, cluster

from quaestor_actors.actors.agent_messages import Command
from quaestor_actors.actors.root_notes import of_actors
from quaestor_actors.actors.view import ActorView
from quaestor_actors.adapters.event_log import read
from quaestor_actors.core.restart import Intensity
from quaestor_actors.core.spec import RestartSpec

Start = Callable[..., SimpleTree]
Told = tuple[str, str | None, str, str]


def told(tree: SimpleTree, ring: str) -> list[Told]:
    """Return what a ring says: who, was, is, why."""
    events = read(tree.folder / "logs" / f"{ring}.events")
    return [(event.subject, event.before, event.after, event.reason) for event in events]


def test__killed_member__is_told_with_its_reason_and_its_new_process(start: Start) -> None:
    tree = start(agent(count=1))
    before = told(tree, "Worker")
    assert before == [
        ("Worker/1", None, "starting", "cluster start"),
        ("Worker", "waiting", "running", "every condition is met"),
        ("Worker/1", "starting", "serving", "cluster start"),
    ]
    tree.processes.exit(tree.member("Worker/1"), code=3)
    tree.settle()
    reason = "restarted: exited with code 3"
    assert told(tree, "Worker")[3:] == [
        ("Worker/1", "serving", "starting", reason),
        ("Worker/1", "starting", "serving", reason),
    ]
    last = list(read(tree.folder / "logs" / "Worker.events"))[-1]
    assert (last.pid, last.incarnation, last.restarts) == (tree.pids["Worker/1"], 2, 1)


def test__killed_agent_supervisor__its_successor_repeats_nothing(start: Start) -> None:
    tree = start(agent())
    before = told(tree, "Worker")
    tree.kill("agent/Worker")
    tree.pass_time(1.0)
    assert told(tree, "Worker") == before
    ours = [each for each in told(tree, "cluster") if each[0] == "agent/Worker"]
    reason = "restarted: its process ended unexpectedly"
    assert ours == [("agent/Worker", "running", "starting", reason), ("agent/Worker", "starting", "running", reason)]


def test__killed_root__goes_on_in_the_same_rings(start: Start) -> None:
    tree = start(agent())
    members = told(tree, "Worker")
    tree.kill("root")
    tree.pass_time(5.0)
    assert told(tree, "Worker") == members
    assert [each for each in told(tree, "cluster") if each[0] == "hello"] == [
        ("hello", None, "running", "launched"),
        ("hello", None, "running", "every actor was started again (tree number 2)"),
    ]


def test__cluster_that_stops__says_so_last(start: Start) -> None:
    tree = start(agent(count=1))
    tree.stop()
    tree.pass_time(60.0)
    tree.stop(force=True)
    assert [each[2] for each in told(tree, "Worker")][-1] == "stopped"
    assert [each for each in told(tree, "cluster") if each[0] == "hello"][1:] == [
        ("hello", "running", "stopping", "as commanded"),
        ("hello", "stopping", "stopped", "every actor has stopped"),
    ]


def test__locations_and_reloads__are_told(start: Start) -> None:
    tree = start(agent(count=1))
    assert ("Worker at localhost:5001", None, "offered", "handed out to clients") in told(tree, "cluster")
    tree.reload(cluster(agent(count=2)))
    assert ("hello", None, "changed", "start    Worker/2: added") in told(tree, "cluster")


def test__rings_cannot_be_written__members_are_kept_and_it_is_said_once(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    tree = start(agent())
    shutil.rmtree(tree.folder / "logs")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            tree.processes.exit(tree.member("Worker/1"))
            tree.pass_time(5.0)
    assert tree.states == {"Worker/1": "serving", "Worker/2": "serving"}
    said = [record.getMessage() for record in caplog.records if "cannot write events" in record.getMessage()]
    assert len(said) == len(set(said)) > 0


def test__status__says_how_much_of_the_intensity_is_used(start: Start) -> None:
    tree = start(agent(restart=RestartSpec(intensity=Intensity(limit=7, period_s=60.0))))
    tree.processes.exit(tree.member("Worker/1"))
    tree.settle()
    (shown,) = tree.status().agents
    assert (shown.restart_limit, shown.restart_period_s, len(shown.recent_restarts)) == (7, 60.0, 1)
    assert shown.recent_restarts[0] == pytest.approx(tree.shown("Worker/1").since)


def test__member_that_waits__shows_until_when_and_what_was_counted(start: Start) -> None:
    tree = start(agent(count=1))
    for _ in range(2):
        tree.processes.exit(tree.member("Worker/1"))
        tree.settle()
    waiting = tree.shown("Worker/1")
    assert (waiting.state, waiting.failures) == ("backing_off", 2)
    assert waiting.deadline is not None
    assert 0 < waiting.deadline - waiting.since < 1
    tree.command(Command.STOP, "Worker/1")
    assert tree.shown("Worker/1").deadline is None


def test__actors__only_those_that_fail_or_come_back_are_events() -> None:
    before = ActorView(name="registry", parent="root", state="running", reason="", since=0.0, pid=7, restarts=0)

    def events(old: ActorView | None, new: ActorView) -> list[str]:
        return [event.after for event in of_actors({old.name: old} if old else {}, {new.name: new}, at=1.0)]

    assert events(None, replace(before, state="starting")) == []
    assert events(replace(before, state="starting"), before) == []
    assert events(before, replace(before, state="stopping")) == []
    assert events(before, replace(before, state="crashed", reason="ValueError")) == ["crashed"]
    assert events(before, replace(before, state="backing_off")) == ["backing_off"]
    again = replace(before, state="starting", restarts=1)
    assert events(before, again) == ["starting"]
    assert events(again, replace(again, reason="the same", since=9.0)) == []
    assert events(again, replace(again, state="running")) == ["running"]
