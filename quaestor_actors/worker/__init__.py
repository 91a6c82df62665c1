"""What a service imports to be kept healthy and balanced; needs gRPC, and no actors."""

from quaestor_actors.worker.load import ServiceLoad
from quaestor_actors.worker.reporter import LoadReporter
from quaestor_actors.worker.server import WorkerServer

__all__ = ["LoadReporter", "ServiceLoad", "WorkerServer"]
