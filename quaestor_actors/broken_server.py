"""One request can end the main loop of an asyncio server of gRPC; whoever owns the server starts another.

The loop decodes the path of each request as UTF-8, and does not expect that it is none (seen in grpcio 1.85). The
server then closes its port, and the error comes out of a task that nobody waits for: at the event loop's handler.
"""

from __future__ import annotations

import traceback

_MAIN_LOOP = "_server_main_loop"


def is_broken_by_client(error: BaseException | None) -> bool:
    """Return whether an error at the event loop's exception handler means that a server was ended that way."""
    if not isinstance(error, UnicodeDecodeError):
        return False
    names = (frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(name.endswith(_MAIN_LOOP) for name in names)
