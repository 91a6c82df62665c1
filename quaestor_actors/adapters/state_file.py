"""An agent's memory across the death of its supervisor: its members, in one file, replaced whole.

A file that is torn, of another boot, of another version or of other members is as good as none: what it names cannot
be trusted. Processes are named by pid and start time, so even a plausible file never leads to a foreign process.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from quaestor_actors.adapters.runtime_directory import write_atomically
from quaestor_actors.core.lifecycle import Member, MemberState, ProcessId

VERSION = 1


@cache
def boot_id() -> str:
    """Return the identity of this boot; pids, start times and the monotonic clock mean nothing beyond it."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def save(path: Path, members: Iterable[Member]) -> None:
    """Replace the file with the present state of all members."""
    document = {"version": VERSION, "boot": boot_id(), "members": [asdict(member) for member in members]}
    write_atomically(path, json.dumps(document))


def load(path: Path) -> dict[str, Member]:
    """Return the members that the file holds, by id; empty if it is missing or cannot be trusted."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["version"] != VERSION or document["boot"] != boot_id():
            return {}
        return {(member := _member(fields)).member_id: member for fields in document["members"]}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}


def _member(fields: Mapping[str, Any]) -> Member:
    values = dict(fields)
    values["state"] = MemberState(values["state"])
    if values["process"] is not None:
        values["process"] = ProcessId(**values["process"])
    return Member(**values)


def remove(path: Path) -> None:
    """Forget the members: all have stopped."""
    path.unlink(missing_ok=True)
