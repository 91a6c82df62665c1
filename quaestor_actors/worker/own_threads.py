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
        setattr(servicer, name, _Method(getattr(servicer, name), pool))
    return servicer


class _Method:
    """Carries the attribute by which gRPC finds a method's threads; a bound method cannot, only its whole class."""

    def __init__(self, method: Callable[[Any, Any], Any], threads: ThreadPoolExecutor) -> None:
        self._method = method
        self.experimental_thread_pool = threads

    def __call__(self, request: Any, context: Any) -> Any:
        return self._method(request, context)
