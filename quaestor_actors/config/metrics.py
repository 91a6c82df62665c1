"""Reads where the metrics are to be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quaestor_actors.config.ports import Claim
from quaestor_actors.config.schema import ClusterKeys, LoadBalancerKeys, MetricsKeys
from quaestor_actors.config.sections import Section, read_section
from quaestor_actors.core.spec import MetricsSpec

if TYPE_CHECKING:
    from quaestor_actors.config.report import Report


def read_metrics(
    section: Section[ClusterKeys] | Section[LoadBalancerKeys], report: Report
) -> tuple[MetricsSpec | None, tuple[Claim, ...]]:
    """Return where the metrics are to be had and the port that this takes; report what is wrong with it."""
    entry = section.entries.get("metrics")
    if entry is None or "metrics" in section.broken:
        return None, ()
    inner = read_section(entry.node, MetricsKeys, report=report, place=entry.value)
    if "port" not in inner.entries.keys() | inner.broken:
        report.fault(entry.value.named(inner.path_of("port")), "missing; write {port: 9150}, or another free port")
    if inner.keys.port is None or inner.broken:
        return None, ()
    place = inner.place_of("port")
    claim = Claim(owner="the metrics", host_name=inner.keys.host, port=inner.keys.port, place=place)
    return MetricsSpec(host=inner.keys.host, port=inner.keys.port), (claim,)
