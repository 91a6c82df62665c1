"""The configuration of the cluster that is hurt: a copy, on free ports, in a folder of its own, with short deadlines.

The documents are edited as YAML nodes, so everything that is not about ports, places and time stays as it was.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from quaestor_actors.adapters import ports
from quaestor_actors.config import CLUSTER_FILE, LOAD_BALANCER_FILE, find_config_directory, load_cluster
from quaestor_actors.config.executable import find_etcd
from quaestor_actors.core.spec import KEY_VALUE_STORE, AgentSpec, ClusterSpec
from quaestor_actors.errors import OperationError

_LOWEST_PORT, _HIGHEST_PORT = 10_000, 29_999
"""Below the range from which the kernel takes ports for everybody else."""

_OF_CLUSTER = {
    "heartBeatIntervalSeconds": "1",
    "memberResponseTimeOutSeconds": "2",
    "memberMaxShutdownTimeSeconds": "5",
    "logLevel": "info",
}
_OF_AGENTS = {
    "backoffInitialSeconds": "0.1",
    "backoffMaxSeconds": "1",
    "drainSeconds": "2",
    "startupWaitSeconds": "20",
    "clusterShutdownAction": "Kill",
}
"""What a fault costs is to be seen soon. Without Kill members would be left behind."""

_FILE_KEYS = frozenset(
    {
        "workingdirectory",
        "certificate",
        "privatekeyfile",
        "cacertificatefile",
        "clientcertificate",
        "clientprivatekeyfile",
        "storepasswordfile",
    }
)
_ETCD_AGENT = """
agentType: KeyValueStore
ports: [0]
commandLineArguments: "--unsafe-no-fsync --heartbeat-interval 50 --election-timeout 500 --log-level warn"
"""
"""Nobody pulls the plug, and it has a leader soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A configuration that can be run beside the one it was made from."""

    original: Path
    """The folder that it was made from."""
    folder: Path
    spec: ClusterSpec
    cluster_file: str
    """Its text as it should be."""

    @property
    def path(self) -> Path:
        """Of the file that holds `cluster_file`."""
        return self.folder / CLUSTER_FILE

    def valid(self) -> str:
        """Return the text of another one that can be used, and touches no member."""
        return self.cluster_file.replace("logLevel: info", "logLevel: warning", 1)

    def invalid(self) -> str:
        """Return the text of one that is refused."""
        return self.cluster_file.replace("logLevel: info", "logLevle: info", 1)


def make_copy(original: Path | None, folder: Path, *, name: str, environ: Mapping[str, str]) -> Copy:
    """Write a copy of a configuration into an empty folder, under another name and on free ports.

    Args:
        original: the folder of the files; None: the sample's, with etcd if that is installed.
        folder: where to write, which also gets etcd's data.
        name: of the new cluster.
        environ: the environment of this process.

    Raises:
        ConfigError: the original cannot be used.
        OperationError: it names an etcd that somebody else runs.
    """
    found = find_config_directory(original, CLUSTER_FILE, cwd=Path.cwd())
    spec = load_cluster(found, environ=environ).spec
    _refuse_foreign_etcd(spec, found)
    has_etcd = any(agent.agent_type == KEY_VALUE_STORE for agent in spec.agents)
    adds_etcd = original is None and not has_etcd and find_etcd(search_path=environ.get("PATH", os.defpath)) is not None
    editor = _Editor(spec, found, folder)
    cluster_file = editor.cluster((found / CLUSTER_FILE).read_text(encoding="utf-8"), name, adds_etcd=adds_etcd)
    (folder / CLUSTER_FILE).write_text(cluster_file, encoding="utf-8")
    if (found / LOAD_BALANCER_FILE).exists():
        text = editor.balancer((found / LOAD_BALANCER_FILE).read_text(encoding="utf-8"))
        (folder / LOAD_BALANCER_FILE).write_text(text, encoding="utf-8")
    copied = load_cluster(folder, environ=environ).spec
    return Copy(original=found, folder=folder, spec=copied, cluster_file=cluster_file)


def _refuse_foreign_etcd(spec: ClusterSpec, found: Path) -> None:
    """Refuse to register in an etcd that this cluster does not run alone."""
    etcd = (agent for agent in spec.agents if agent.agent_type == KEY_VALUE_STORE and agent.process_count)
    own = {port for agent in etcd for port in agent.ports}
    endpoints = [endpoint for store in spec.stores for endpoint in store.endpoints]
    if foreign := [f"{host}:{port}" for host, port in endpoints if port not in own or len(endpoints) > len(own)]:
        raise OperationError(
            f"{found} registers in an etcd that somebody else runs ({', '.join(foreign)}), which chaos would write to; "
            "give it a configuration without it, or with an etcd of its own"
        )


class _Editor:
    """Changes both documents alike."""

    def __init__(self, spec: ClusterSpec, original: Path, folder: Path) -> None:
        self._executables = {agent.agent_type: agent for agent in spec.agents}
        self._balancer_port = spec.balancer.port if spec.balancer else None
        self._original = original
        self._folder = folder
        used = {port for agent in spec.agents for port in agent.ports} | {self._balancer_port}
        self._free = (port for port in _free_ports() if port not in used)
        self._ports: dict[int, int] = {}

    def cluster(self, text: str, name: str, *, adds_etcd: bool) -> str:
        """Return the text of the cluster's file."""
        root = _document(text)
        config = _mapping(root, "clusterConfig")
        for key, value in {"name": name, **_OF_CLUSTER}.items():
            _set(config, key, value)
        self._rebase(config)
        agents = _get(root, "agents")
        if adds_etcd and isinstance(agents, yaml.SequenceNode):
            agents.value.append(_document(_ETCD_AGENT))
        for agent_type, agent in _agents(agents):
            self._agent(agent, agent_type)
        return str(yaml.serialize(root))

    def balancer(self, text: str) -> str:
        """Return the text of the balancer's file."""
        root = _document(text)
        config = _mapping(root, "loadBalancerConfig")
        self._rebase(config)
        if self._balancer_port is not None:
            _set(config, "port", str(self._port(self._balancer_port)))
        for _, agent in _agents(_get(root, "agents")):
            self._move_ports(agent)
            self._rebase(agent)
        return str(yaml.serialize(root))

    def _agent(self, agent: yaml.MappingNode, agent_type: str) -> None:
        spec = self._executables.get(agent_type, AgentSpec(agent_type=agent_type))
        self._rebase(agent)
        if spec.is_builtin_balancer:
            if _get(agent, "ports") is None and self._balancer_port is not None:
                _set(agent, "ports", f"[{self._balancer_port}]")
            self._move_ports(agent)
            return
        if _get(agent, "executablePath") is not None and spec.executable is not None:
            _set(agent, "executablePath", spec.executable)
        for key, value in _OF_AGENTS.items():
            _set(agent, key, value)
        if agent_type == KEY_VALUE_STORE:
            if _get(agent, "ports") is None:
                _set(agent, "ports", "[2379]")
            _set(agent, "dataDirectory", str(self._folder / "etcd-data"))
            if _get(agent, "executablePath") is None:
                _set(agent, "peerPort", str(next(self._free)))
        self._move_ports(agent)

    def _move_ports(self, agent: yaml.MappingNode) -> None:
        given = _get(agent, "ports")
        for each in given.value if isinstance(given, yaml.SequenceNode) else ():
            each.value = str(self._port(int(each.value)))

    def _port(self, port: int) -> int:
        if port not in self._ports:
            self._ports[port] = next(self._free)
        return self._ports[port]

    def _rebase(self, section: yaml.MappingNode) -> None:
        """Make relative paths absolute."""
        for key, value in section.value:
            if key.value.casefold() in _FILE_KEYS and isinstance(value, yaml.ScalarNode) and value.value:
                value.value = str(self._original.resolve() / value.value)


