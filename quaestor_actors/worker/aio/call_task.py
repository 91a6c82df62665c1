"""The task in which gRPC runs a call on an asyncio server."""

from __future__ import annotations

import asyncio
from typing import Any


def call_task() -> asyncio.Task[Any]:
    """Return it; only from an interceptor.

    gRPC runs a call's interceptors, its method if that is a coroutine, and the sending of its answers in one task,
    which a cancelled call cancels. So the task's end is the call's.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("gRPC runs interceptors in tasks")
    return task
