"""The parts of `quaestor_actors.worker` for asyncio servers; loads and cancellable requests are the same objects."""

from quaestor_actors.worker.aio.counting import CountRequests
from quaestor_actors.worker.aio.reporter import LoadReporter
from quaestor_actors.worker.aio.server import WorkerServer

__all__ = ["CountRequests", "LoadReporter", "WorkerServer"]
