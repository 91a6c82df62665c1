"""The etcd that a cluster runs itself: what it is started with, which follows from the list of its hosts.

Three kinds of KeyValueStore agents are told apart: one that somebody else runs (`processCount: 0`), an executable that
is started exactly as it is written, and an etcd whose arguments are derived here (no executable is named, or `hosts`).
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from quaestor_actors.config.agents import AgentSection, check_port_count
from quaestor_actors.config.data_directory import check_data_directory
from quaestor_actors.config.ports import Claim
from quaestor_actors.config.store import (
    DEFAULT_PORT,
    OF_MEMBERS,
    Addresses,
    check_hosts,
    distinct,
    external_addresses,
)
from quaestor_actors.config.this_host import (
    NotThisHostError,
    addresses_of,
    local_addresses,
    own_address,
    own_host,
)
from quaestor_actors.core.etcd_flags import EtcdListener, EtcdMember, etcd_arguments

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from quaestor_actors.config.report import Report
    from quaestor_actors.core.spec import AgentSpec, HostSpec

_LOOPBACK: Final = "127.0.0.1"
_HIGHEST_PORT: Final = 65535

_QUORUM_WAIT_S: Final = 120.0
"""A member serves only when most of the hosts are up, and somebody has to start those, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcdAgent:
    """A KeyValueStore agent of a cluster, with what is not written in the file."""

    agent: AgentSection
    is_managed: bool
    """Members of it are run by this cluster."""
    is_derived: bool
    """Their arguments are ours."""
    host_name: str
    """Of the members of this machine."""
    address: str
    """What they listen on; the same as the name if the arguments are not ours."""
    ports: tuple[int, ...]
    """Those for clients."""
    peer_port: int

    @property
    def has_hosts(self) -> bool:
        """This machine runs a member of an etcd of several."""
        return self.is_managed and bool(self.agent.section.keys.hosts)

    @property
    def addresses(self) -> Addresses:
        """Where clients find it, this machine first."""
        if not self.is_managed:
            return external_addresses(self.agent)
        keys = self.agent.section.keys
        own = ((self.host_name, port) for port in self.ports)
        return distinct([*own, *((host, self.ports[0]) for host in keys.hosts), *keys.endpoints])

    def claims(self) -> list[Claim]:
        """Return the ports that it claims on this machine."""
        if not self.is_managed:
            return []
        section, own = self.agent.section, self.agent.type_place
        # Ports with something wrong in them count as none.
        places = [section.entries["ports"].item(at) if section.keys.ports else own for at in range(len(self.ports))]
        claimed = list(zip(self.ports, places, strict=True))
        is_peer_port_given = section.keys.peer_port is not None
        # If more ports are given than it can have, the one after the first is no claim of its own.
        if self.is_derived and (is_peer_port_given or self.peer_port not in self.ports):
            claimed.append((self.peer_port, section.place_of("peerPort") if is_peer_port_given else own))
        owner = self.agent.agent_type
        return [Claim(owner=owner, host_name=self.address, port=port, place=place) for port, place in claimed]


def read_etcd_agent(agent: AgentSection, report: Report, *, own: HostSpec | None = None) -> EtcdAgent:
    """Return the KeyValueStore agent of a cluster; report what is wrong with its hosts and ports.

    Args:
        agent: the agent; it has no members if it is pinned to other hosts than this one.
        report: takes the faults and warnings.
        own: which of the cluster's hosts this machine is, if it has any.
    """
    section, keys = agent.section, agent.section.keys
    is_managed = keys.process_count > 0
    is_derived = is_managed and ("executablePath" not in section.entries or bool(keys.hosts))
    check_hosts(agent, report)
    if is_derived and keys.process_count != 1:
        message = "one host runs one etcd; name the other hosts in `hosts`, and set this to 1"
        report.fault(section.place_of("processCount"), message)
    elif not keys.hosts:
        check_port_count(agent, report)
    if is_managed and not keys.ports and keys.process_count > 1 and not is_derived:
        report.fault(section.place_of("ports"), "ports is missing; the cluster must know where etcd is")
    if not is_derived and agent.is_here:
        why = "executablePath without hosts is started as it is written" if is_managed else "processCount is 0"
        for key in OF_MEMBERS & section.entries.keys():
            report.warn(section.entries[key].key, f"has no effect; {why}")
    ports = keys.ports or (DEFAULT_PORT,)
    host_name, address = _own(agent, own, report) if is_derived else (keys.host_name, keys.host_name)
    return EtcdAgent(
        agent=agent,
        is_managed=is_managed,
        is_derived=is_derived,
        host_name=host_name,
        address=address,
        ports=ports,
        peer_port=_peer_port(agent, ports[0], report) if is_derived else 0,
    )


