"""Asking the root actor of a running cluster; nothing is started by it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from quaestor_actors.adapters import runtime_directory
from quaestor_actors.errors import NotRunningError
from quaestor_actors.system import transport
from quaestor_actors.system.base import attach
from quaestor_actors.system.connection import Connection
from quaestor_actors.system.running import cookie_of, find_cluster, record_of

ANSWER_TIMEOUT_S = 3.0

Reply = TypeVar("Reply")


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
    record = record_of(directory)
    transport.configure(cookie=cookie_of(directory, record), interface=transport.Interface(address=record.address))
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
    return record_of(directory).host


def running_cluster(name: str | None) -> Path:
    """Return the runtime directory of the running cluster that is meant, of this user.

    Raises:
        NotRunningError: none runs, or not the named one.
        OperationError: more than one runs, and none was named.
    """
    return find_cluster(runtime_directory.base_directory(os.environ), name)
