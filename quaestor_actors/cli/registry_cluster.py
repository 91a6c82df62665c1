"""Asking a running cluster what its balancers are told of."""

from __future__ import annotations

from pathlib import Path

from quaestor_actors.actors.root_messages import RegistryReply, RegistryRequest
from quaestor_actors.actors.status_messages import StatusReply, StatusRequest
from quaestor_actors.actors.view import RegistryView
from quaestor_actors.cli.asking import ask_root
from quaestor_actors.cli.registry_entries import Contents, in_order, of_view


def ask_contents(directory: Path) -> Contents:
    """Return what the balancers of a running cluster are told of.

    Raises:
        NotRunningError: it has ended, or does not answer.
    """
    reply = ask_root(directory, lambda request_id: RegistryRequest(request_id=request_id), RegistryReply)
    return Contents(
        source=f"cluster {directory.name}",
        entries=in_order(of_view(view) for view in reply.registrations),
        has_leases=False,
    )


def ask_standing(directory: Path) -> RegistryView | None:
    """Return how the registry of a running cluster stands with its store; None while it is being started.

    Raises:
        NotRunningError: it has ended, or does not answer.
    """
    return ask_root(directory, lambda request_id: StatusRequest(request_id=request_id), StatusReply).tree.registry
