"""Loads quaestor.cluster.config.yml, and the load balancer's file for the built-in balancer."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from quaestor_actors.config.agents import (
    AgentSection,
    agent_spec,
    check_client_tls,
    check_port_count,
    check_unique,
    read_agents,
)
from quaestor_actors.config.balancer import BalancerFile, read_balancer_file, warn_of_strangers
from quaestor_actors.config.certificate import check_authorities
from quaestor_actors.config.dependencies import check_dependencies
from quaestor_actors.config.executable import check_executable
from quaestor_actors.config.loaded import LoadedCluster
from quaestor_actors.config.locate import CLUSTER_FILE, LOAD_BALANCER_FILE
from quaestor_actors.config.managed_etcd import EtcdAgent, read_etcd_agent, started_as
from quaestor_actors.config.ports import Claim, check_claims, claims_of, on_this_machine
from quaestor_actors.config.probing import check_probe
from quaestor_actors.config.process_context import check_limits, check_user, check_working_directory
from quaestor_actors.config.registered_host import registered_host, warn_of_loopback
from quaestor_actors.config.report import Report, place_of
from quaestor_actors.config.schema import ClusterKeys
from quaestor_actors.config.sections import Entry, Section, read_entries, read_section
from quaestor_actors.config.store import check_misplaced, store_spec, warn_of_other_stores
from quaestor_actors.config.supervision import check_auto_shutdown, check_supervision
from quaestor_actors.config.yaml_document import read_document
from quaestor_actors.config.yaml_values import is_null
from quaestor_actors.core.restart import Intensity
from quaestor_actors.core.spec import (
    BALANCER_SERVICE,
    KEY_VALUE_STORE,
    AgentSpec,
    BalancerSpec,
    ClusterSpec,
    StoreSpec,
)
from quaestor_actors.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEEDED_BY_BALANCER = frozenset(
    {
        "agentType",
        "processCount",
        "ports",
        "hostName",
        "startupWaitSeconds",
        "essential",
        "excludeFromServiceRegistry",
        "clusterShutdownAction",
    }
)
"""Keys of an agent that mean something, or are at least true, for the built-in balancer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    """What is the same for all agents of a cluster."""

    cluster: str
    """Its name."""
    authorities: str | None
    """Absolute path of those that are trusted where an agent names none."""
    folder: Path
    """Where relative paths start."""
    environ: Mapping[str, str]
    """Of this process."""
    report: Report


def load_cluster(directory: Path, *, environ: Mapping[str, str]) -> LoadedCluster:
    """Load a cluster, and the file of its balancer if it has a `LoadBalancer` agent without an executable.

    Args:
        directory: the folder of the files.
        environ: the environment of this process: PATH for executables, and the switch that assumes health.

    Raises:
        ConfigError: with everything that is wrong in either file, in file order.
    """
    file, second = directory / CLUSTER_FILE, directory / LOAD_BALANCER_FILE
    report, balancer_report = Report(file=str(file)), Report(file=str(second))
    root = read_document(file, report)
    if root is None:
        raise ConfigError(report.sorted_faults())
    entries = _top_entries(root, report)
    section = _cluster_section(root, entries.get("clusterConfig"), report)
    authorities = check_authorities(section, section.keys.ca_certificate_file, folder=directory, report=report)
    agents = _managed_agents(entries.get("agents"), report)
    builtin = next((agent for agent in agents if agent.is_builtin_balancer), None)
    etcd = next((read_etcd_agent(agent, report) for agent in agents if agent.agent_type == KEY_VALUE_STORE), None)
    balancer_file, balancer = None, None
    files: tuple[Path, ...] = (file,)
    if builtin is not None and os.path.lexists(second):
        files = (file, second)
        balancer_file = read_balancer_file(second, report=balancer_report, environ=environ)
        warn_of_strangers(balancer_file, claims_of(agents), balancer_report)
    if builtin is not None:
        _check_builtin(builtin, balancer_file, report)
        balancer = _balancer_spec(builtin, balancer_file, authorities)
    _check_ports(agents, etcd, balancer, report)
    check_auto_shutdown(section, agents, report)
    around = _Around(
        cluster=section.keys.name or "", authorities=authorities, folder=directory, environ=environ, report=report
    )
    specs = _specs(agents, etcd, around)
    stores = _stores(etcd, specs, balancer_file, around, balancer_report)
    warn_of_loopback(agents, etcd=etcd, stores=stores, report=report)
    faults = (*report.sorted_faults(), *balancer_report.sorted_faults())
    if faults:
        raise ConfigError(faults)
    return LoadedCluster(
        spec=_cluster_spec(section, specs, balancer, stores),
        files=files,
        warnings=(*report.warning_lines(), *balancer_report.warning_lines()),
    )


def _top_entries(root: yaml.Node, report: Report) -> dict[str, Entry]:
    entries = read_entries(root, ("clusterConfig", "agents"), report=report, path="")
    entries = {key: entry for key, entry in entries.items() if not is_null(entry.node)}
    # An unknown key that is one of these misspelt, or a root that is no mapping, is one fault and not two.
    if isinstance(root, yaml.MappingNode) and "agents" not in entries and "agents" not in report.misspelt:
        report.fault(place_of(root, "agents"), "missing; list what the cluster runs, or write [] for nothing")
    return entries


def _managed_agents(entry: Entry | None, report: Report) -> tuple[AgentSection, ...]:
    agents = read_agents(entry, report)
    check_unique(agents, report)
    return agents


