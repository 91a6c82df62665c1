"""Whatever the files hold: a configuration comes out, or a ConfigError whose every fault has a sentence."""

from __future__ import annotations

import tempfile
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from quaestor_actors.config import CLUSTER_FILE, LOAD_BALANCER_FILE, load_balancer, load_cluster
from quaestor_actors.config.schema import AgentKeys, ClusterKeys, LoadBalancerKeys
from quaestor_actors.errors import ConfigError, ConfigFault

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["LoadBalancer", "Worker", "KeyValueStore", "Kill", "/bin/sh", ".", "{Port}", "no", "\x00"]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
)
PORTS = st.lists(st.integers(-1, 65536), max_size=3)


def mapping_of(names: tuple[str, ...]) -> st.SearchStrategy[object]:
    """Make mappings that have some of the right keys, in any case, and some others."""
    keys = st.sampled_from([*names, *(name.upper() for name in names), "other"])
    return st.dictionaries(keys, VALUES | PORTS, max_size=6)


AGENTS = st.lists(mapping_of(AgentKeys.names()), max_size=3) | st.dictionaries(
    st.sampled_from(["Worker", "worker", "LoadBalancer", "KeyValueStore", "a b"]),
    mapping_of(AgentKeys.names()) | st.none(),
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
