"""The processes that the benchmarks of the balancer are made of: real ones, over loopback."""

from __future__ import annotations

from pathlib import Path

import pytest
from balancing.arrivals import Request
from balancing.children import Child, ChildError
from balancing.policies import RANDOM, ROUND_ROBIN, SHORTEST, bench

DEADLINE_S = 30.0


def test__child__asked__answers_and_ends_with_its_input() -> None:
    with Child("empty_server") as child:
        port = child.ask(deadline_s=DEADLINE_S)
        assert child.ask(deadline_s=DEADLINE_S) == port
    with pytest.raises(ValueError, match="closed file"):
        child.ask(deadline_s=DEADLINE_S)


def test__child__does_not_know_the_question__ends_and_the_asker_is_told() -> None:
    with (
        Child("working_locations") as child,
        pytest.raises(ChildError, match="working_locations has ended"),
    ):
        child.ask(deadline_s=DEADLINE_S, nonsense=True)


def test__empty_server__measured_by_the_client__has_a_rate() -> None:
    with Child("empty_server") as server, Child("discovering_client") as client:
        address = f"127.0.0.1:{server.ask(deadline_s=DEADLINE_S)}"
        found = client.ask(deadline_s=DEADLINE_S, measure=address, callers=2, seconds=0.1)
    assert found["rate"] > 0
    assert 0 < found["p50_ms"] <= found["p99_ms"]


@pytest.mark.parametrize("policy", [ROUND_ROBIN, RANDOM, SHORTEST])
def test__workers__without_a_balancer__answer_every_request_not_before_its_work_is_done(
    policy: str, tmp_path: Path
) -> None:
    requests = [Request(at_s=0.0, work_s=0.02)] * 8
    with (
        Child("sending_client") as client,
        bench(policy, speeds=[1.0, 1.0], client=client, asker=client, directory=tmp_path) as workers,
    ):
        responses = workers.responses(requests, seed=1)
    assert len(responses) == len(requests)
    assert min(responses) >= 0.02
