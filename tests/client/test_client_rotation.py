"""Which balancer is asked next, without a clock."""

from __future__ import annotations

import math
import pickle

import grpc
import pytest

from quaestor_actors.client.errors import (
    BalancerFailure,
    BalancersUnavailableError,
    ClientError,
    DiscoveryTimeoutError,
    NoLocationError,
)
from quaestor_actors.client.rotation import LONGEST_PAUSE_S, Question, Rotation, checked_addresses


def failed_call(code: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, details="why")


def test__all_well__everybody_in_turn() -> None:
    rotation = Rotation(3, first=1)
    assert [rotation.order(0.0) for _ in range(4)] == [(1, 2, 0), (2, 0, 1), (0, 1, 2), (1, 2, 0)]


def test__failures_in_a_row__left_out_for_longer_each_time() -> None:
    rotation = Rotation(2)
    now = 100.0
    pauses = []
    for _ in range(2000):
        rotation.failed(0, asked_at=now, now=now)
        left_out_at = now
        # The other one comes first for as long as the pause lasts.
        while {rotation.order(now)[0] for _ in range(2)} == {1}:
            now += 0.05
        pauses.append(now - left_out_at)
        if len(pauses) == 12:
            break
    assert pauses[0] == pytest.approx(0.1, abs=0.06)
    assert pauses[1] == pytest.approx(0.2, abs=0.06)
    assert pauses[2] == pytest.approx(0.4, abs=0.06)
    assert pauses[-1] == pytest.approx(LONGEST_PAUSE_S, abs=0.06)


def test__many_thousand_failures__still_a_pause() -> None:
    rotation = Rotation(2)
    for failure in range(5000):
        rotation.failed(0, asked_at=failure, now=failure)
    assert rotation.order(4999.0 + LONGEST_PAUSE_S - 1)[0] == 1


def test__questions_that_failed_at_the_same_time__count_as_one() -> None:
    rotation = Rotation(2, first=1)
    for _ in range(16):
        rotation.failed(0, asked_at=0.0, now=1.0)
    rotation.order(1.15)
    assert rotation.order(1.15) == (0, 1)


def test__pause_over__one_question_tries_and_the_others_do_not() -> None:
    rotation = Rotation(2)
    rotation.failed(0, asked_at=0.0, now=0.0)
    orders = [rotation.order(0.15) for _ in range(4)]
    assert [order[0] for order in orders] == [0, 1, 1, 1]


def test__answered__is_one_of_them_again() -> None:
    rotation = Rotation(2)
    rotation.failed(0, asked_at=0.0, now=0.0)
    rotation.answered(0)
    assert {rotation.order(0.01)[0] for _ in range(2)} == {0, 1}


def test__all_left_out__asked_nevertheless_and_first_whose_pause_ends_first() -> None:
    rotation = Rotation(3)
    rotation.failed(0, asked_at=0.0, now=0.02)
    rotation.failed(1, asked_at=0.0, now=0.0)
    rotation.failed(2, asked_at=0.0, now=0.01)
    assert rotation.order(0.03) == (1, 2, 0)


def test__caller_in_a_hurry__is_not_the_balancer_s_fault() -> None:
    rotation = Rotation(2)
    question = Question(addresses=("a:1", "b:2"), rotation=rotation, timeout_s=1.0, deadline=0.2)
    assert question.patience_s(0.0) == 0.2
    question.failed(0, failed_call(grpc.StatusCode.DEADLINE_EXCEEDED), 0.2)
    assert isinstance(question.give_up(0.2), DiscoveryTimeoutError)
    with pytest.raises(DiscoveryTimeoutError, match=r"a:1: too slow$"):
        question.patience_s(0.2)
    assert rotation.order(0.2)[0] == 0


def test__slow_balancer__is_left_out() -> None:
    rotation = Rotation(2)
    question = Question(addresses=("a:1", "b:2"), rotation=rotation, timeout_s=1.0, deadline=math.inf)
    assert question.patience_s(0.0) == 1.0
    question.failed(0, failed_call(grpc.StatusCode.DEADLINE_EXCEEDED), 1.0)
    assert rotation.order(1.0) == (1, 0)


def test__bad_question__is_let_through_and_nobody_s_fault() -> None:
    rotation = Rotation(2)
    question = Question(addresses=("a:1", "b:2"), rotation=rotation, timeout_s=1.0, deadline=math.inf)
    error = failed_call(grpc.StatusCode.INVALID_ARGUMENT)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        question.failed(0, error, 0.0)
    assert caught.value is error
    assert rotation.order(0.0)[0] == 0


@pytest.mark.parametrize("addresses", ["localhost:5150", [], ["localhost"], ["a:1", 7], None])
def test__addresses_of_no_use__are_said_so(addresses: object) -> None:
    with pytest.raises(ValueError, match="host:port"):
        checked_addresses(addresses)


@pytest.mark.parametrize(
    "error",
    [
        NoLocationError("Worker", "red"),
        BalancersUnavailableError((BalancerFailure("a:1", "gone"),)),
        DiscoveryTimeoutError(()),
    ],
)
def test__errors__are_failed_calls_and_cross_process_borders(error: ClientError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert type(again) is type(error)
    assert str(again) == str(error) == error.details()
    assert vars(again)["_facts"] == vars(error)["_facts"]
    assert error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    assert isinstance(error, grpc.RpcError)
