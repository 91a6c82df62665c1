"""Loads quaestor.cluster.config.yml, and the load balancer's file for the built-in balancer."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from quaestor_actors.config.actors import read_actors
from quaestor_actors.config.agent_hosts import settled
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
from quaestor_actors.config.cookie_file import check_cookie_file
from quaestor_actors.config.dependencies import check_dependencies
from quaestor_actors.config.digest import digest_of
from quaestor_actors.config.executable import check_executable
from quaestor_actors.config.hosts import Hosts, read_hosts
from quaestor_actors.config.loaded import LoadedCluster
from quaestor_actors.config.locate import CLUSTER_FILE, LOAD_BALANCER_FILE
from quaestor_actors.config.managed_etcd import EtcdAgent, read_etcd_agent, started_as
from quaestor_actors.config.metrics import read_metrics
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
    Condition,
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
        "hosts",
        # Reported as a fault.
        "floating",
    }
)
"""Keys of an agent that mean something, or are at least true, for the built-in balancer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    """What is the same for all agents of a cluster."""

    cluster: str
    """Its name."""
    hosts: Hosts
    authorities: str | None
    """Absolute path of those that are trusted where an agent names none."""
    folder: Path
    """Where relative paths start."""
    environ: Mapping[str, str]
    """Of this process."""
    report: Report


def load_cluster(directory: Path, *, environ: Mapping[str, str], host: str | None = None) -> LoadedCluster:
    """Load a cluster, and the file of its balancer if it has a `LoadBalancer` agent without an executable.

    Of a cluster of several hosts this is what one of them runs: agents that are pinned to others are left out.

    Args:
        directory: the folder of the files.
        environ: the environment of this process: PATH for executables, the switch that assumes health, the cookie.
        host: the name of this host, if there are several; None: the one whose address this machine has.

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
    around = _Around(
        cluster=section.keys.name or "",
        hosts=read_hosts(section, chosen=host, report=report),
        authorities=check_authorities(section, section.keys.ca_certificate_file, folder=directory, report=report),
        folder=directory,
        environ=environ,
        report=report,
    )
    agents = settled(_managed_agents(entries.get("agents"), report), around.hosts, report)
    types = [agent.agent_type for agent in agents]
    actors = read_actors(section, around.hosts, agent_types=types, folder=directory, report=report)
    etcd = _etcd(agents, around)
    builtin = next((agent for agent in agents if agent.is_builtin_balancer), None)
    balancer_file, balancer = None, None
    if builtin is not None:
        balancer_file = _balancer_file(second, agents, environ, balancer_report)
        _check_builtin(builtin, balancer_file, report)
        balancer = _balancer_spec(builtin, balancer_file, around.authorities)
    metrics, claims_of_metrics = read_metrics(section, report)
    _check_ports(agents, etcd, balancer, around, claims_of_metrics)
    check_auto_shutdown(section, agents, report)
    specs = _specs(agents, etcd, around)
    stores = _stores(etcd, specs, balancer_file, around, balancer_report)
    here = [agent for agent in agents if agent.is_here]
    warn_of_loopback(here, etcd=_naming(etcd, around.hosts), stores=stores, report=report)
    spec = _cluster_spec(section, specs, balancer if builtin in here else None, stores)
    has_second = builtin is not None and os.path.lexists(second)
    # A second one that cannot be read is a fault, which is reported already.
    documents = [root, *filter(None, [read_document(second, Report(file=str(second)))] if has_second else [])]
    spec = replace(_on_hosts(spec, section, around), metrics=metrics, digest=digest_of(documents), actors=actors)
    faults = (*report.sorted_faults(), *balancer_report.sorted_faults())
    if faults:
        raise ConfigError(faults)
    return LoadedCluster(
        spec=spec,
        files=(file, second) if has_second else (file,),
        warnings=(*report.warning_lines(), *balancer_report.warning_lines()),
    )


def _etcd(agents: tuple[AgentSection, ...], around: _Around) -> EtcdAgent | None:
    agent = next((agent for agent in agents if agent.agent_type == KEY_VALUE_STORE), None)
    return None if agent is None else read_etcd_agent(agent, around.report, own=around.hosts.own)


def _balancer_file(
    file: Path, agents: tuple[AgentSection, ...], environ: Mapping[str, str], report: Report
) -> BalancerFile | None:
    """Return what the balancer's own file says, if there is one."""
    if not os.path.lexists(file):
        return None
    read = read_balancer_file(file, report=report, environ=environ)
    warn_of_strangers(read, claims_of(agents), report)
    if read is not None and read.metrics is not None:
        report.warn(read.metrics_place, f"has no effect here; {CLUSTER_FILE} says where the metrics of a cluster are")
    return read


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
    if "hostName" not in given:
        spec = replace(spec, host_name=keys.host_name)
    return replace(spec, ca_certificate_file=spec.ca_certificate_file or authorities)


