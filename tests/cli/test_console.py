"""What a launcher says, for people and as JSON."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from typing import Any

import pytest

from quaestor_actors.actors.root_messages import Changed
from quaestor_actors.actors.view import ActorView, AgentView, LocationView, MemberView, RegistryView
from quaestor_actors.console import LogFormat, News, console_of
from quaestor_actors.core.plan import Action, Plan
from quaestor_actors.core.spec import AgentSpec, ClusterSpec
from quaestor_actors.launcher import Narrator

SPEC = ClusterSpec(name="demo", agents=(AgentSpec(agent_type="Worker", executable="/bin/worker"),))
MEMBER = MemberView(
    member="Worker/1",
    state="backing_off",
    reason='exited with code 1; last output: "é\n"',
    since=0.0,
    pid=None,
    host="localhost",
    port=5161,
    restarts=4,
    incarnation=5,
)


def told(change: Changed) -> list[dict[str, Any]]:
    """Return what is said of a change in JSON."""
    stream = io.StringIO()
    Narrator(SPEC, console_of(LogFormat.JSON, stream)).changed(change)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test__member__has_its_facts_beside_the_sentence() -> None:
    (line,) = told(Changed(members=(MEMBER,)))
    assert line.pop("time")[-5:-4] == "."
    assert line == {
        "level": "warning",
        "logger": "quaestor",
        "message": f"Worker/1: backing off: {MEMBER.reason}",
        "cluster": "demo",
        "kind": "member",
        "member": "Worker/1",
        "agent": "Worker",
        "incarnation": 5,
        "restarts": 4,
        "address": "localhost:5161",
        "reason": MEMBER.reason,
        "state": "backing_off",
    }


def test__time__is_rfc_3339_in_utc() -> None:
    (line,) = told(Changed(said=("hello",)))
    assert pytest.approx(len("2026-11-21T20:38:22.512Z")) == len(line["time"])
    assert (line["time"][10], line["time"][-1]) == ("T", "Z")


@pytest.mark.parametrize(
    ("change", "kind", "level"),
    [
        (
            Changed(agents=(AgentView(agent="Worker", phase="gave_up", reason="too often", waits_for=()),)),
            "agent",
            "error",
        ),
        (
            Changed(agents=(AgentView(agent="Worker", phase="waiting", reason="", waits_for=("Store",)),)),
            "agent",
            "info",
        ),
        (
            Changed(locations=(LocationView(service="W", address="a:1", state="withheld", detail="gone"),)),
            "location",
            "warning",
        ),
        (
            Changed(
                actors=(
                    ActorView(
                        name="registry", parent="root", state="running", reason="killed", since=0.0, pid=7, restarts=1
                    ),
                )
            ),
            "actor",
            "info",
        ),
        (
            Changed(
                registry=RegistryView(
                    store="etcd at a:1", state="degraded", since=0.0, reason="away", locations=1, registered=1
                )
            ),
            "registry",
            "warning",
        ),
        (Changed(said=("the port is taken",)), "cluster", "info"),
    ],
)
def test__every_kind__is_one_object(change: Changed, kind: str, level: str) -> None:
    (line,) = told(change)
    assert (line["kind"], line["level"], line["cluster"]) == (kind, level, "demo")


def test__plan__is_a_line_for_each_action() -> None:
    stream = io.StringIO()
    action = Action(subject="Worker/1", verb="replace", detail="arguments changed")
    Narrator(SPEC, console_of(LogFormat.JSON, stream)).reloaded(SPEC, Plan(actions=(action,)))
    line = json.loads(stream.getvalue())
    assert (line["kind"], line["action"], line["subject"]) == ("configuration", "replace", "Worker/1")


def test__console__is_lines_with_the_time() -> None:
    stream = io.StringIO()
    say = console_of(LogFormat.CONSOLE, stream)
    say(News(text="before there is a cluster"))
    say(News(who="Worker/1", state="backing_off", text="exited", level=logging.ERROR, facts={"pid": 1}))
    first, second = stream.getvalue().splitlines()
    assert first == "before there is a cluster"
    assert second.partition(" ")[2] == "Worker/1     backing off  exited"


class Closed(io.StringIO):
    """A stream whose reader has gone."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


@pytest.mark.parametrize("log_format", list(LogFormat))
def test__nobody_listens__is_no_error(log_format: LogFormat) -> None:
    console_of(log_format, Closed())(News(who="x", text="y"))


def test__everything_else_on_stderr__is_json_too() -> None:
    program = (
        "import logging, sys, warnings\n"
        "from quaestor_actors.console import take_over_stderr\n"
        "take_over_stderr(sys.stderr)\n"
        "logging.getLogger('x').warning('told %s', 1)\n"
        "warnings.warn('old')\n"
        "try:\n    1 / 0\n"
        "except ZeroDivisionError:\n    logging.getLogger('x').exception('failed')\n"
        "raise ValueError('no\\nway')\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [(line["level"], line["logger"]) for line in lines] == [
        ("warning", "x"),
        ("warning", "py.warnings"),
        ("error", "x"),
        ("critical", "quaestor"),
    ]
    assert lines[0]["message"] == "told 1"
    assert "ZeroDivisionError" in lines[2]["traceback"]
    assert lines[3]["message"] == "ValueError: no\nway"
    assert "Traceback (most recent call last)" in lines[3]["traceback"]


CRASHING_READER = """
import os, signal, sys
from quaestor_actors.cli.reading import Reader
from quaestor_actors.console import take_over_stderr

def read(_directory):
    {crash}

take_over_stderr(sys.stderr)
Reader(read, None).result()
"""


def last_words_of_a_reader_that(crash: str) -> list[dict[str, Any]]:
    """Return what a launcher that logs JSON says when the child that reads its configuration comes to this."""
    program = CRASHING_READER.format(crash=crash)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    return [json.loads(line) for line in ended.stderr.splitlines()]


def test__crash_of_the_reader__is_json_too() -> None:
    crash, consequence = last_words_of_a_reader_that("raise ValueError('no way')")
    assert (crash["level"], crash["message"]) == ("critical", "ValueError: no way")
    assert consequence["message"].endswith("the configuration's reader ended with code 1 and no answer")


def test__interrupted_reader__leaves_the_words_to_its_parent() -> None:
    (consequence,) = last_words_of_a_reader_that("os.kill(os.getpid(), signal.SIGINT); signal.pause()")
    assert consequence["message"].endswith("ended with code -2 and no answer")
