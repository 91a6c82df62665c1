"""Processes of the benchmark that answer questions: one line of JSON each, on their standard input and output."""

from __future__ import annotations

import asyncio
import json
import select
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_FOLDER = Path(__file__).resolve().parents[1]
_END_DEADLINE_S = 10.0
_LINE_LIMIT = 64 * 1024 * 1024


class ChildError(Exception):
    """A process of the benchmark ended or said nothing in time."""


class Child(AbstractContextManager["Child"]):
    """One such process. It ends with its standard input, so also when the benchmark itself is killed."""

    def __init__(self, module: str) -> None:
        """Start a module of this package."""
        self._module = module
        # A session of its own: Ctrl+C reaches the benchmark alone, which then ends everything in order.
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"balancing.{module}"],
            cwd=_FOLDER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def ask(self, *, deadline_s: float, **question: object) -> Any:
        """Ask, and return the answer.

        Raises:
            ChildError: there is none within the deadline.
        """
        self.tell(**question)
        return self.hear(deadline_s=deadline_s)

    def tell(self, **question: object) -> None:
        """Ask without waiting for the answer, which `hear` must fetch before the next question."""
        assert self._process.stdin is not None  # noqa: S101 - made with a pipe
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise ChildError(f"{self._module} has ended") from error

    def hear(self, *, deadline_s: float) -> Any:
        """Return the answer to what was asked; errors are as in `ask`."""
        assert self._process.stdout is not None  # noqa: S101 - made with a pipe
        # One answer for each question, so nothing of the next one is ever in the buffer.
        if not select.select([self._process.stdout], [], [], deadline_s)[0]:
            raise ChildError(f"{self._module} says nothing within {deadline_s:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise ChildError(f"{self._module} has ended; its error is above")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it; after a failure without waiting for an orderly end."""
        assert self._process.stdin is not None  # noqa: S101 - made with a pipe
        assert self._process.stdout is not None  # noqa: S101 - made with a pipe
        if kind is not None:
            self._process.kill()
        self._process.stdin.close()
        try:
            self._process.wait(_END_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


async def questions() -> AsyncIterator[Any]:
    """Yield what this process, a `Child`, is asked, until its input ends."""
    reader = asyncio.StreamReader(limit=_LINE_LIMIT)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


def answer(content: object) -> None:
    """Answer the question that was yielded last."""
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()
