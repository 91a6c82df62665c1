"""A worker for the tests of draining: its request lasts until the client has nothing more to send.

collecting_worker.py PORT GRACE_S
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import grpc

from quaestor_actors.worker import ServiceLoad, WorkerServer


def main() -> None:
    """Serve until SIGTERM."""
    load = ServiceLoad(request_capacity=4)

    def collect(words: Iterator[bytes], _context: grpc.ServicerContext) -> bytes:
        with load.request():
            return b" ".join(words)

    server = WorkerServer(port=int(sys.argv[1]), loads={"Worker": load}, grace_s=float(sys.argv[2]))
    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_unary_rpc_method_handler(collect)
    server.grpc_server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("Test", {"Collect": method}),))
    server.start()
    print("serves", flush=True)  # noqa: T201 - the test waits for it
    server.wait()


if __name__ == "__main__":
    main()
