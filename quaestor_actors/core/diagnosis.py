"""What is wrong around a cluster, and what to do about it: what `quaestor doctor` says of what it has seen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SKEW_S = 2.0
"""Clocks that differ by more make times in logs and leases misleading; etcd's own clock is told in whole seconds."""

DESCRIPTORS = 256
"""That a process of ours needs beside its connections."""
DESCRIPTORS_PER_MEMBER = 4


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    """It does not work, or is not safe."""
    WARNING = "warning"
    """It works, and may surprise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong."""

    check: str
    """Which look at things has found it, as one word that stays the same."""
    severity: Severity
    what: str
    where: str
    remedy: str


def of_clock(offset_s: float, *, uncertainty_s: float, where: str) -> Finding | None:
    """Return what is wrong with this machine's clock if it is so far ahead of another one, give or take."""
    apart_s = abs(offset_s) - uncertainty_s
    if apart_s <= SKEW_S:
        return None
    direction = "ahead of" if offset_s > 0 else "behind"
    return Finding(
        check="clock",
        severity=Severity.WARNING,
        what=f"this machine's clock is {abs(offset_s):.0f} s {direction} that of etcd",
        where=where,
        remedy="have both machines follow the same time, e.g. by chrony or systemd-timesyncd",
    )


def of_descriptors(limit: int, *, members: int, where: str) -> Finding | None:
    """Return what is wrong with the most files that a process may open; our processes take all they may."""
    needed = DESCRIPTORS + DESCRIPTORS_PER_MEMBER * members
    if limit >= needed:
        return None
    return Finding(
        check="descriptors",
        severity=Severity.ERROR,
        what=f"at most {limit} open files are allowed, and {members} members may need {needed}",
        where=where,
        remedy="raise the hard limit (ulimit -Hn, LimitNOFILE= of the service), and start the cluster again",
    )


def of_version(package: str, *, installed: str | None, needed: tuple[int, ...], where: str) -> Finding | None:
    """Return what is wrong with an installed package that generated code needs in this version or a newer one."""
    wanted = ".".join(map(str, needed))
    if installed is not None and _numbers(installed) >= needed:
        return None
    there = "is not installed" if installed is None else f"{installed} is installed"
    return Finding(
        check="versions",
        severity=Severity.ERROR,
        what=f"{package} {there}, and the generated code needs {wanted} or newer",
        where=where,
        remedy=f"pip install --upgrade '{package}>={wanted}', with the Python that runs quaestor",
    )


def _numbers(version: str) -> tuple[int, ...]:
    leading = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        leading.append(int(digits))
    return tuple(leading)
