"""Asking the root actor of a running cluster; nothing is started by it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from quaestor_actors.adapters import runtime_directory
from quaestor_actors.adapters.runtime_directory import SystemRecord
from quaestor_actors.errors import NotRunningError, OperationError
from quaestor_actors.system import cookie, transport
from quaestor_actors.system.base import attach
from quaestor_actors.system.connection import Connection

ANSWER_TIMEOUT_S = 3.0

Reply = TypeVar("Reply")


def running_in(base: Path) -> list[Path]:
    """Return the runtime directories of all clusters that run."""
    return sorted(
        directory
        for directory in (base.iterdir() if base.is_dir() else ())
        if directory.is_dir() and runtime_directory.is_running(directory)
    )


def find_cluster(base: Path, name: str | None) -> Path:
    """Return the runtime directory of the running cluster that is meant.

    Raises:
        NotRunningError: none runs, or not the named one.
        OperationError: more than one runs, and none was named.
    """
    running = running_in(base)
    if name is not None:
        running = [directory for directory in running if directory.name == name]
    if not running:
        what = "no cluster is running" if name is None else f"no cluster {name!r} is running"
        raise NotRunningError(f"{what} here (looked in {base}); start one with: quaestor cluster")
    if len(running) > 1:
        names = ", ".join(directory.name for directory in running)
        raise OperationError(f"several clusters run here: {names}; name one with --cluster")
    return running[0]


def ask_root(
    directory: Path, request: Callable[[str], Any], reply_type: type[Reply], *, timeout_s: float = ANSWER_TIMEOUT_S
) -> Reply:
    """Send the root actor of a running cluster a request and return its reply.

    Args:
        directory: the cluster's runtime directory.
        request: makes the request for a given id.
        reply_type: of the reply, which has the same id.
        timeout_s: how long it is waited for.

    Raises:
        NotRunningError: it has ended, or does not answer.
    """
    record = _record_of(directory)
    cookie_path = Path(record.cookie_file) if record.cookie_file else directory / "cookie"
    transport.configure(cookie=_load(cookie_path), interface=transport.Interface(address=record.address))
    # As good as a UUID, and its module need not be imported.
    request_id = os.urandom(16).hex()
    connection = Connection(attach(record.admin_port))
    try:
        reply = connection.ask(
            connection.address_of(record.root_address),
            request(request_id),
            timeout_s=timeout_s,
            match=lambda message: isinstance(message, reply_type) and getattr(message, "request_id", "") == request_id,
        )
    finally:
        connection.close()
    if not isinstance(reply, reply_type):
        raise NotRunningError(
            f"the cluster {directory.name!r} does not answer within {timeout_s:g} s; its log is in "
            f"{runtime_directory.log_directory(os.environ, directory.name)}"
        )
    return reply


def own_host(directory: Path) -> str:
    """Return which host a running cluster's record says that this is; empty where there are no others.

    Raises:
        NotRunningError: it has ended.
    """
    return _record_of(directory).host


def _record_of(directory: Path) -> SystemRecord:
    record = runtime_directory.read_system_record(directory)
    if record is None:
        raise NotRunningError(f"the cluster {directory.name!r} has just ended")
    return record


def _load(path: Path) -> bytes:
    # One in the environment is removed when it is read; a watching command needs it again.
    digits = os.environ.get(cookie.COOKIE_VARIABLE)
    try:
        return cookie.load_cookie(path)
    finally:
        if digits is not None:
            os.environ[cookie.COOKIE_VARIABLE] = digits


def running_cluster(name: str | None) -> Path:
    """Return the runtime directory of the running cluster that is meant, of this user.

    Raises:
        NotRunningError: none runs, or not the named one.
        OperationError: more than one runs, and none was named.
    """
    return find_cluster(runtime_directory.base_directory(os.environ), name)