def _free_ports() -> Iterator[int]:
    """Yield ports that are free on the loopback interface; runs at the same time begin at different places."""
    span = _HIGHEST_PORT - _LOWEST_PORT + 1
    start = random.randrange(span)  # noqa: S311 - no secret
    for number in range(span):
        port = _LOWEST_PORT + (start + number) % span
        if not ports.is_taken("localhost", port):
            yield port


def _document(text: str) -> yaml.MappingNode:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise OperationError("the configuration is no mapping")
    return root


def _get(mapping: yaml.MappingNode, name: str) -> yaml.Node | None:
    return next((value for key, value in mapping.value if key.value.casefold() == name.casefold()), None)


def _set(mapping: yaml.MappingNode, name: str, text: str) -> None:
    value = yaml.compose(text, Loader=yaml.SafeLoader)
    kept = [(key, old) for key, old in mapping.value if key.value.casefold() != name.casefold()]
    mapping.value = [*kept, (yaml.ScalarNode("tag:yaml.org,2002:str", name), value)]


def _mapping(root: yaml.MappingNode, name: str) -> yaml.MappingNode:
    found = _get(root, name)
    if not isinstance(found, yaml.MappingNode):
        found = yaml.MappingNode("tag:yaml.org,2002:map", [])
        root.value = [*((key, old) for key, old in root.value if key.value.casefold() != name.casefold())]
        root.value.append((yaml.ScalarNode("tag:yaml.org,2002:str", name), found))
    return found


def _agents(node: yaml.Node | None) -> list[tuple[str, yaml.MappingNode]]:
    """Return the agents of a list, or of the older form, a mapping by name."""
    pairs: list[tuple[str, yaml.Node]] = []
    if isinstance(node, yaml.SequenceNode):
        pairs = [("", each) for each in node.value]
    elif isinstance(node, yaml.MappingNode):
        pairs = [(str(key.value), each) for key, each in node.value]
    found = []
    for name, each in pairs:
        if isinstance(each, yaml.MappingNode):
            given = _get(each, "agentType")
            found.append((str(given.value) if given is not None else name, each))
    return found
