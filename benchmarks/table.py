"""Shows the figures of a run to people or to machines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from figures import METRICS, Figures, Metric
from targets import OURS, Verdict

_TITLE_WIDTH = 44
_COLUMN_WIDTH = 12


def text(figures: Figures, verdicts: Sequence[Verdict], peers: Sequence[str]) -> str:
    """Return the table of figures, the same as multiples of ours, and the targets."""
    measured = [metric for metric in METRICS if any(figures.value(metric.name, peer) is not None for peer in peers)]
    lines = [_line("", peers)]
    for metric in measured:
        values = [figures.value(metric.name, peer) for peer in peers]
        lines.append(_line(metric.title, [_number(value, metric.digits) for value in values]))
    lines += ["", _line("as multiples of ours", peers)]
    lines += [_ratios(metric, figures, peers) for metric in measured if _is_comparable(metric, figures)]
    lines += ["", "targets"]
    lines += [_verdict(verdict) for verdict in verdicts]
    lines += [f"remark: {remark}" for remark in figures.remarks]
    return "\n".join(lines)


def document(
    figures: Figures, verdicts: Sequence[Verdict], peers: Sequence[str], *, conditions: dict[str, object]
) -> str:
    """Return everything as JSON: the conditions of the run, every sample, every metric and every target."""
    content = {
        "conditions": conditions,
        **figures.document(),
        "metrics": {metric.name: {peer: figures.value(metric.name, peer) for peer in peers} for metric in METRICS},
        "targets": [asdict(verdict) for verdict in verdicts],
    }
    return json.dumps(content, indent=2)


def _is_comparable(metric: Metric, figures: Figures) -> bool:
    has_peers = len(figures.samples.get(metric.sample, {})) > 1
    return has_peers and bool(figures.value(metric.name, OURS)) and not metric.name.endswith(("trials", "starts"))


def _ratios(metric: Metric, figures: Figures, peers: Sequence[str]) -> str:
    ours = figures.value(metric.name, OURS)
    values = [figures.value(metric.name, peer) for peer in peers]
    return _line(metric.title, [_number(value / ours if value is not None and ours else None, 2) for value in values])


def _verdict(verdict: Verdict) -> str:
    target = verdict.target
    title = next(metric.title for metric in METRICS if metric.name == target.metric).strip()
    compared = f" {target.relative_to}" if target.relative_to else ""
    sign = "<" if target.strict else "<="
    wanted = f"{sign} {target.limit:g} {target.unit}{compared}"
    found = "not measured" if verdict.measured is None else f"{verdict.measured:.3g} {target.unit}"
    return f"{verdict.outcome}  {target.metric:20} {found:>14}  {wanted:18} {title}"


def _line(title: str, cells: Sequence[str]) -> str:
    return f"{title:{_TITLE_WIDTH}}" + "".join(f"{cell:>{_COLUMN_WIDTH}}" for cell in cells)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
