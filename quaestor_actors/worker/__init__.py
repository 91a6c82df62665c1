"""What a service imports to be kept healthy and balanced; needs gRPC, and no actors.

`quaestor_actors.worker.aio` has the counterparts for asyncio servers.
"""

from quaestor_actors.worker.cancellation import CancellableRequests, Cancellation
from quaestor_actors.worker.counting import CountRequests
from quaestor_actors.worker.load import ServiceLoad
from quaestor_actors.worker.machine import Machine, MachineUsage
from quaestor_actors.worker.reporter import LoadReporter
from quaestor_actors.worker.server import WorkerServer

__all__ = [
    "CancellableRequests",
    "Cancellation",
    "CountRequests",
    "LoadReporter",
    "Machine",
    "MachineUsage",
    "ServiceLoad",
    "WorkerServer",
]
