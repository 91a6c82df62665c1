"""Running `quaestor registry` beside a real etcd: configurations, entries that somebody keeps, a watch."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from support.cluster import QUAESTOR, Cluster
from support.etcd import EtcdCluster
from support.waiting import wait_until

DEADLINE_S = 20.0


def configure(quaestor: Cluster, *ports: int) -> None:
    """Name an etcd that somebody else runs."""
    quaestor.write(
        f"""
        - agentType: KeyValueStore
          hostName: 127.0.0.1
          ports: {list(ports)}
          processCount: 0
        """
    )


def configure_for(quaestor: Cluster, etcd: EtcdCluster) -> None:
    """Name this etcd."""
    configure(quaestor, *(node.endpoint[1] for node in etcd.nodes))


def registry(quaestor: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command with the configuration."""
    return quaestor.run("registry", *arguments, "-c", str(quaestor.directory))


def keep(etcd: EtcdCluster, key: str, *, cluster: str = "hello", ttl_s: int = 60) -> str:
    """Register a key under a new lease, with its owner; return the lease."""
    lease = etcd.ctl("lease", "grant", str(ttl_s)).split()[1]
    owner = json.dumps({"cluster": cluster, "host": "a1", "pid": 4121})
    etcd.ctl("put", "--lease", lease, f"quaestor/owners/{lease}", owner)
    etcd.ctl("put", "--lease", lease, key, "Worker")
    return lease


class Watch:
    """A running `registry watch`; what it prints, and what it says beside that."""

    def __init__(self, quaestor: Cluster, *arguments: str) -> None:
        self._output, self._talk = quaestor.directory / "watch.out", quaestor.directory / "watch.err"
        with self._output.open("wb") as output, self._talk.open("wb") as talk:
            self.process = subprocess.Popen(
                [QUAESTOR, "registry", "watch", *arguments], env=quaestor.environment, stdout=output, stderr=talk
            )

    @property
    def lines(self) -> list[str]:
        """What was printed, without the times."""
        return [line.partition(" ")[2] for line in self._output.read_text().splitlines()]

    @property
    def talk(self) -> str:
        """What was said."""
        return self._talk.read_text()

    def expect(self, *lines: str) -> None:
        """Wait until exactly this was printed."""
        self._expect(lambda: self.lines == list(lines), f"{lines}")

    def expect_talk(self, text: str, times: int = 1) -> None:
        """Wait until something was said so often."""
        self._expect(lambda: self.talk.count(text) == times, text)

    def interrupt(self) -> int:
        """Press Ctrl+C and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(DEADLINE_S)

    def _expect(self, condition: Callable[[], bool], what: str) -> None:
        def is_so() -> bool:
            assert self.process.poll() is None, self.talk
            return condition()

        try:
            wait_until(is_so, DEADLINE_S, what)
        except TimeoutError as error:
            pytest.fail(f"{error}; printed {self.lines}; said {self.talk}")


@contextmanager
def watching(quaestor: Cluster, *arguments: str) -> Iterator[Watch]:
    """Run `registry watch` until the block ends."""
    watch = Watch(quaestor, *arguments)
    try:
        yield watch
    finally:
        watch.process.kill()
        watch.process.wait()
