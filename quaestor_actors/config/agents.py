"""Reads `agents`, in both of its forms, and makes specs of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml

from quaestor_actors.config.certificate import check_authorities, check_client_certificate
from quaestor_actors.config.probing import probe_spec
from quaestor_actors.config.schema_agent import AgentKeys
from quaestor_actors.config.sections import Entry, Section, read_entries, read_section
from quaestor_actors.config.supervision import restart_spec
from quaestor_actors.config.value_rules import name_problem
from quaestor_actors.config.yaml_values import described, is_null
from quaestor_actors.core.location import ClientTls
from quaestor_actors.core.placement import Floating
from quaestor_actors.core.spec import (
    LOAD_BALANCER,
    AgentSpec,
    Condition,
    OutputSpec,
    RecyclingSpec,
    ShutdownAction,
    StopSpec,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from quaestor_actors.config.report import Place, Report

_BYTES_PER_MEGABYTE = 1_000_000
_SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSection:
    """One agent as the file gives it."""

    section: Section[AgentKeys]
    agent_type: str
    """Empty when it is missing or wrong, which has been reported."""
    type_place: Place
    """Of the agent's type, be it a value or the key of the mapping form."""
    hosts: tuple[str, ...] = ()
    """Names of those it is pinned to; none: it runs on each."""
    floating: Floating | None = None
    is_here: bool = True
    """It runs, or may run, on this host."""

    @property
    def is_builtin_balancer(self) -> bool:
        """True when this agent is the balancer within the cluster rather than processes."""
        return self.agent_type == LOAD_BALANCER and "executablePath" not in self.section.entries


def read_agents(entry: Entry | None, report: Report) -> tuple[AgentSection, ...]:
    """Read all agents, a list of them or a mapping from name to agent; report what is wrong with each."""
    if entry is None:
        return ()
    if isinstance(entry.node, yaml.MappingNode):
        named = read_entries(entry.node, None, report=report, path=entry.value.path)
        agents = [_named_agent(name, agent, report) for name, agent in named.items()]
    elif isinstance(entry.node, yaml.SequenceNode):
        agents = [_listed_agent(item, entry.item(at), report) for at, item in enumerate(entry.node.value)]
    else:
        report.fault(entry.value, f"expected a list of agents, found {described(entry.node)}")
        return ()
    return tuple(agents)


def _listed_agent(node: yaml.Node, place: Place, report: Report) -> AgentSection:
    section = read_section(node, AgentKeys, report=report, place=place)
    is_missing = "agentType" not in section.entries and "agentType" not in section.broken
    if isinstance(node, yaml.MappingNode) and is_missing:
        report.fault(place, "agentType is missing")
    agent_type = section.keys.agent_type or ""
    return AgentSection(section=section, agent_type=agent_type, type_place=section.place_of("agentType"))


def _named_agent(name: str, entry: Entry, report: Report) -> AgentSection:
    node = None if is_null(entry.node) else entry.node
    section = read_section(node, AgentKeys, report=report, place=entry.value)
    if "agentType" in section.entries:
        agent_type = section.keys.agent_type or ""
        return AgentSection(section=section, agent_type=agent_type, type_place=section.place_of("agentType"))
    if problem := name_problem(name):
        report.fault(entry.key, problem)
    return AgentSection(section=section, agent_type="" if problem else name, type_place=entry.key)


def check_unique(agents: Iterable[AgentSection], report: Report) -> None:
    """Report agents that one cluster runs under the same type."""
    first_lines: dict[str, int] = {}
    for agent in agents:
        # Types name files and actors: two that differ by case only would be told apart by nobody.
        name = agent.agent_type.lower()
        if name and name in first_lines:
            message = f"the agent type {agent.agent_type} is there already, in line {first_lines[name]}"
            report.fault(agent.type_place, message)
        first_lines.setdefault(name, agent.type_place.line)