def _own(agent: AgentSection, host: HostSpec | None, report: Report) -> tuple[str, str]:
    """Return the name of this machine for its etcd, and the address that it listens on."""
    section, keys = agent.section, agent.section.keys
    known = None if host is None else host.address
    chosen = keys.host_name if "hostName" in section.entries else known
    fallback = keys.host_name, _LOOPBACK
    if section.broken & {"hostName", "hosts"}:
        return fallback
    local = local_addresses()
    try:
        if keys.hosts:
            return own_host({host: addresses_of(host) for host in keys.hosts}, chosen=chosen, local=local)
        return keys.host_name, own_address(keys.host_name, addresses=addresses_of(keys.host_name), local=local)
    except NotThisHostError as error:
        report.fault(section.place_of("hosts" if chosen is None and keys.hosts else "hostName"), str(error))
        return fallback


def _peer_port(agent: AgentSection, port: int, report: Report) -> int:
    section = agent.section
    if section.keys.peer_port is None and port == _HIGHEST_PORT and "peerPort" not in section.broken:
        report.fault(section.place_of("ports"), f"peerPort is missing; there is no port after {port}")
    return section.keys.peer_port or min(port + 1, _HIGHEST_PORT)


def started_as(
    etcd: EtcdAgent,
    spec: AgentSpec,
    *,
    cluster: str,
    folder: Path,
    environ: Mapping[str, str],
    report: Report,
) -> AgentSpec:
    """Return the spec of the agent with everything that is not written in the file; report what cannot work.

    Args:
        etcd: the agent.
        spec: what the file says.
        cluster: the name of the cluster.
        folder: where relative paths start.
        environ: the environment of this process.
        report: takes the faults.
    """
    if not etcd.is_managed:
        return spec
    if not etcd.is_derived:
        return replace(spec, ports=etcd.ports) if spec.process_count == 1 else spec
    section = etcd.agent.section
    _check_arguments(etcd.agent, report)
    where = check_data_directory(
        etcd.agent, cluster=cluster, port=etcd.ports[0], folder=folder, environ=environ, report=report
    )
    derived = shlex.join(etcd_arguments(_member(etcd, where, cluster)))
    patient = section.keys.hosts and "startupWaitSeconds" not in section.entries
    return replace(
        spec,
        host_name=etcd.host_name,
        ports=etcd.ports,
        # Of an argument that is there twice etcd takes the second one: the user's.
        arguments=f"{derived} {spec.arguments}".rstrip(),
        startup_deadline_s=_QUORUM_WAIT_S if patient else spec.startup_deadline_s,
    )


def _member(etcd: EtcdAgent, data_directory: str, cluster: str) -> EtcdMember:
    keys = etcd.agent.section.keys
    port = etcd.ports[0]
    clients = EtcdListener(host=etcd.host_name, address=etcd.address, port=port, use_tls=keys.use_tls)
    if keys.hosts:
        peers = replace(clients, port=etcd.peer_port)
    else:
        # Nobody but itself: a door to the outside would be of no use, and need certificates of its own.
        own = etcd.address if etcd.address.startswith("127.") else _LOOPBACK
        peers = EtcdListener(host=own, address=own, port=etcd.peer_port)
    return EtcdMember(
        clients=clients,
        peers=peers,
        hosts=keys.hosts or (peers.host,),
        data_directory=data_directory,
        token=cluster,
    )


def _check_arguments(agent: AgentSection, report: Report) -> None:
    """Report arguments without which etcd cannot serve by TLS, and one that would make it ignore all of ours."""
    section, keys = agent.section, agent.section.keys
    if section.broken & {"commandLineArguments", "environmentVariables", "useTLS"}:
        return
    given = _given_flags(keys.command_line_arguments, keys.environment_variables)
    if "config-file" in given:
        message = "with --config-file etcd ignores every other argument; name executablePath, without hosts"
        report.fault(section.place_of("commandLineArguments"), message)
    if not keys.use_tls:
        return
    needed = ["cert-file", "key-file", *(["peer-cert-file", "peer-key-file"] if keys.hosts else [])]
    if missing := [f"--{name}" for name in needed if name not in given]:
        report.fault(section.place_of("useTLS"), f"etcd needs {', '.join(missing)} in commandLineArguments")


def _given_flags(arguments: str, variables: Mapping[str, str]) -> set[str]:
    """Return the names of the flags that etcd is given, by arguments or by its environment."""
    words = (word for word in shlex.split(arguments) if word.startswith("-"))
    by_argument = {word.lstrip("-").partition("=")[0] for word in words}
    prefix = "ETCD_"
    by_variable = {name.removeprefix(prefix).lower().replace("_", "-") for name in variables if name.startswith(prefix)}
    return by_argument | by_variable
