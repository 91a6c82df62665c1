"""`quaestor cluster` and `quaestor load-balancer`: run in the foreground until told to stop."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from quaestor_actors.cli.exit_codes import exit_code
from quaestor_actors.cli.options import config_option, host_option
from quaestor_actors.cli.reading import Reader, Reading, read_cluster, read_load_balancer
from quaestor_actors.console import LOG_FORMAT_VARIABLE, LOGGER, Console, LogFormat, News, console_of, take_over_stderr
from quaestor_actors.core.spec import ClusterSpec
from quaestor_actors.errors import QuaestorError

log_format_option = click.option(
    "--log-format",
    "log_format",
    type=click.Choice([each.value for each in LogFormat]),
    default=LogFormat.CONSOLE.value,
    show_default=True,
    envvar=LOG_FORMAT_VARIABLE,
    show_envvar=True,
    help="What happens is told as lines for people, or as one JSON object a line.",
)


detach_option = click.option(
    "--detach",
    is_flag=True,
    help="Run in the background; return when it serves, or has failed.",
)


def _launch(
    read: Callable[[Path | None], Reading], directory: Path | None, log_format: LogFormat, *, detach: bool
) -> int:
    console = console_of(log_format, sys.stderr)
    if log_format is LogFormat.CONSOLE:
        return _run(read, directory, console, detach=detach)
    take_over_stderr(sys.stderr)
    try:
        return _run(read, directory, console, detach=detach)
    except QuaestorError as error:
        console(News(text=str(error), level=logging.ERROR))
        return exit_code(error)


def _run(read: Callable[[Path | None], Reading], directory: Path | None, console: Console, *, detach: bool) -> int:
    reader = Reader(read, directory)
    # Takes about as long as the reading, on another core.
    from quaestor_actors.launcher import run_cluster
    from quaestor_actors.system.source import Source

    reading = reader.result()
    _tell(reading.remarks, console)
    console(News(text=f"{LOGGER}: running {reading.spec.name} from {reading.files[0]}"))
    # The files are looked for once: what a running cluster comes from does not change with the current directory.
    place = reading.files[0].parent.resolve()

    def read_again(directory: Path | None) -> Reading:
        # So that whoever gives this up ends what it has started, too.
        os.setpgid(0, 0)
        return read(directory)

    def begin_reading() -> _ReadingAgain:
        return _ReadingAgain(Reader(read_again, place), console)

    source = Source(files=reading.files, begin_reading=begin_reading)
    if not detach:
        return run_cluster(reading.spec, console=console, source=source)
    from quaestor_actors.cli.detach import kept_short, log_of, run_in_background

    spec, log = reading.spec, kept_short(console, log_of(reading.spec.name))
    return run_in_background(spec, lambda ready: run_cluster(spec, console=log, source=source, ready=ready))


class _ReadingAgain:
    """What a running cluster wants of a reader: the specification; the remarks are for people."""

    def __init__(self, reader: Reader, console: Console) -> None:
        self._reader = reader
        self._console = console
        self.fileno, self.cancel = reader.fileno, reader.cancel

    def result(self) -> ClusterSpec:
        reading = self._reader.result()
        _tell(reading.remarks, self._console)
        return reading.spec


def _tell(remarks: tuple[str, ...], console: Console) -> None:
    for remark in remarks:
        console(News(text=remark, level=logging.WARNING))


@click.command(short_help="Run a cluster in the foreground until Ctrl+C.")
@config_option
@host_option
@detach_option
@log_format_option
def cluster(config_directory: Path | None, host: str | None, detach: bool, log_format: str) -> int:  # noqa: FBT001 - click's signature
    """Run a cluster in the foreground until Ctrl+C or SIGTERM.

    Starts every agent of quaestor.cluster.config.yml, keeps its members serving, and balances them if there is a
    LoadBalancer agent. A second Ctrl+C ends members at once. On each host of several the same files are used, and the
    agents run that are not pinned to others. With --detach it runs in the background until its pid, which is told, is
    sent SIGTERM.

    Example: quaestor cluster -c conf
    """
    # Secrets are taken out of the environment of this process, and later readings ask whether they were there.
    environ = dict(os.environ)
    read = partial(read_cluster, host=host, environ=environ)
    return _launch(read, config_directory, LogFormat(log_format), detach=detach)


@click.command("load-balancer", short_help="Run only the balancer, for services that somebody else runs.")
@config_option
@detach_option
@log_format_option
def load_balancer(config_directory: Path | None, detach: bool, log_format: str) -> int:  # noqa: FBT001 - likewise
    """Run only the balancer, in the foreground until Ctrl+C or SIGTERM.

    Balances the Worker agents that quaestor.loadbalancer.config.yml names; it starts and stops none of them.

    Example: quaestor load-balancer -c conf
    """
    return _launch(read_load_balancer, config_directory, LogFormat(log_format), detach=detach)
