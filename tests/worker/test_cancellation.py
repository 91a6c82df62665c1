"""An administrator cancels running requests, on servers of both kinds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from support.workers import SampleWorker, run_worker

from quaestor_actors.rpc import process_admin_pb2, process_admin_pb2_grpc
from quaestor_actors.worker import CancellableRequests

RunWorker = Callable[..., AbstractContextManager[SampleWorker]]
PASSWORD = {"password": "whatever"}
ADMINISTRATION = "Quaestor.ProcessAdministration.ProcessAdministrationGrpc"


def cancel(worker: SampleWorker, **fields: str) -> bool:
    stub = process_admin_pb2_grpc.ProcessAdministrationGrpcStub(worker.channel)
    return bool(stub.Cancel(process_admin_pb2.CancelRequest(**fields), timeout=10).success)


def begin(worker: SampleWorker, user: str) -> Any:
    """Begin a request and return its answers when it can be cancelled."""
    wait: grpc.UnaryStreamMultiCallable[bytes, bytes] = worker.channel.unary_stream("/Test/Wait")
    answers = wait(user.encode(), timeout=30)
    assert next(answers) == b"registered"
    return answers


def test__cancel__ends_every_request_of_the_user_and_no_other(collecting_worker: RunWorker) -> None:
    with collecting_worker(grace_s=5) as worker:
        ann, ann_again, bob = begin(worker, "ann"), begin(worker, "ann"), begin(worker, "bob")
        assert not cancel(worker, user_name="ann", environment="production")
        assert not cancel(worker, user_name="ann", environment="test", service_name="Other")
        assert not cancel(worker, user_name="eve", environment="test")
        assert cancel(worker, user_name="ann", environment="test")
        assert (next(ann), next(ann_again)) == (b"cancelled", b"cancelled")
        assert cancel(worker, user_name="bob", environment="test", service_name="Worker", **PASSWORD)
        assert next(bob) == b"cancelled"


def test__administration__is_reflected(collecting_worker: RunWorker) -> None:
    with collecting_worker(grace_s=5) as worker:
        assert ADMINISTRATION in ProtoReflectionDescriptorDatabase(worker.channel).get_services()


def test__server_without_cancellable_requests__does_not_serve_it() -> None:
    with run_worker() as worker:
        with pytest.raises(grpc.RpcError) as caught:
            cancel(worker, user_name="ann", environment="test")
        assert ADMINISTRATION not in ProtoReflectionDescriptorDatabase(worker.channel).get_services()
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test__request_that_has_ended__is_not_cancelled() -> None:
    requests = CancellableRequests()
    with requests.register("ann", "test") as cancellation:
        pass
    assert not requests.cancel(process_admin_pb2.CancelRequest(user_name="ann", environment="test"))
    assert not cancellation.requested.is_set()


def test__request_without_service_name__is_meant_by_any() -> None:
    requests = CancellableRequests()
    with requests.register("ann", "test") as cancellation:
        asked = process_admin_pb2.CancelRequest(user_name="ann", environment="test", service_name="Worker")
        assert requests.cancel(asked)
        assert cancellation.requested.is_set()


def test__when_requested__is_called_once_at_once_or_later() -> None:
    requests = CancellableRequests()
    calls: list[str] = []
    with requests.register("ann", "test") as cancellation:
        cancellation.when_requested(lambda: calls.append("before"))
        for _ in range(2):
            assert requests.cancel(process_admin_pb2.CancelRequest(user_name="ann", environment="test"))
        assert calls == ["before"]
        cancellation.when_requested(lambda: calls.append("after"))
    assert calls == ["before", "after"]
