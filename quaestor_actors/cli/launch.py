"""`quaestor cluster` and `quaestor load-balancer`: run in the foreground until told to stop."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from quaestor_actors.cli.options import config_option, host_option
from quaestor_actors.cli.reading import Reader, Reading, read_cluster, read_load_balancer
from quaestor_actors.core.spec import ClusterSpec


def _run(read: Callable[[Path | None], Reading], directory: Path | None) -> int:
    reader = Reader(read, directory)
    # Takes about as long as the reading, on another core.
    from quaestor_actors.launcher import run_cluster
    from quaestor_actors.system.source import Source

    reading = reader.result()
    _tell(reading.remarks)
    click.echo(f"quaestor: running {reading.spec.name} from {reading.files[0]}", err=True)
    # The files are looked for once: what a running cluster comes from does not change with the current directory.
    place = reading.files[0].parent.resolve()

    def read_again(directory: Path | None) -> Reading:
        # So that whoever gives this up ends what it has started, too.
        os.setpgid(0, 0)
        return read(directory)

    def begin_reading() -> _ReadingAgain:
        return _ReadingAgain(Reader(read_again, place))

    return run_cluster(reading.spec, source=Source(files=reading.files, begin_reading=begin_reading))


class _ReadingAgain:
    """What a running cluster wants of a reader: the specification; the remarks are for people."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.fileno, self.cancel = reader.fileno, reader.cancel

    def result(self) -> ClusterSpec:
        reading = self._reader.result()
        _tell(reading.remarks)
        return reading.spec


def _tell(remarks: tuple[str, ...]) -> None:
    for remark in remarks:
        click.echo(remark, err=True)


@click.command(short_help="Run a cluster in the foreground until Ctrl+C.")
@config_option
@host_option
def cluster(config_directory: Path | None, host: str | None) -> int:
    """Run a cluster in the foreground until Ctrl+C or SIGTERM.

    Starts every agent of quaestor.cluster.config.yml, keeps its members serving, and balances them if there is a
    LoadBalancer agent. A second Ctrl+C ends members at once. On each host of several the same files are used, and the
    agents run that are not pinned to others.

    Example: quaestor cluster -c conf
    """
    # Secrets are taken out of the environment of this process, and later readings ask whether they were there.
    environ = dict(os.environ)
    return _run(partial(read_cluster, host=host, environ=environ), config_directory)


@click.command("load-balancer", short_help="Run only the balancer, for services that somebody else runs.")
@config_option
def load_balancer(config_directory: Path | None) -> int:
    """Run only the balancer, in the foreground until Ctrl+C or SIGTERM.

    Balances the Worker agents that quaestor.loadbalancer.config.yml names; it starts and stops none of them.

    Example: quaestor load-balancer -c conf
    """
    return _run(read_load_balancer, config_directory)
