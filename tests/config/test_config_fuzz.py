"""Whatever the files hold: a configuration comes out, or a ConfigError whose every fault has a sentence."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from quaestor_actors.config import CLUSTER_FILE, LOAD_BALANCER_FILE, load_balancer, load_cluster
from quaestor_actors.config.schema import ClusterKeys, LoadBalancerKeys
from quaestor_actors.config.schema_agent import AgentKeys
from quaestor_actors.errors import ConfigError, ConfigFault

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["LoadBalancer", "Worker", "KeyValueStore", "Kill", "/bin/sh", ".", "{Port}", "no", "\x00"]),
    st.sampled_from(
        ["transient", "rest_for_one", "any_significant", "exec", "SIGSTOP", "15", "root", "022", "unlimited"]
    ),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
)
LIMITS = st.dictionaries(st.sampled_from(["nofile", "NOFILE", "core", "x"]), SCALARS, max_size=3)
TARGETS = st.sampled_from(["Worker", "worker", "LoadBalancer", "KeyValueStore", "a b", "", "Wrker"])
DEPENDENCIES = st.lists(TARGETS, max_size=3) | st.dictionaries(
    TARGETS, st.sampled_from(["started", "SERVING", "completed", "x"]), max_size=3
)
PORTS = st.lists(st.integers(-1, 65536), max_size=3)
HOSTS = st.lists(st.sampled_from(["127.0.0.1", "127.0.0.2", "192.0.2.1", "::1", "somebody", ".", "a:1"]), max_size=4)


@pytest.fixture(autouse=True, scope="module")
def no_names() -> Iterator[None]:
    """Let no made-up name of a host leave this machine."""

    def unknown(host: str, *_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, f"{host} is nobody")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", unknown)
        yield


def mapping_of(names: tuple[str, ...]) -> st.SearchStrategy[object]:
    """Make mappings that have some of the right keys, in any case, and some others."""
    keys = st.sampled_from([*names, *(name.upper() for name in names), "other"])
    return st.dictionaries(keys, VALUES | PORTS | LIMITS | DEPENDENCIES, max_size=6)


def agent() -> st.SearchStrategy[object]:
    """Make agents that are mostly right, so that the rules between keys and between agents are reached."""
    right = {
        "executablePath": st.just("/bin/sh"),
        "dependsOn": DEPENDENCIES,
        "restart": st.sampled_from(["permanent", "Transient", "temporary", 1]),
        "intensity": st.integers(0, 200_000),
        "periodSeconds": st.floats(0, 1e6),
        "backoffInitialSeconds": st.floats(0, 10),
        "backoffFactor": st.floats(1, 1001),
        "backoffMaxSeconds": st.floats(0, 10),
        "backoffJitter": st.floats(0, 1),
        "processCount": st.integers(0, 3),
        "significant": st.booleans(),
        "autoShutdown": st.sampled_from(["never", "any_significant"]),
        "probe": st.sampled_from(["grpc", "http", "exec", "none"]),
        "probeCommand": st.sampled_from(["true", "'", "{Port}", ""]),
        "rlimits": LIMITS,
        "user": SCALARS,
        "workingDirectory": SCALARS,
        "hosts": HOSTS,
        "hostName": st.sampled_from(["127.0.0.1", "192.0.2.1", "localhost", "::1", "::"]),
        "endpoints": st.lists(st.sampled_from(["a:1", "[::1]:2", "a", "http://a:1", ":1", "a:70000"]), max_size=3),
        "ports": PORTS,
        "peerPort": st.integers(1, 65535),
        "storeUser": SCALARS,
        "storePasswordFile": SCALARS,
        "dataDirectory": SCALARS,
        "useTLS": st.booleans(),
        "commandLineArguments": st.sampled_from(["--cert-file a --key-file=b", "--config-file x", "'", "-"]),
    }
    return st.fixed_dictionaries({}, optional=right)


AGENTS = st.lists(mapping_of(AgentKeys.names()), max_size=3) | st.dictionaries(
    st.sampled_from(["Worker", "worker", "LoadBalancer", "KeyValueStore", "a b"]),
    mapping_of(AgentKeys.names()) | agent() | st.none(),
    max_size=3,
)
CLUSTERS = st.fixed_dictionaries(
    {"clusterConfig": mapping_of(ClusterKeys.names()) | VALUES, "agents": AGENTS | VALUES},
    optional={"extra": VALUES},
)
BALANCERS = st.fixed_dictionaries(
    {"loadBalancerConfig": mapping_of(LoadBalancerKeys.names()) | VALUES, "agents": AGENTS | VALUES}
)


def check(cluster: bytes, balancer: bytes) -> None:
    """Load both ways; any other exception than ConfigError is a fault of ours."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / CLUSTER_FILE).write_bytes(cluster)
        (folder / LOAD_BALANCER_FILE).write_bytes(balancer)
        for load in (load_cluster, load_balancer):
            faults: tuple[ConfigFault, ...] | None = None
            try:
                load(folder, environ={"PATH": "/bin"})
            except ConfigError as error:
                faults = error.faults
            assert faults is None or faults
            for fault in faults or ():
                assert fault.message
                assert "\n" not in str(fault)
                str(fault).encode()


@settings(max_examples=250, deadline=None)
@given(CLUSTERS, BALANCERS)
def test__any_structure__is_a_configuration_or_faults(cluster: object, balancer: object) -> None:
    check(yaml.safe_dump(cluster).encode(), yaml.safe_dump(balancer, default_flow_style=True).encode())


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=80) | st.text("-:[]{}&*!|>'\"%@`#?, \n\tab<0\\uU", max_size=60).map(str.encode))
def test__any_bytes__are_a_configuration_or_faults(raw: bytes) -> None:
    check(raw, b"agents: " + raw)
