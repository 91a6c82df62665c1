"""Loading the configuration of a cluster of several hosts, on whichever of them a test wants to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from quaestor_actors.config import CLUSTER_FILE, LoadedCluster, hosts, load_cluster, managed_etcd
from quaestor_actors.core.spec import COOKIE_VARIABLE, AgentSpec, ClusterSpec
from quaestor_actors.errors import ConfigError

COOKIE = {"PATH": "", COOKIE_VARIABLE: "0" * 64}
THREE = "{a1: {address: 10.0.0.1}, a2: {address: 10.0.0.2}, a3: {address: 10.0.0.3, adminPort: 7000}}"
TWO_HERE = "hosts: {a1: {address: 127.0.0.1}, A2: {address: 127.0.0.1, adminPort: 7072}}"
ETCD = "- {agentType: KeyValueStore, processCount: 0, hosts: [a1]}\n"


def be(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let this machine have these addresses."""
    for reader in (hosts, managed_etcd):
        monkeypatch.setattr(reader, "local_addresses", lambda: (*addresses, "127.0.0.1"))


def load(
    folder: Path,
    agents: str = " []",
    *,
    config: str = f"hosts: {THREE}",
    host: str | None = None,
    environ: dict[str, str] | None = None,
) -> LoadedCluster:
    """Load a cluster; its agents are from line 4 on."""
    (folder / CLUSTER_FILE).write_text(f"clusterConfig:\n  {{name: c, {config}}}\nagents:\n{agents}\n")
    (folder / "run.py").touch()
    return load_cluster(folder, environ=COOKIE if environ is None else environ, host=host)


def complaints(
    folder: Path,
    agents: str = " []",
    *,
    config: str = f"hosts: {THREE}",
    host: str | None = None,
    environ: dict[str, str] | None = None,
) -> list[str]:
    """Return the faults of such a cluster, without the folder, the line and the column."""
    with pytest.raises(ConfigError) as caught:
        load(folder, agents, config=config, host=host, environ=environ)
    assert all(fault.line > 0 for fault in caught.value.faults)
    return [f"{fault.path}: {fault.message}".replace(f"{folder}/", "") for fault in caught.value.faults]


def agent(name: str, keys: str = "") -> str:
    """Return an agent in one line of the file."""
    return f"- {{agentType: {name}, executablePath: run.py, {keys}}}\n"


def by_type(spec: ClusterSpec) -> dict[str, AgentSpec]:
    """Return the agents of a cluster by their types."""
    return {each.agent_type: each for each in spec.agents}
