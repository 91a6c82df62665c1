"""What is wrong with clusters of this user that run, or have run, on this machine. It looks and changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from quaestor_actors.actors.status_messages import StatusReply, StatusRequest
from quaestor_actors.adapters import processes, runtime_directory
from quaestor_actors.adapters.proc_stat import start_ticks
from quaestor_actors.adapters.state_file import StateFile
from quaestor_actors.cli.asking import ask_root
from quaestor_actors.core.diagnosis import Finding, Severity
from quaestor_actors.errors import NotRunningError, OperationError
from quaestor_actors.system.cookie import COOKIE_VARIABLE
from quaestor_actors.system.host_endpoint import COOKIE_NAME


def of_clusters(base: Path) -> Iterator[Finding]:
    """Yield what is wrong with each of them."""
    directories = sorted(each for each in (base.iterdir() if base.is_dir() else ()) if each.is_dir())
    left = _left_behind(base)
    for directory in directories:
        if _is_alive(directory):
            yield from _running(directory)
        else:
            yield from _stale(directory)
    for cluster in sorted(left):
        if not _is_alive(base / cluster):
            pids = ", ".join(map(str, sorted(left[cluster])))
            yield Finding(
                check="orphans",
                severity=Severity.WARNING,
                what=f"members of {cluster} run on without a supervisor: pid {pids}",
                where=str(base / cluster),
                remedy=f"quaestor cluster takes them over; or end them: kill {pids.replace(',', '')}",
            )


def _is_alive(directory: Path) -> bool:
    admin = runtime_directory.read_admin(directory)
    has_actors = admin is not None and start_ticks(admin.pid) == admin.start_ticks
    return has_actors or runtime_directory.launcher_of(directory) is not None


def _left_behind(base: Path) -> dict[str, list[int]]:
    """Return the processes that are members, by the name of their cluster."""
    found: dict[str, list[int]] = {}
    for process, tag in processes.find_tagged(f"{base}/").items():
        found.setdefault(tag.partition("/")[0], []).append(process.pid)
    return found


def _stale(directory: Path) -> Iterator[Finding]:
    files = [directory / name for name in (runtime_directory.SYSTEM_NAME, runtime_directory.ADMIN_PID_NAME)]
    stale = [file for file in files if file.exists()]
    stale += [file for file in sorted((directory / "agents").glob("*.json")) if not _has_process(file)]
    for file in stale:
        yield Finding(
            check="stale",
            severity=Severity.WARNING,
            what=f"a file of {directory.name} is left of processes that have all ended",
            where=str(file),
            remedy=f"the next start of {directory.name} replaces it; or remove it: rm {file}",
        )


def _has_process(file: Path) -> bool:
    members = StateFile(file).load().members.values()
    known = (member.process for member in members)
    return any(one is not None and start_ticks(one.pid) == one.start_ticks for one in known)


def _running(directory: Path) -> Iterator[Finding]:
    if runtime_directory.launcher_of(directory) is None:
        yield Finding(
            check="launcher",
            severity=Severity.WARNING,
            what=f"the launcher of {directory.name} was killed; its actors and members run on",
            where=str(directory),
            remedy="start it again: quaestor cluster takes over",
        )
    record = runtime_directory.read_system_record(directory)
    cookie = Path(record.cookie_file) if record is not None and record.cookie_file else directory / COOKIE_NAME
    digits = os.environ.get(COOKIE_VARIABLE)
    if digits is not None and cookie.exists() and _differs(cookie, digits):
        yield Finding(
            check="cookie",
            severity=Severity.ERROR,
            what=f"{COOKIE_VARIABLE} in the environment is not the cookie in the file of {directory.name}",
            where=str(cookie),
            remedy=f"unset {COOKIE_VARIABLE}; or if the cluster was launched with one, set that one",
        )
    try:
        ask_root(directory, lambda request_id: StatusRequest(request_id=request_id), StatusReply)
    except NotRunningError as error:
        yield Finding(
            check="answer",
            severity=Severity.ERROR,
            what=f"{directory.name} does not answer: its root hangs, or the cookie is another one: {error}",
            where=str(cookie),
            remedy="restore the cookie that it was launched with; else stop its launcher, and start it again",
        )
    except OperationError as error:
        yield Finding(
            check="cookie",
            severity=Severity.ERROR,
            what=str(error),
            where=str(cookie),
            remedy="restore the cookie that it was launched with, mode 600; else stop the cluster and start it again",
        )


def _differs(file: Path, digits: str) -> bool:
    try:
        return file.read_bytes() != bytes.fromhex(digits)
    except (OSError, ValueError):
        return True
