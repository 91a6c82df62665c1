"""Starting an actor system on the hardened transport, and attaching to one that runs without ever starting one."""

from __future__ import annotations

import uuid
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from thespian.actors import ActorSystem, InvalidActorAddress
from thespian.system import multiprocTCPBase, systemBase

from quaestor_actors.errors import NotRunningError, OperationError
from quaestor_actors.system import convention
from quaestor_actors.system.transport import SealedTCPTransport

PATIENCE = timedelta(seconds=3)
"""How long an administrator may take to start, to create an actor, and to shut down, and any actor to accept a message.

It takes milliseconds.
"""

# Stock waits up to a minute, in which the launcher would heed no signal.
systemBase.MAX_CHILD_ACTOR_CREATE_DELAY = PATIENCE
systemBase.MAX_SYSTEM_SHUTDOWN_DELAY = PATIENCE
systemBase.MAX_TELL_PERIOD = PATIENCE


class SealedTCPBase(multiprocTCPBase.ActorSystemBase):  # type: ignore[misc]  # Thespian has no type information
    """Thespian's multiprocTCPBase on the hardened transport."""

    transportType = SealedTCPTransport  # noqa: N815 - Thespian's name


class AttachedBase(SealedTCPBase):
    """The same, for a process that only wants to talk to a system that runs already."""

    def __init__(self, system: Any) -> None:
        """Attach, or raise NotRunningError and leave nothing open."""
        try:
            super().__init__(system)
        except NotRunningError:
            self.transport.close()
            raise

    def _startAdmin(self, *_: Any) -> None:  # noqa: N802 - Thespian's name
        """Refuse: stock would start a system wherever none answers."""
        raise NotRunningError("the cluster's actor system has ended")

    def _verifyAdminRunning(self) -> bool:  # noqa: N802 - Thespian's name
        """Return that it answers; do not go on trying when it does not."""
        if not super()._verifyAdminRunning():
            raise NotRunningError("what listens on the cluster's port is not its actor system")
        return True


def _capabilities(admin_port: int) -> dict[str, Any]:
    return {"Admin Port": admin_port, "Process Startup Method": "fork"}


def start_system(admin_port: int, *, peers: tuple[str, ...] = (), host: str = "") -> ActorSystem:
    """Start an actor system on the address that the transport was configured for; it outlives this process.

    Args:
        admin_port: Where its administrator listens.
        peers: The administrators of other hosts, each as `host:port`, with which it makes a convention.
        host: The name of this host among them.

    Raises:
        OperationError: it did not start.
    """
    capabilities = _capabilities(admin_port)
    if peers:
        convention.install()
        capabilities |= convention.capabilities_of(peers=peers, start=uuid.uuid4().hex, host=host)
    try:
        base = SealedTCPBase(SimpleNamespace(capabilities=capabilities))
    except InvalidActorAddress as error:
        raise OperationError(f"the actor system did not start on port {admin_port}: {error}") from error
    return ActorSystem(systemBase=base, capabilities=capabilities, transientUnique=True)


def attach(admin_port: int) -> ActorSystem:
    """Return access to a running actor system.

    Raises:
        NotRunningError: there is none on this port, or it has another cookie.
    """
    capabilities = _capabilities(admin_port)
    base = AttachedBase(SimpleNamespace(capabilities=capabilities))
    return ActorSystem(systemBase=base, capabilities=capabilities, transientUnique=True)