def _cluster_section(root: yaml.Node, entry: Entry | None, report: Report) -> Section[ClusterKeys]:
    place = place_of(root, "clusterConfig") if entry is None else entry.value
    node = None if entry is None else entry.node
    section = read_section(node, ClusterKeys, report=report, place=place)
    is_readable = isinstance(root, yaml.MappingNode) and (node is None or isinstance(node, yaml.MappingNode))
    is_known = "clusterConfig" not in report.misspelt and "name" not in section.broken
    if is_readable and is_known and "name" not in section.entries:
        report.fault(place.named("clusterConfig.name"), "missing; every cluster has a name")
    return section


def _check_builtin(agent: AgentSection, file: BalancerFile | None, report: Report) -> None:
    section = agent.section
    if section.keys.process_count != 1:
        report.fault(section.place_of("processCount"), "the built-in LoadBalancer has exactly 1 process")
    elif len(section.keys.ports) > 1:
        report.fault(section.place_of("ports"), "the built-in LoadBalancer has one port")
    elif section.keys.ports and file is not None and _contradicts(section.keys.ports[0], file):
        report.fault(
            section.entries["ports"].item(0),
            f"port {section.keys.ports[0]} contradicts port {file.spec.port} of {LOAD_BALANCER_FILE}",
        )
    in_vain = section.keys.unlike_defaults() - _HEEDED_BY_BALANCER
    if section.keys.service_names == (BALANCER_SERVICE,):
        in_vain -= {"serviceNames"}
    for key in in_vain:
        report.warn(section.entries[key].key, "has no effect on the built-in LoadBalancer")


def _contradicts(port: int, file: BalancerFile) -> bool:
    return "port" in file.given and "port" not in file.broken and port != file.spec.port


def _balancer_spec(agent: AgentSection, file: BalancerFile | None, authorities: str | None) -> BalancerSpec:
    """Take the balancer's own file first, then the agent, then the defaults."""
    keys = agent.section.keys
    spec, given = (BalancerSpec(), frozenset[str]()) if file is None else (file.spec, file.given)
    if "port" not in given and keys.ports:
        spec = replace(spec, port=keys.ports[0])
    if "hostName" not in given and "hostName" in agent.section.entries:
        spec = replace(spec, host_name=keys.host_name)
    return replace(spec, ca_certificate_file=spec.ca_certificate_file or authorities)


def _check_ports(
    agents: tuple[AgentSection, ...], etcd: EtcdAgent | None, balancer: BalancerSpec | None, report: Report
) -> None:
    claims = []
    if balancer is not None:
        claims = [Claim(owner="the load balancer", host_name=balancer.host_name, port=balancer.port, place=None)]
    for agent in agents:
        if etcd is not None and agent is etcd.agent:
            claims += etcd.claims()
        elif not agent.is_builtin_balancer:
            check_port_count(agent, report)
            claims += claims_of([agent], host_name=registered_host(agent, etcd))
    check_claims(claims, report=report, same_interface=on_this_machine)


def _specs(agents: tuple[AgentSection, ...], etcd: EtcdAgent | None, around: _Around) -> tuple[AgentSpec, ...]:
    report, environ = around.report, around.environ
    depends_on = check_dependencies(agents, report)
    specs = []
    for agent in agents:
        count = agent.section.keys.process_count
        if agent.is_builtin_balancer:
            # It has no work that could be done; as a significant agent it would hold up the others for ever.
            specs.append(replace(agent_spec(agent, process_count=count, environ=environ), significant=False))
            continue
        check_misplaced(agent, report)
        check_supervision(agent, report)
        check_probe(agent, report)
        check_user(agent, report)
        check_limits(agent, report)
        spec = agent_spec(
            agent,
            process_count=count,
            environ=environ,
            executable=check_executable(agent, folder=around.folder, environ=environ, report=report),
            working_directory=check_working_directory(agent, folder=around.folder, report=report),
            depends_on=depends_on[agent.agent_type],
            tls=check_client_tls(agent, authorities=around.authorities, folder=around.folder, report=report),
        )
        spec = replace(spec, host_name=registered_host(agent, etcd))
        if etcd is not None and agent is etcd.agent:
            spec = started_as(etcd, spec, cluster=around.cluster, folder=around.folder, environ=environ, report=report)
        specs.append(spec)
    return tuple(specs)


def _stores(
    etcd: EtcdAgent | None,
    specs: tuple[AgentSpec, ...],
    balancer_file: BalancerFile | None,
    around: _Around,
    balancer_report: Report,
) -> tuple[StoreSpec, ...]:
    """Take the cluster's own store, else those of its balancer's file."""
    of_balancer = () if balancer_file is None else balancer_file.stores
    if etcd is None:
        return tuple(store for _, store in of_balancer)
    tls = next(spec.tls for spec in specs if spec.agent_type == KEY_VALUE_STORE)
    own = store_spec(
        etcd.agent, etcd.addresses, tls=tls, folder=around.folder, environ=around.environ, report=around.report
    )
    warn_of_other_stores(of_balancer, used=[own], file_of_used=CLUSTER_FILE, report=balancer_report)
    return (own,)


def _cluster_spec(
    section: Section[ClusterKeys],
    agents: tuple[AgentSpec, ...],
    balancer: BalancerSpec | None,
    stores: tuple[StoreSpec, ...],
) -> ClusterSpec:
    keys = section.keys
    return ClusterSpec(
        name=keys.name or "",
        heartbeat_interval_s=keys.heart_beat_interval_seconds,
        response_timeout_s=keys.member_response_time_out_seconds,
        shutdown_deadline_s=keys.member_max_shutdown_time_seconds,
        startup_retries=keys.member_max_startup_retries,
        strategy=keys.strategy,
        intensity=Intensity(limit=keys.intensity, period_s=keys.period_seconds),
        auto_shutdown=keys.auto_shutdown,
        log_level=keys.log_level.value,
        agents=agents,
        balancer=balancer,
        stores=stores,
    )
