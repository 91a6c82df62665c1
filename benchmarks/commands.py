"""Measures how soon `quaestor --help` and `quaestor status` answer, beside an empty Python and `supervisorctl status`.

Exit code: 0 if every target is kept; 1 if one is not; 2 if something could not be measured; 130 after Ctrl+C.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from balancing.goals import Goal, is_broken
from balancing.whole_run import BROKEN_GOAL, NOTHING_MEASURED, conditions, run, say
from measure.deployment import Deployment
from measure.follower import DeadlineError
from peers.ours import Ours, program
from peers.packages import python_program
from peers.peer import Launch, UnavailableError

EXAMPLE = "example: .venv/bin/python benchmarks/commands.py --quick"
MEMBERS = 4
HELP_LIMIT_MS, STATUS_LIMIT_MS = 150.0, 300.0
"""On a machine that does nothing else: a busy one takes a multiple for everything, the empty Python included."""

_ROUNDS, _QUICK_ROUNDS = 40, 10
_WARM_UP = 2
_START_DEADLINE_S = 30.0
_POLL_S = 0.1
_COMMAND_DEADLINE_S = 30.0

EMPTY, HELP, STATUS, PEER = "python -c pass", "quaestor --help", "quaestor status", "supervisorctl status"

_SUPERVISORD = """\
[unix_http_server]
file = {directory}/supervisor.sock
[supervisord]
nodaemon = true
directory = {directory}
logfile = {directory}/supervisord.log
pidfile = {directory}/supervisord.pid
childlogdir = {directory}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl = unix://{directory}/supervisor.sock
[program:member]
command = /bin/sleep 100000
process_name = %(program_name)s_%(process_num)d
numprocs = {count}
"""


@dataclass(slots=True, kw_only=True)
class Command:
    """A command, and how long it took each time."""

    name: str
    words: tuple[str, ...]
    environment: Mapping[str, str]
    samples_ms: list[float] = field(default_factory=list)

    def measure(self) -> float:
        """Run it once and return its time in milliseconds.

        Raises:
            OSError: it fails, so its time says nothing.
        """
        began = time.perf_counter()
        done = subprocess.run(
            self.words, env=self.environment, capture_output=True, timeout=_COMMAND_DEADLINE_S, check=False
        )
        taken = 1000 * (time.perf_counter() - began)
        if done.returncode:
            raise OSError(f"{self.name} ended with code {done.returncode}: {done.stderr.decode(errors='replace')}")
        return taken


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0], epilog=EXAMPLE)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: for a first look")
    parser.add_argument("--no-install", action="store_true", help="leave supervisord out if it is not there")
    return parser.parse_args()


def _started(launch: Launch, directory: Path, until: ExitStack) -> Deployment:
    """Start a supervisor, which ends with everything of it at the end of the stack."""
    deployment = until.enter_context(Deployment(launch, directory=directory, is_member=lambda _: False))
    deployment.start()
    return deployment


def _await(what: str, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_DEADLINE_S
    while not is_so():
        if time.monotonic() > deadline:
            raise DeadlineError(f"{what} within {_START_DEADLINE_S:g} s")
        time.sleep(_POLL_S)


def _ours(directory: Path, until: ExitStack) -> list[Command]:
    directory.mkdir()
    launch = Ours().configure_sample(directory)
    deployment = _started(launch, directory, until)
    _await("the sample does not serve", lambda: deployment.has_said("members serve"))
    environment = {**os.environ, **launch.environment}
    # An installed package has its bytecode; without it each command would compile what it imports.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    quaestor = str(program())
    return [
        Command(name=HELP, words=(quaestor, "--help"), environment=environment),
        Command(name=STATUS, words=(quaestor, "status"), environment=environment),
    ]


def _peer(directory: Path, until: ExitStack, *, install: bool) -> list[Command]:
    directory.mkdir()
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    cache = Path(base) / "quaestor-bench"
    try:
        supervisord = python_program("supervisord", package="supervisor", cache=cache, install=install)
    except UnavailableError as error:
        say(f"without supervisorctl: {error}")
        return []
    file = directory / "supervisord.conf"
    file.write_text(_SUPERVISORD.format(directory=directory, count=MEMBERS), encoding="utf-8")
    _started(Launch(command=(str(supervisord), "-c", str(file))), directory, until)
    words = (str(supervisord.with_name("supervisorctl")), "-c", str(file), "status")
    command = Command(name=PEER, words=words, environment=os.environ)

    def all_run() -> bool:
        return subprocess.run(words, capture_output=True, check=False).stdout.count(b"RUNNING") == MEMBERS

    _await("supervisord does not run its members", all_run)
    return [command]


def _measure(commands: Sequence[Command], rounds: int) -> None:
    """Let the commands take turns, so that a disturbance hits all of them."""
    for number in range(rounds + _WARM_UP):
        turn = commands if number % 2 else commands[::-1]
        for command in turn:
            taken = command.measure()
            if number >= _WARM_UP:
                command.samples_ms.append(taken)


def _table(commands: Sequence[Command]) -> str:
    lines = [f"{'command':24}{'median ms':>12}{'best ms':>12}{'x empty python':>18}"]
    for command in commands:
        median, ratio = statistics.median(command.samples_ms), _ratio(command, commands[0])
        lines.append(f"{command.name:24}{median:>12.0f}{min(command.samples_ms):>12.0f}{ratio:>18.2f}")
    return "\n".join(lines)


def _ratio(command: Command, other: Command) -> float:
    """Return the median of one by the other, round by round: neighbours see the same machine."""
    pairs = zip(command.samples_ms, other.samples_ms, strict=True)
    return statistics.median(mine / theirs for mine, theirs in pairs)


def _goals(commands: Sequence[Command]) -> list[Goal]:
    by_name = {command.name: command for command in commands}
    goals = [
        Goal(title=name, measured=statistics.median(by_name[name].samples_ms), limit=limit, unit="ms")
        for name, limit in ((HELP, HELP_LIMIT_MS), (STATUS, STATUS_LIMIT_MS))
    ]
    if PEER in by_name:
        say(f"{STATUS} takes {_ratio(by_name[STATUS], by_name[PEER]):.2f} times as long as {PEER}")
    return goals


def _whole(arguments: argparse.Namespace, directory: Path) -> int:
    print(conditions())
    python = Command(name=EMPTY, words=(sys.executable, "-c", "pass"), environment=os.environ)
    with ExitStack() as until:
        commands = [
            python,
            *_ours(directory / "ours", until),
            *_peer(directory / "peer", until, install=not arguments.no_install),
        ]
        _measure(commands, _QUICK_ROUNDS if arguments.quick else _ROUNDS)
    print(_table(commands))
    goals = _goals(commands)
    print("\n".join(["", "targets, on an idle machine", *(goal.line for goal in goals)]))
    return BROKEN_GOAL if is_broken(goals) else 0


def main() -> int:
    """Measure, and return the exit code."""
    arguments = _arguments()
    try:
        return run(lambda directory: _whole(arguments, directory))
    except subprocess.TimeoutExpired as error:
        say(f"nothing is said: {error}")
        return NOTHING_MEASURED


if __name__ == "__main__":
    sys.exit(main())
