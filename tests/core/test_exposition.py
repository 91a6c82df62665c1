"""Numbers in Prometheus's text format, read back by Prometheus's own parser."""

from __future__ import annotations

import math

from prometheus_client.parser import text_string_to_metric_families

from quaestor_actors.core.exposition import Family, MetricType, Sample, exposition, histogram
from quaestor_actors.core.histogram import Buckets

BUCKETS = Buckets((0.1, 1.0))


def kept(*durations_s: float) -> list[float]:
    """Return the numbers that are kept of these durations."""
    values = [0.0] * BUCKETS.size
    for duration_s in durations_s:
        values[BUCKETS.slot_of(duration_s)] += 1
        values[BUCKETS.sum_slot] += duration_s
    return values


def test__labels__of_any_text__come_back_as_they_were() -> None:
    text = 'a\\b\n"c" {d="e"} ü\\n'
    family = Family(name="x", type=MetricType.GAUGE, help=text, samples=[Sample((("a", text), ("b", "")), 1.5)])
    (read,) = text_string_to_metric_families(exposition([family]))
    assert (read.name, read.type) == ("x", "gauge")
    assert [(sample.labels, sample.value) for sample in read.samples] == [({"a": text, "b": ""}, 1.5)]


def test__counter__has_its_total() -> None:
    family = Family(name="x_total", type=MetricType.COUNTER, help="X.", samples=[Sample((), 3)])
    (read,) = text_string_to_metric_families(exposition([family]))
    assert (read.type, [sample.name for sample in read.samples]) == ("counter", ["x_total"])


def test__family__without_samples__is_left_out() -> None:
    assert exposition([Family(name="x", type=MetricType.GAUGE, help="X.", samples=[])]) == ""


def test__histogram__is_cumulated_with_sum_and_count() -> None:
    samples = list(histogram((("agent", "W"),), BUCKETS, kept(0.05, 0.1, 0.5, 7.0)))
    family = Family(name="x_seconds", type=MetricType.HISTOGRAM, help="X.", samples=samples)
    (read,) = text_string_to_metric_families(exposition([family]))
    buckets = {sample.labels["le"]: sample.value for sample in read.samples if sample.name == "x_seconds_bucket"}
    assert buckets == {"0.1": 2, "1": 3, "+Inf": 4}
    others = {sample.name: sample.value for sample in read.samples if sample.name != "x_seconds_bucket"}
    assert others["x_seconds_count"] == 4
    assert math.isclose(others["x_seconds_sum"], 7.65)


def test__histogram__of_nothing_yet__is_zero() -> None:
    assert [sample.value for sample in histogram((), BUCKETS, ())] == [0, 0, 0, 0, 0]