def check_port_count(agent: AgentSection, report: Report) -> None:
    """Report ports that are neither as many as the processes nor left out."""
    section = agent.section
    ports, count = section.keys.ports, section.keys.process_count
    if section.broken & {"ports", "processCount"}:
        return
    # An agent scaled down to nothing keeps its ports for when it is scaled up again.
    if not ports or count in {0, len(ports)}:
        return
    said_by = "processCount" if agent.floating is None else "the count of floating"
    message = (
        f"{len(ports)} {'port' if len(ports) == 1 else 'ports'} for {count} "
        f"{'process' if count == 1 else 'processes'}; give as many as {said_by}, or none"
    )
    report.fault(section.place_of("ports"), message)


def check_client_tls(agent: AgentSection, *, authorities: str | None, folder: Path, report: Report) -> ClientTls:
    """Return how the members of an agent are connected to by TLS; report what is unusable, or of no use.

    Args:
        agent: the agent as the file gives it.
        authorities: absolute path of those that are trusted when the agent names none.
        folder: where relative paths start.
        report: takes the faults and warnings.
    """
    section, keys = agent.section, agent.section.keys
    certificate, key = check_client_certificate(
        section, keys.client_certificate, keys.client_private_key_file, folder=folder, report=report
    )
    own = check_authorities(section, keys.ca_certificate_file, folder=folder, report=report)
    if not keys.use_tls and "useTLS" not in section.broken:
        for name in ("clientCertificate", "clientPrivateKeyFile", "caCertificateFile"):
            if name in section.entries:
                report.warn(section.entries[name].key, "has no effect without useTLS: true")
    return ClientTls(
        ca_certificate_file=own or authorities, client_certificate=certificate, client_private_key_file=key
    )


def agent_spec(
    agent: AgentSection,
    *,
    process_count: int,
    environ: Mapping[str, str],
    executable: str | None = None,
    working_directory: str | None = None,
    depends_on: tuple[tuple[str, Condition], ...] = (),
    tls: ClientTls | None = None,
) -> AgentSpec:
    """Return the spec of an agent in which nothing was found wrong.

    Args:
        agent: the agent as the file gives it.
        process_count: how many members there are.
        environ: the environment of this process.
        executable: absolute path, or None if the members are not ours to start.
        working_directory: absolute path, or None for that of this process.
        depends_on: other agents by their types.
        tls: how members are connected to; None for no more than the system's roots.
    """
    keys = agent.section.keys
    return AgentSpec(
        agent_type=agent.agent_type,
        executable=executable,
        arguments=keys.command_line_arguments,
        environment=tuple(keys.environment_variables.items()),
        process_count=process_count,
        hosts=agent.hosts,
        floating=agent.floating,
        numbers=None if agent.floating is None else (),
        ports=keys.ports,
        host_name=keys.host_name,
        use_tls=keys.use_tls,
        tls=tls or ClientTls(),
        service_names=keys.service_names,
        working_directory=working_directory,
        user=keys.user,
        umask=keys.umask,
        rlimits=tuple(keys.rlimits.items()),
        output=OutputSpec(max_bytes=keys.log_max_megabytes * _BYTES_PER_MEGABYTE, files=keys.log_files),
        probe=probe_spec(keys, environ=environ),
        startup_deadline_s=keys.startup_wait_seconds,
        start_concurrency=keys.start_concurrency,
        depends_on=depends_on,
        restart=restart_spec(keys),
        stop=_stop_spec(keys),
        recycling=_recycling_spec(keys),
        essential=keys.essential,
        significant=keys.significant,
        exclude_from_registry=keys.exclude_from_service_registry,
        # Others may run what floats as soon as this host does not.
        shutdown_action=ShutdownAction(keys.cluster_shutdown_action) if agent.floating is None else ShutdownAction.KILL,
    )


def _stop_spec(keys: AgentKeys) -> StopSpec:
    return StopSpec(signal=keys.stop_signal, drain_s=keys.drain_seconds, deadline_s=keys.max_shutdown_time_seconds)


def _recycling_spec(keys: AgentKeys) -> RecyclingSpec:
    return RecyclingSpec(
        interval_s=keys.recycling_interval_hours * _SECONDS_PER_HOUR,
        memory_bytes=keys.recycling_memory_megabytes * _BYTES_PER_MEGABYTE,
        max_unavailable=keys.max_unavailable,
    )
