"""The records of several hosts, read from any of them: the own ones from their files, the others' by asking."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from quaestor_actors.actors import records
from quaestor_actors.actors.records_messages import EventsReply, EventsRequest, OutputReply, OutputRequest
from quaestor_actors.actors.view import HostView
from quaestor_actors.adapters import runtime_directory
from quaestor_actors.cli.asking_hosts import ask_hosts, why_not
from quaestor_actors.core.host_selector import split
from quaestor_actors.errors import ConflictError

Request = EventsRequest | OutputRequest
Reply = EventsReply | OutputReply


class HostRecords:
    """Whom to ask for the records of each host."""

    def __init__(self, directory: Path) -> None:
        """Find out which hosts there are.

        Args:
            directory: the cluster's runtime directory, on this host.

        Raises:
            NotRunningError: this host's own root has ended, or does not answer.
        """
        self._directory = directory
        self._logs = runtime_directory.log_directory(os.environ, directory.name)
        reply = ask_hosts(directory, [])
        self._own = reply.own
        self.hosts: dict[str, HostView] = {host.name: host for host in reply.hosts}

    def by_host(self, selectors: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return the hosts that selectors mean, and what they name on each; without selectors all hosts.

        Raises:
            ConflictError: there is no such host.
        """
        named = [split(text, self.hosts) for text in selectors]
        if not named:
            return dict.fromkeys(self.hosts, ())
        for name, host in named:
            if host is not None and host not in self.hosts:
                raise ConflictError(f"there is no host {host!r}, which {f'{name}@{host}'!r} names: {self._listed()}")
        meant = {host: tuple(name for name, where in named if where in {None, host}) for host in self.hosts}
        return {host: names for host, names in meant.items() if names}

    def ask(self, requests: Mapping[str, Request]) -> dict[str, Reply]:
        """Return the answers that have come, by host.

        Raises:
            NotRunningError: this host's own root has ended, or does not answer.
        """
        answers: dict[str, Reply] = {}
        if self._own in requests:
            # Its files are here, and nothing limits them.
            answers[self._own] = records.answer(self._logs, requests[self._own], page_bytes=sys.maxsize)
        others = [(host, request) for host, request in requests.items() if host != self._own]
        if others:
            reply = ask_hosts(self._directory, others)
            self.hosts = {host.name: host for host in reply.hosts}
            answers |= dict(reply.answers)
        return {host: answers[host] for host in self.hosts if host in answers}

    def tell_who_is_left_out(self, asked: Iterable[str], answers: Mapping[str, Reply]) -> None:
        """Say, beside the data, which hosts did not answer."""
        for host in asked:
            if host not in answers:
                click.echo(f"quaestor: left out: {why_not(self.hosts[host])}", err=True)

    def _listed(self) -> str:
        return f"there are {', '.join(self.hosts)}"
