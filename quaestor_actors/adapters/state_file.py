"""An agent's memory across the death of its supervisor: a journal of its members, in one file.

Lines are only ever added; the latest about a member counts, and now and then the file is replaced whole by one
without the outdated lines. A line that is torn, and a file of another boot, of another version or of nonsense, is as
good as none: what it names cannot be trusted. Processes are named by pid and start time, so even a plausible file never
leads to a foreign process.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from quaestor_actors.adapters.runtime_directory import write_atomically
from quaestor_actors.core.agent import Group, Phase
from quaestor_actors.core.member import Health, Member, MemberState
from quaestor_actors.core.process_id import ProcessId
from quaestor_actors.core.rollout import Rollout

VERSION = 3

SPARE_LINES = 200
"""So many outdated lines, beyond one for each member, are worth a new file."""

_FIELDS = tuple(field.name for field in fields(Member))


@cache
def boot_id() -> str:
    """Return the identity of this boot; pids, start times and the monotonic clock mean nothing beyond it."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


class StateFile:
    """The journal of one agent."""

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is read or written yet."""
        self.path = path
        self._written: Group | None = None
        """What the file says; None: unknown, so that the next save replaces it."""
        self._lines = 0

    def save(self, group: Group) -> None:
        """Write down what has changed since the last time.

        Raises:
            OSError: nothing was written that counts; the next save starts over with a whole file.
        """
        before, self._written = self._written, None
        if before is None or self._lines > 2 * len(group.members) + SPARE_LINES:
            self._replace(group)
        elif changes := list(_changes(before, group)):
            self._append(changes)
        self._written = group

    def _replace(self, group: Group) -> None:
        records = [{"version": VERSION, "boot": boot_id()}, *_changes(Group(), group)]
        write_atomically(self.path, _text(records))
        self._lines = len(records)

    def _append(self, records: list[dict[str, Any]]) -> None:
        data = _text(records).encode()
        journal = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            if os.write(journal, data) < len(data):
                raise OSError(f"{self.path} could not be written whole")
        finally:
            os.close(journal)
        self._lines += len(records)

    def load(self) -> Group:
        """Return the group that the file remembers, with nothing configured; empty if it cannot be trusted."""
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return Group()
        except OSError as error:
            # Whoever lives is found by its environment.
            logging.getLogger("state file").warning("cannot read %s: %s", self.path, error.strerror or error)
            return Group()
        records = [record for line in lines if isinstance(record := _parsed(line), dict)]
        if not records or (records[0].get("version"), records[0].get("boot")) != (VERSION, boot_id()):
            return Group()
        members: dict[str, Member] = {}
        phase: dict[str, Any] = {}
        for record in records[1:]:
            try:
                _take(record, members, phase)
            except (KeyError, TypeError, ValueError):
                continue
        return Group(members=MappingProxyType(members), **phase)

    def remove(self) -> None:
        """Forget the members: all have stopped."""
        self.path.unlink(missing_ok=True)
        self._written = None


def _text(records: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records)


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _changes(before: Group, after: Group) -> Iterator[dict[str, Any]]:
    for name, member in after.members.items():
        if before.members.get(name) is not member:
            yield {"member": _document(member)}
    for name in before.members:
        if name not in after.members:
            yield {"gone": name}
    if _phase(before) != _phase(after):
        yield {"group": _phase(after)}


def _phase(group: Group) -> dict[str, Any]:
    return {
        "phase": group.phase.value,
        "reason": group.reason,
        "restarts": list(group.restarts),
        "held": sorted(group.held),
        "retired": dict(group.retired),
        "rollout": {
            "left": list(group.rollout.left),
            "under_way": dict(group.rollout.under_way),
            "aborted": group.rollout.aborted,
            "number": group.rollout.number,
        },
    }


def _document(member: Member) -> dict[str, Any]:
    document = {name: getattr(member, name) for name in _FIELDS}
    if member.process is not None:
        document["process"] = {"pid": member.process.pid, "start_ticks": member.process.start_ticks}
    return document


def _take(record: Mapping[str, Any], members: dict[str, Member], phase: dict[str, Any]) -> None:
    match record:
        case {"member": dict(document)}:
            member = _member(document)
            members[member.member_id] = member
        case {"gone": str(name)}:
            members.pop(name, None)
        case {"group": dict(document)}:
            phase.update(
                phase=Phase(document["phase"]),
                reason=str(document["reason"]),
                restarts=tuple(float(at) for at in document["restarts"]),
                held=frozenset(str(name) for name in document["held"]),
                retired=_numbers(document["retired"]),
                rollout=_rollout(document["rollout"]),
            )
        case _:
            return


def _numbers(document: Mapping[str, Any]) -> Mapping[str, int]:
    return MappingProxyType({str(name): int(number) for name, number in document.items()})


def _rollout(document: Mapping[str, Any]) -> Rollout:
    return Rollout(
        left=tuple(str(name) for name in document["left"]),
        under_way=_numbers(document["under_way"]),
        aborted=str(document["aborted"]),
        number=int(document["number"]),
    )


def _member(document: Mapping[str, Any]) -> Member:
    values = dict(document)
    values["state"] = MemberState(values["state"])
    values["afterwards"] = MemberState(values["afterwards"])
    if values["health"] is not None:
        values["health"] = Health(values["health"])
    if values["process"] is not None:
        values["process"] = ProcessId(**values["process"])
    if not isinstance(values["member_id"], str) or not isinstance(values["incarnation"], int):
        raise TypeError("not a member")
    return Member(**values)
