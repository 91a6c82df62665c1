"""Scaling an agent on another one of several hosts."""

from __future__ import annotations

from pathlib import Path

from quaestor_actors.actors.root_messages import ScaleReply, ScaleRequest
from quaestor_actors.actors.view import TreeView
from quaestor_actors.cli.asking_hosts import ask_hosts, ask_status_of_hosts, why_not
from quaestor_actors.core.host_selector import on_host
from quaestor_actors.errors import ConflictError, OperationError


def scale_on_host(directory: Path, host: str, request: ScaleRequest) -> tuple[TreeView, ScaleReply]:
    """Have an agent scaled on a host, and return what there was before, and the answer.

    Args:
        directory: the cluster's runtime directory.
        host: its name.
        request: what is asked; its `request_id` is filled in on the way.

    Raises:
        ConflictError: there is no such host; nothing was done.
        OperationError: it cannot be reached, and nothing was done; or it does not answer.
        NotRunningError: this host's own root has ended, or does not answer.
    """
    found = ask_status_of_hosts(directory)
    view = next((each for each in found.hosts if each.name.lower() == host.lower()), None)
    if view is None:
        raise ConflictError(
            f"the cluster {directory.name!r} has no host {host!r}; nothing was done (`quaestor hosts` shows them)"
        )
    if not view.is_current or view.tree is None:
        raise OperationError(f"{on_host(request.agent, host)!r} is on {why_not(view)}; nothing was done")
    reply = dict(ask_hosts(directory, [(view.name, request)]).answers).get(view.name)
    if not isinstance(reply, ScaleReply):
        raise OperationError(f"{view.name} does not answer, and may have been told or not: `quaestor status` shows it")
    return view.tree, reply
