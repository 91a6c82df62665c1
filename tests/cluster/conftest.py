"""Real clusters, ended after each test whatever happened in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cluster import Cluster, make_cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Yield a configured cluster of two workers and a balancer, not started."""
    made = make_cluster(tmp_path)
    yield made
    made.clean_up()


@pytest.fixture
def running(cluster: Cluster) -> Cluster:
    """Return a cluster of which all members serve."""
    cluster.launch()
    return cluster


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests have taken."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "figures":
                terminalreporter.write_line(str(value))
