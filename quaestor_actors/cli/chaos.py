"""`quaestor chaos`: hurt a cluster of its own for some time, and say whether everything held."""

from __future__ import annotations

import os
import random
import shlex
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import click

from quaestor_actors.chaos.plan import EVERYTHING, Fault, steps
from quaestor_actors.chaos.report import Verdict
from quaestor_actors.cli.exit_codes import ExitCode
from quaestor_actors.cli.options import config_option
from quaestor_actors.errors import OperationError

SECONDS_PER_MINUTE = 60
LARGEST_SEED = 2**31


def _faults(_context: click.Context, _parameter: click.Parameter, text: str | None) -> tuple[Fault, ...]:
    if text is None:
        return EVERYTHING
    names = [name.strip() for name in text.split(",")]
    known = [fault.value for fault in Fault]
    if unknown := [name for name in names if name not in known]:
        raise click.BadParameter(f"{', '.join(map(repr, unknown))}: choose from {', '.join(known)}")
    return tuple(Fault(name) for name in dict.fromkeys(names))


@click.command(short_help="Hurt a cluster of its own, and say whether everything held.")
@config_option
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), default=10.0, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), help="Decides the plan. Default: a new one.")
@click.option("--faults", callback=_faults, metavar="A,B,...", help=f"Of: {', '.join(Fault)}. Default: all.")
@click.option(
    "--from", "first", type=click.IntRange(min=1), default=1, metavar="STEP", help="Begin with this step of the plan."
)
@click.option("--steps", "count", type=click.IntRange(min=1), metavar="N", help="End after so many steps.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Also write the verdict there, as JSON.",
)
def chaos(
    config_directory: Path | None,
    minutes: float,
    seed: int | None,
    faults: tuple[Fault, ...],
    first: int,
    count: int | None,
    report: Path | None,
) -> int:
    """Hurt a cluster of its own for some time, and say whether everything held.

    The cluster is a copy of the sample, or of the configuration in DIR, on free ports in a temporary folder; a cluster
    that runs already is left alone. The seed decides what is done to it. The exit code is 0 if everything held, else 1.

    Example: quaestor chaos --minutes 10 --seed 1
    """
    # Only this command pays for gRPC and the actors' messages.
    from quaestor_actors.chaos.run import run
    from quaestor_actors.chaos.world import World

    seed = random.randrange(LARGEST_SEED) if seed is None else seed  # noqa: S311 - no secret
    command = _command(config_directory, minutes, seed, faults, first, count)
    _say(f"seed {seed}; repeat it with: {command}")
    _check_writable(report)
    environ = dict(os.environ)
    with World(config_directory, environ=environ) as world:
        _say(f"a copy of {world.copy.original} runs in {world.folder}")
        outcome = run(
            world, islice(steps(seed, faults, first=first), count), seconds=minutes * SECONDS_PER_MINUTE, say=_say
        )
        evidence = str(world.keep_evidence()) if outcome.broken else None
    verdict = Verdict(
        seed=seed,
        command=command,
        seconds=outcome.seconds,
        steps=outcome.steps,
        broken=outcome.broken,
        trends=outcome.trends,
        asked=outcome.asked,
        answered=outcome.answered,
        interrupted=outcome.interrupted,
        evidence=evidence,
    )
    click.echo(verdict.text())
    if report is not None:
        report.write_text(verdict.json() + "\n", encoding="utf-8")
    return ExitCode.OK if verdict.held else ExitCode.FAILED


def _say(text: str) -> None:
    click.echo(text, err=True)


def _check_writable(report: Path | None) -> None:
    """Find out before the run, not after it, that its report cannot be written."""
    if report is None:
        return
    try:
        report.open("a", encoding="utf-8").close()
    except OSError as error:
        raise OperationError(f"cannot write the report to {report}: {error.strerror}") from error


def _command(
    directory: Path | None, minutes: float, seed: int, faults: Sequence[Fault], first: int, count: int | None
) -> str:
    words = ["quaestor", "chaos", "--minutes", f"{minutes:g}", "--seed", str(seed)]
    if directory is not None:
        words += ["-c", str(directory)]
    if tuple(faults) != EVERYTHING:
        words += ["--faults", ",".join(faults)]
    if first != 1:
        words += ["--from", str(first)]
    if count is not None:
        words += ["--steps", str(count)]
    return shlex.join(words)