def _naming(etcd: EtcdAgent | None, hosts: Hosts) -> EtcdAgent | None:
    """Return the etcd whose hosts say under which address this one registers its services: if no others do."""
    return None if hosts.is_given else etcd


def _check_ports(
    agents: tuple[AgentSection, ...],
    etcd: EtcdAgent | None,
    balancer: BalancerSpec | None,
    around: _Around,
    of_metrics: tuple[Claim, ...],
) -> None:
    claims = [*of_metrics]
    builtin = next((agent for agent in agents if agent.is_builtin_balancer), None)
    if builtin is not None and balancer is not None:
        claims.append(
            Claim(
                owner="the load balancer",
                host_name=balancer.host_name,
                port=balancer.port,
                place=None,
                hosts=frozenset(builtin.hosts),
            )
        )
    claims += around.hosts.claims
    for agent in agents:
        if etcd is not None and agent is etcd.agent:
            claims += etcd.claims()
        elif not agent.is_builtin_balancer:
            check_port_count(agent, around.report)
            claims += claims_of([agent], host_name=registered_host(agent, _naming(etcd, around.hosts)))
    check_claims(claims, report=around.report, same_interface=on_this_machine)


def _specs(agents: tuple[AgentSection, ...], etcd: EtcdAgent | None, around: _Around) -> tuple[AgentSpec, ...]:
    depends_on = check_dependencies(agents, around.report, hosts=around.hosts.names)
    specs = []
    for agent in agents:
        if not agent.is_builtin_balancer:
            check_misplaced(agent, around.report, may_be_pinned=True)
            check_supervision(agent, around.report)
            check_probe(agent, around.report)
        # Everybody uses etcd, and so it is known also where it does not run.
        if agent.is_here or agent.agent_type == KEY_VALUE_STORE:
            specs.append(_spec(agent, etcd, depends_on.get(agent.agent_type, ()), around))
    return tuple(specs)


def _spec(
    agent: AgentSection, etcd: EtcdAgent | None, depends_on: tuple[tuple[str, Condition], ...], around: _Around
) -> AgentSpec:
    """Return the spec of an agent; report what this machine lacks for it."""
    report, environ, folder = around.report, around.environ, around.folder
    count = agent.section.keys.process_count
    if agent.is_builtin_balancer:
        # It has no work that could be done; as a significant agent it would hold up the others for ever.
        return replace(agent_spec(agent, process_count=count, environ=environ), significant=False)
    tls = check_client_tls(agent, authorities=around.authorities, folder=folder, report=report)
    if not agent.is_here:
        return agent_spec(agent, process_count=count, environ=environ, tls=tls)
    check_user(agent, report)
    check_limits(agent, report)
    spec = agent_spec(
        agent,
        process_count=count,
        environ=environ,
        executable=check_executable(agent, folder=folder, environ=environ, report=report),
        working_directory=check_working_directory(agent, folder=folder, report=report),
        depends_on=depends_on,
        tls=tls,
    )
    spec = replace(spec, host_name=registered_host(agent, _naming(etcd, around.hosts)))
    if etcd is not None and agent is etcd.agent:
        spec = started_as(etcd, spec, cluster=around.cluster, folder=folder, environ=environ, report=report)
    return spec


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


def _on_hosts(spec: ClusterSpec, section: Section[ClusterKeys], around: _Around) -> ClusterSpec:
    """Return the specification with what is about several hosts; report a cookie that is missing or unusable."""
    hosts = around.hosts
    if not hosts.is_given:
        return spec
    cookie_file = check_cookie_file(
        section, is_needed=len(hosts.specs) > 1, folder=around.folder, environ=around.environ, report=around.report
    )
    return replace(
        spec,
        hosts=hosts.specs,
        host="" if hosts.own is None else hosts.own.name,
        allowed_networks=tuple(dict.fromkeys(section.keys.allowed_networks)),
        cookie_file=cookie_file,
    )


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
