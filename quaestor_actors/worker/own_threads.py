"""Methods of a server that never wait for its requests."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Servicer = TypeVar("Servicer")


def run_on(servicer: Servicer, **threads: ThreadPoolExecutor) -> Servicer:
    """Have gRPC run methods of a servicer on these threads, by the method's name, instead of the server's.

    Must come before the servicer is added to a server.
    """
    for name, pool in threads.items():
        setattr(servicer, name, OnThreads(getattr(servicer, name), pool))
    return servicer


class OnThreads:
    """A method's function with threads of its own.

    Carries the attribute by which gRPC finds them; a bound method cannot, only its whole class.
    """

    def __init__(self, behaviour: Callable[[Any, Any], Any], threads: ThreadPoolExecutor) -> None:
        """Run a function on these threads."""
        self._behaviour = behaviour
        self.experimental_thread_pool = threads

    def __call__(self, request: Any, context: Any) -> Any:
        """Do the work."""
        return self._behaviour(request, context)


def threads_of(behaviour: Callable[..., Any]) -> ThreadPoolExecutor | None:
    """Return the threads of a method's function, None if it has none of its own."""
    threads: ThreadPoolExecutor | None = getattr(behaviour, "experimental_thread_pool", None)
    return threads
