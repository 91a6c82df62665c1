"""The policies that real clients follow, each with workers, and if need be a balancer, of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure.follower import DeadlineError

from balancing.arrivals import Request
from balancing.children import Child
from balancing.deployed_balancer import HOST_NAME, deployed_balancer, free_port

OURS, FRONTENDS, ORIGINAL = "ours", "four frontends", "original"
RANDOM, ROUND_ROBIN, SHORTEST = "random", "round robin", "shortest queue"
"""The last one is by the client's own counts: as there is one client, it knows at once what nobody else can."""

REAL = (OURS, FRONTENDS, ORIGINAL, RANDOM, ROUND_ROBIN, SHORTEST)

_BALANCERS: dict[str, dict[str, Any]] = {OURS: {}, FRONTENDS: {"frontends": 4}, ORIGINAL: {"ranking": "original"}}
"""What the balancer is configured with, for the policies that have one."""
_CONNECTIONS = 16
"""Of the client to several frontends, in turn: the kernel spreads them."""
_START_DEADLINE_S = 60.0
_PATIENCE_S = 120.0
"""For the answer, beyond the time at which the last request comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Workers that serve, and how their clients choose among them."""

    ports: list[int]
    choice: dict[str, object]
    client: Child

    def responses(self, requests: Sequence[Request], *, seed: int) -> list[float]:
        """Send the requests at their times, and return the response time of each in seconds.

        Raises:
            ChildError: a request failed, or the answer does not come.
        """
        answer: list[float] = self.client.ask(
            deadline_s=requests[-1].at_s + _PATIENCE_S,
            ports=self.ports,
            requests=[(request.at_s, request.work_s) for request in requests],
            seed=seed,
            **self.choice,
        )
        return answer


@contextmanager
def bench(policy: str, *, speeds: Sequence[float], client: Child, asker: Child, directory: Path) -> Iterator[Bench]:
    """Have workers of these speeds, and all that the policy needs.

    Raises:
        DeadlineError: the balancer does not offer all of them; the message has the end of what it printed.
    """
    with Child("working_locations") as workers:
        ports: list[int] = workers.ask(speeds=list(speeds), deadline_s=_START_DEADLINE_S)
        configured = _BALANCERS.get(policy)
        if configured is None:
            yield Bench(ports=ports, choice={"policy": policy}, client=client)
            return
        place, port = Path(tempfile.mkdtemp(dir=directory, prefix="")), free_port()
        address = f"{HOST_NAME}:{port}"
        with deployed_balancer(place, port=port, locations=ports, **configured) as balancer:
            balancer.start()
            question: dict[str, Any] = {"await": address, "locations": len(ports), "seconds": _START_DEADLINE_S}
            if not asker.ask(deadline_s=2 * _START_DEADLINE_S, **question):
                raise DeadlineError(f"the balancer does not offer {len(ports)} workers; it says: {balancer.output()}")
            connections = _CONNECTIONS if "frontends" in configured else 1
            yield Bench(ports=ports, choice={"balancer": address, "connections": connections}, client=client)
