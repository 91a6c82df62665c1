"""The health check by command: run, awaited to a deadline, and nothing of it left behind.

A command runs in a session of its own and is reaped through its pidfd. asyncio's own subprocesses are not used: they
are reaped the moment they end, and what is left of their process group could then no longer be killed safely.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress

from quaestor_actors.adapters.health_link import brief
from quaestor_actors.adapters.launch_options import without_secrets
from quaestor_actors.adapters.probe_verdict import Verdict
from quaestor_actors.core.member import Health

OUTPUT_BYTES = 4_096
"""So much of the end of a command's output is kept, to quote its last line."""

PIPE_BYTES = 65_536
"""What a pipe holds (pipe(7)), so that one read empties it."""

KILL_WAIT_S = 1.0
"""A killed command is gone within milliseconds, unless the kernel holds on to it; then nobody waits longer."""


class CommandProbe:
    """Runs one command again and again, never twice at the same time. Lives on one asyncio loop."""

    def __init__(
        self,
        command: str,
        *,
        host_name: str,
        port: int | None,
        environment: Mapping[str, str],
        working_directory: str | None,
    ) -> None:
        """Take what is to be run.

        Args:
            command: Split like a shell does, and run without one.
            host_name: Stands in for `{HostName}`.
            port: Stands in for `{Port}`; None: nothing does.
            environment: Added to the environment of this process, of which secrets stay out.
            working_directory: None: that of this process.
        """
        self._command = command
        self._replacements = {"{HostName}": host_name, "{Port}": "" if port is None else str(port)}
        self._environment = environment
        self._working_directory = working_directory
        self._run: _Run | None = None

    async def succeeds(self, *, timeout_s: float) -> Verdict:
        """Return whether the command exits with code 0 in time; at the deadline all of its group is killed."""
        try:
            async with asyncio.timeout(timeout_s):
                if self._run is not None:
                    await self._run.ended.wait()
                self._run = _Run(self._start())
                await self._run.ended.wait()
        except TimeoutError:
            return Verdict(health=Health.TIMEOUT, detail=f"the command did not end within {timeout_s:g} s")
        except (OSError, ValueError) as error:
            # ValueError: an unclosed quote, a NUL, or `=` in a variable's name.
            return Verdict(health=Health.NOT_SERVING, detail=f"the command cannot be run: {_cause(error)}")
        finally:
            await self._end()
        return _judge(self._run)

    def _start(self) -> subprocess.Popen[bytes]:
        arguments = shlex.split(self._command)
        if not arguments:
            raise ValueError("it is empty")
        for placeholder, value in self._replacements.items():
            arguments = [argument.replace(placeholder, value) for argument in arguments]
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            env={**without_secrets(os.environ), **self._environment},
            cwd=self._working_directory,
            start_new_session=True,
        )

    async def _end(self) -> None:
        if self._run is None or self._run.ended.is_set():
            return
        self._run.kill()
        # Whether it is gone in time or not: it is reaped when it is, and before the next one is started.
        with suppress(TimeoutError):
            async with asyncio.timeout(KILL_WAIT_S):
                await self._run.ended.wait()


class _Run:
    """A started command. It is reaped when it ends, whether or not anybody still waits for it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.ended = asyncio.Event()
        self.output = b""
        """The end of what it wrote."""
        self._process = process
        assert process.stdout is not None  # noqa: S101 - tells the type checker of stdout=PIPE
        self._stdout = process.stdout.fileno()
        try:
            self._pidfd = os.pidfd_open(process.pid)
        except OSError:
            with process:
                process.kill()
            raise
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._pidfd, self._reap)
        os.set_blocking(self._stdout, False)
        self._loop.add_reader(self._stdout, self._read)

    @property
    def exit_code(self) -> int:
        """How it ended, as `subprocess.Popen.returncode` says it; negative: the signal that killed it."""
        return self._process.returncode

    def kill(self) -> None:
        """Kill the command and all that it started in its process group; only while it is not reaped."""
        # Of another user: nothing can be done. Its end, should it come, is noticed all the same.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _read(self) -> None:
        try:
            piece = os.read(self._stdout, PIPE_BYTES)
        except BlockingIOError:
            return
        if not piece:
            self._loop.remove_reader(self._stdout)
        self.output = (self.output + piece)[-OUTPUT_BYTES:]

    def _reap(self) -> None:
        # Until it is reaped, its pid and so the group's id can belong to nobody else.
        self.kill()
        # What others, who escaped from the group, go on to write is not waited for.
        self._read()
        self._loop.remove_reader(self._stdout)
        self._loop.remove_reader(self._pidfd)
        with self._process:
            os.close(self._pidfd)
        self.ended.set()


def _judge(run: _Run) -> Verdict:
    if run.exit_code == 0:
        return Verdict(health=Health.SERVING, detail="the command exits with code 0")
    lines = run.output.decode("utf-8", errors="replace").strip().splitlines()
    said = f": {brief(lines[-1].strip())}" if lines else ""
    return Verdict(health=Health.NOT_SERVING, detail=f"the command {_ending(run.exit_code)}{said}")


def _cause(error: OSError | ValueError) -> str:
    if not isinstance(error, OSError):
        return brief(str(error))
    if error.filename is None:
        return brief(error.strerror)
    return brief(f"{error.filename}: {error.strerror}")


def _ending(exit_code: int) -> str:
    if exit_code > 0:
        return f"exited with code {exit_code}"
    try:
        return f"was killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was killed by signal {-exit_code}"
