"""Numbers as Prometheus reads them: its text format, version 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from quaestor_actors.core.histogram import Buckets

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = tuple[tuple[str, str], ...]


class MetricType(StrEnum):
    """What a number means."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Sample:
    """One number."""

    labels: Labels
    value: float
    suffix: str = ""
    """Behind the family's name; of histograms only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """All numbers of one name; without any it is left out."""

    name: str
    type: MetricType
    help: str
    samples: Sequence[Sample]


def histogram(labels: Labels, buckets: Buckets, values: Sequence[float]) -> Iterator[Sample]:
    """Yield the samples of one histogram from the numbers that are kept of it."""
    cumulated = buckets.cumulated(values)
    for bound, count in zip((*buckets.bounds_s, math.inf), cumulated, strict=True):
        yield Sample((*labels, ("le", _number(bound))), count, "_bucket")
    total_s = values[buckets.sum_slot] if buckets.sum_slot < len(values) else 0.0
    yield Sample(labels, total_s, "_sum")
    yield Sample(labels, cumulated[-1], "_count")


def exposition(families: Iterable[Family]) -> str:
    """Return the text that a scrape is answered with."""
    lines: list[str] = []
    for family in families:
        if not family.samples:
            continue
        lines.append(f"# HELP {family.name} {_escaped(family.help)}")
        lines.append(f"# TYPE {family.name} {family.type}")
        lines += (
            f"{family.name}{sample.suffix}{_labels(sample.labels)} {_number(sample.value)}" for sample in family.samples
        )
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_quoted(value)}"' for name, value in labels) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(value)
