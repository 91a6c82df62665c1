"""What a launcher knows of its files while somebody else reads them: it never waits, and says what cannot be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from quaestor_actors.core.spec import ClusterSpec
from quaestor_actors.errors import ConfigError, OperationError
from quaestor_actors.system import source
from quaestor_actors.system.source import Source, SourceWatch

RUNNING = ClusterSpec(name="demo")


class Reading:
    """A reading whose answer the test gives."""

    def __init__(self) -> None:
        self._readable, self._writable = os.pipe()
        self._answer: ClusterSpec | Exception = RUNNING
        self.is_open = True

    def answer(self, answer: ClusterSpec | Exception) -> None:
        self._answer = answer
        os.write(self._writable, b"!")

    def fileno(self) -> int:
        return self._readable

    def result(self) -> ClusterSpec:
        assert os.read(self._readable, 1)
        self.cancel()
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    def cancel(self) -> None:
        if self.is_open:
            self.is_open = False
            os.close(self._readable)
            os.close(self._writable)


class Files:
    """A source whose readings wait for the test."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.readings: list[Reading] = []
        self.failure: OperationError | None = None
        files = (Path("/nowhere/quaestor.cluster.config.yml"),)
        self.watch = SourceWatch(Source(files=files, begin_reading=self._begin), self.said.append)

    def _begin(self) -> Reading:
        if self.failure is not None:
            raise self.failure
        self.readings.append(Reading())
        return self.readings[-1]


@pytest.fixture
def files() -> Iterator[Files]:
    files = Files()
    yield files
    for reading in files.readings:
        reading.cancel()


def test__what_was_read__is_returned_once(files: Files) -> None:
    assert files.watch.begin("SIGHUP")
    assert files.watch.fds == (files.readings[0].fileno(),)
    assert not files.watch.is_read()
    files.readings[0].answer(RUNNING)
    assert files.watch.is_read()
    assert files.watch.finish(RUNNING) == RUNNING
    assert files.said == ["SIGHUP"]
    assert files.watch.fds == ()
    assert not files.watch.is_read()
    assert files.watch.finish(RUNNING) is None


def test__reading_takes_too_long__is_given_up_and_said(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "READ_DEADLINE_S", 0.0)
    assert files.watch.begin("SIGHUP")
    assert files.watch.is_read()
    assert files.watch.finish(RUNNING) is None
    assert files.said == ["SIGHUP, and could not be read within 0 s; everything goes on as before"]
    assert not files.readings[0].is_open
    assert not files.watch.is_read()


def test__deadline_of_a_reading__wakes_the_launcher(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "READ_DEADLINE_S", -100.0)
    before = files.watch.wake_at
    files.watch.begin("SIGHUP")
    after = files.watch.wake_at
    assert before is not None
    assert after is not None
    assert after < before


def test__files_change_while_they_are_read__are_read_again(files: Files) -> None:
    files.watch.begin("SIGHUP")
    files.readings[0].answer(RUNNING)
    files.watch.begin("the configuration changed")
    assert not files.readings[0].is_open
    assert not files.watch.is_read()
    assert files.watch.fds == (files.readings[1].fileno(),)


@pytest.mark.parametrize("error", [ConfigError("no such key"), OperationError("no answer")])
def test__unusable_files__are_said(files: Files, error: Exception) -> None:
    files.watch.begin("SIGHUP")
    files.readings[0].answer(error)
    assert files.watch.finish(RUNNING) is None
    assert files.said == [f"SIGHUP, and cannot be used; everything goes on as before:\n{error}"]


def test__another_name__is_refused(files: Files) -> None:
    files.watch.begin("SIGHUP")
    files.readings[0].answer(ClusterSpec(name="other"))
    assert files.watch.finish(RUNNING) is None
    assert "cannot change from 'demo' to 'other'" in files.said[0]


def test__reading_cannot_begin__is_said(files: Files) -> None:
    files.failure = OperationError("no more processes")
    assert not files.watch.begin("SIGHUP")
    assert files.said == ["SIGHUP, and cannot be used; everything goes on as before:\nno more processes"]


def test__no_source__never_has_anything() -> None:
    watch = SourceWatch(None, lambda _: None)
    assert not watch.begin("SIGHUP")
    assert (watch.wake_at, watch.fds, watch.is_read(), watch.has_changed()) == (None, (), False, False)
