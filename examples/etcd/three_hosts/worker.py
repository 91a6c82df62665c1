"""A worker that other hosts can reach: worker.py SERVICE HOST PORT. It listens on that address alone."""

from __future__ import annotations

import sys

from quaestor_actors.errors import QuaestorError
from quaestor_actors.worker import ServiceLoad, WorkerServer


def main() -> int:
    """Serve until SIGTERM; return the exit code."""
    try:
        name, host, port = sys.argv[1:]
        server = WorkerServer(port=int(port), host_name=host, loads={name: ServiceLoad(request_capacity=1)})
    except ValueError:
        print("usage: worker.py SERVICE HOST PORT", file=sys.stderr)
        return 2
    try:
        server.start()
    except QuaestorError as error:
        print(f"worker.py: {error}", file=sys.stderr)
        return 2
    server.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
