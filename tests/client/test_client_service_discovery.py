"""The original's client class, against a real balancer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from support.certificates import Authority
from support.ports import free_port

from quaestor_actors.client import ServiceDiscovery, ServiceLocation

MakeField = Any


def test__top_services__one_by_default_and_all_at_zero(make_field: MakeField) -> None:
    field = make_field(workers=3)
    port = field.balancers[0].port
    (best,) = ServiceDiscovery("127.0.0.1", port, "Worker").discover_top_services()
    assert best == ServiceLocation("Worker", "localhost", best.port)
    everybody = ServiceDiscovery("127.0.0.1", port, "Worker", max_count=0)
    ports = sorted(worker.port for worker in field.workers)
    assert sorted(location.port for location in everybody.discover_top_services()) == ports
    assert sorted(location.port for location in everybody.discover_services()) == ports


def test__fields__are_the_original_s_and_may_be_changed(make_field: MakeField) -> None:
    field = make_field(workers=1)
    discovery = ServiceDiscovery("localhost", 1, "Other", None, "red", 2)
    assert (discovery.host_name, discovery.port_nr, discovery.service_name) == ("localhost", 1, "Other")
    assert (discovery.ssl_channel_credentials, discovery.scope, discovery.max_count) == (None, "red", 2)
    discovery.port_nr = field.balancers[0].port
    discovery.host_name = "127.0.0.1"
    discovery.service_name = "Worker"
    assert list(discovery.discover_services()) == []
    discovery.scope = ""
    found = discovery.discover_services()
    assert isinstance(found, Iterator)
    assert next(found).port == field.workers[0].port


def test__nobody_there__is_a_failed_call() -> None:
    with pytest.raises(grpc.RpcError) as caught:
        list(ServiceDiscovery("127.0.0.1", free_port(), "Worker").discover_top_services())
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test__tls__with_credentials(make_field: MakeField, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    chain, key = authority.issue("localhost")
    field = make_field(workers=1, balancers=0)
    port = field.start_balancer(host_name="localhost", certificate=chain, private_key_file=key).port
    credentials = grpc.ssl_channel_credentials(authority.root_pem)
    (found,) = ServiceDiscovery("localhost", port, "Worker", ssl_channel_credentials=credentials).discover_services()
    assert found.port == field.workers[0].port
