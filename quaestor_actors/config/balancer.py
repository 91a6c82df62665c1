"""Loads quaestor.loadbalancer.config.yml: the balancer, and the services that somebody else runs."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quaestor_actors.config.agents import (
    AgentSection,
    agent_spec,
    check_client_tls,
    check_port_count,
    read_agents,
)
from quaestor_actors.config.certificate import check_authorities, check_certificate
from quaestor_actors.config.loaded import LoadedCluster
from quaestor_actors.config.locate import LOAD_BALANCER_FILE
from quaestor_actors.config.metrics import read_metrics
from quaestor_actors.config.ports import Claim, check_claims, claims_of, host_key, on_same_host
from quaestor_actors.config.report import Place, Report, place_of
from quaestor_actors.config.schema import LoadBalancerKeys
from quaestor_actors.config.sections import Section, read_entries, read_section
from quaestor_actors.config.store import (
    OF_CLIENTS,
    OF_MEMBERS,
    check_hosts,
    check_misplaced,
    external_addresses,
    store_spec,
)
from quaestor_actors.config.yaml_document import read_document
from quaestor_actors.config.yaml_values import is_null
from quaestor_actors.core.location import ClientTls
from quaestor_actors.core.spec import (
    KEY_VALUE_STORE,
    WORKER,
    AgentSpec,
    BalancerSpec,
    ClusterSpec,
    MetricsSpec,
    StoreSpec,
)
from quaestor_actors.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


_OF_SERVICES = frozenset(
    {
        "agentType",
        "processCount",
        "ports",
        "hostName",
        "useTLS",
        "clientCertificate",
        "clientPrivateKeyFile",
        "caCertificateFile",
        "serviceNames",
        "excludeFromServiceRegistry",
        *OF_CLIENTS,
    }
)
"""Keys of an agent that are about where its services are; the others are about its processes and their probes."""

_OF_PROBES = frozenset(
    {"probe", "probePath", "probeCommand", "probeIntervalSeconds", "probeTimeoutSeconds", "failureThreshold"}
)


_OUR_RANKINGS = frozenset({"least_loaded", "original"})

_RANKING_TRIAL_S = 10.0
"""Longer than any import should take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancerFile:
    """What the load balancer's file says."""

    given: frozenset[str]
    """Keys of `loadBalancerConfig` that the file has."""
    broken: frozenset[str]
    """Those with something wrong."""
    spec: BalancerSpec
    """With defaults where something is wrong."""
    workers: tuple[Claim, ...]
    """Where its services are said to be."""
    stores: tuple[tuple[Place, StoreSpec], ...]
    """What may hold the registry, in file order, and where that is said."""
    metrics: MetricsSpec | None
    """Of a balancer that runs alone."""
    metrics_place: Place


def read_balancer_file(file: Path, *, report: Report, environ: Mapping[str, str]) -> BalancerFile | None:
    """Read the file as far as possible; None when it has no usable document. Faults go to the report."""
    root = read_document(file, report)
    if root is None:
        return None
    entries = read_entries(root, ("loadBalancerConfig", "agents"), report=report, path="")
    entries = {key: entry for key, entry in entries.items() if not is_null(entry.node)}
    config = entries.get("loadBalancerConfig")
    place = place_of(root, "loadBalancerConfig") if config is None else config.value
    node = None if config is None else config.node
    section = read_section(node, LoadBalancerKeys, report=report, place=place)
    agents = read_agents(entries.get("agents"), report)
    certificate, key = check_certificate(section, folder=file.parent, report=report)
    authorities = check_authorities(section, section.keys.ca_certificate_file, folder=file.parent, report=report)
    _check_mutual_tls(section, report)
    _check_ranking(section, report)
    for agent in agents:
        _check_agent(agent, report)
    metrics, claims_of_metrics = read_metrics(section, report)
    _check_ports(section, agents, report, claims_of_metrics)
    spec = BalancerSpec(
        host_name=section.keys.host_name,
        port=section.keys.port,
        frontends=section.keys.frontends,
        certificate=certificate,
        private_key_file=key,
        enforce_mutual_tls=section.keys.enforce_mutual_tls,
        response_timeout_s=section.keys.service_response_timeout_seconds,
        recently_used_timeout_s=section.keys.recently_used_timeout_seconds,
        ranking=section.keys.ranking,
        load_report_max_age_s=section.keys.load_report_max_age_seconds,
        ca_certificate_file=authorities,
        agents=tuple(
            _service_spec(
                agent,
                tls=check_client_tls(agent, authorities=authorities, folder=file.parent, report=report),
                environ=environ,
            )
            for agent in agents
        ),
    )
    return BalancerFile(
        given=frozenset(section.entries),
        broken=section.broken,
        spec=spec,
        workers=tuple(claims_of(agent for agent in agents if agent.agent_type == WORKER)),
        stores=_stores(agents, spec, folder=file.parent, environ=environ, report=report),
        metrics=metrics,
        metrics_place=section.place_of("metrics"),
    )


def _stores(
    agents: tuple[AgentSection, ...],
    spec: BalancerSpec,
    *,
    folder: Path,
    environ: Mapping[str, str],
    report: Report,
) -> tuple[tuple[Place, StoreSpec], ...]:
    return tuple(
        (
            agent.type_place,
            store_spec(agent, external_addresses(agent), tls=read.tls, folder=folder, environ=environ, report=report),
        )
        for agent, read in zip(agents, spec.agents, strict=True)
        if agent.agent_type == KEY_VALUE_STORE
    )


def warn_of_strangers(file: BalancerFile | None, managed: Iterable[Claim], report: Report) -> None:
    """Warn of services that the file of a cluster's balancer names and the cluster does not run."""
    known = {(own.port, host_key(own.host_name)) for own in managed}
    for worker in () if file is None else file.workers:
        is_known = (worker.port, host_key(worker.host_name)) in known
        if not is_known and worker.place is not None:
            address = f"{worker.host_name}:{worker.port}"
            report.warn(worker.place, f"{address} is not balanced; the registry holds what the cluster runs")


def _check_mutual_tls(section: Section[LoadBalancerKeys], report: Report) -> None:
    if not section.keys.enforce_mutual_tls:
        return
    if "certificate" not in section.entries and "privateKeyFile" not in section.entries:
        report.fault(section.place_of("enforceMutualTls"), "mutual TLS needs certificate and privateKeyFile")
    elif section.keys.ca_certificate_file is None and "caCertificateFile" not in section.broken:
        message = "without caCertificateFile every client is let in that has a certificate of any public authority"
        report.warn(section.place_of("enforceMutualTls"), message)


def _check_ranking(section: Section[LoadBalancerKeys], report: Report) -> None:
    """Have a ranking that is not ours tried out, in a process of its own: it is code of the user's."""
    if "ranking" in section.broken or section.keys.ranking in _OUR_RANKINGS:
        return
    place = section.place_of("ranking")
    # -P: from the current directory the balancer would not load it, either.
    command = [sys.executable, "-P", "-m", "quaestor_actors.adapters.ranking_plugin", section.keys.ranking]
    try:
        trial = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_RANKING_TRIAL_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        report.fault(place, f"{section.keys.ranking} takes longer than {_RANKING_TRIAL_S:g} s to be imported and tried")
        return
    if trial.returncode == 0:
        return
    said = trial.stderr.decode(errors="replace").strip().splitlines()
    why = said[-1] if trial.returncode == 1 and said else f"it ends its process with code {trial.returncode}"
    report.fault(place, why)


def _check_agent(agent: AgentSection, report: Report) -> None:
    section = agent.section
    if "processCount" in section.entries:
        check_port_count(agent, report)
    check_misplaced(agent, report)
    match agent.agent_type:
        case "":
            return
        case "Worker":
            if not section.keys.ports and "ports" not in section.broken:
                report.fault(section.place_of("ports"), f"ports is missing; the balancer must know where {WORKER} is")
        case "KeyValueStore":
            check_hosts(agent, report)
        case _:
            message = f"has no effect here; the balancer knows {WORKER} and {KEY_VALUE_STORE}"
            report.warn(agent.type_place, message)
    heeded = _OF_SERVICES if agent.agent_type == KEY_VALUE_STORE else _OF_SERVICES | OF_MEMBERS
    for key in section.entries.keys() - heeded:
        why = "asks services by gRPC alone" if key in _OF_PROBES else "starts and stops no process"
        report.warn(section.entries[key].key, f"has no effect here; the balancer {why}")


def _check_ports(
    section: Section[LoadBalancerKeys], agents: tuple[AgentSection, ...], report: Report, of_metrics: tuple[Claim, ...]
) -> None:
    own = []
    if "port" not in section.broken:
        keys = section.keys
        own = [Claim(owner="the load balancer", host_name=keys.host_name, port=keys.port, place=section.place)]
    # With hosts the ports are those of the hosts.
    here = (agent for agent in agents if not agent.section.keys.hosts)
    check_claims([*own, *of_metrics, *claims_of(here)], report=report, same_interface=on_same_host)


def _service_spec(agent: AgentSection, *, tls: ClientTls, environ: Mapping[str, str]) -> AgentSpec:
    count = len(agent.section.keys.ports)
    return agent_spec(agent, process_count=count, environ=environ, tls=tls)


def load_balancer(directory: Path, *, environ: Mapping[str, str]) -> LoadedCluster:
    """Load a balancer alone: a cluster without members of its own, for services that somebody else runs.

    Args:
        directory: the folder of the file.
        environ: the environment of this process.

    Raises:
        ConfigError: with everything that is wrong, in file order.
    """
    file = directory / LOAD_BALANCER_FILE
    report = Report(file=str(file))
    balancer = read_balancer_file(file, report=report, environ=environ)
    if report.faults or balancer is None:
        raise ConfigError(report.sorted_faults())
    workers = (agent for agent in balancer.spec.agents if agent.agent_type == WORKER)
    spec = ClusterSpec(
        name=f"loadbalancer-{balancer.spec.port}",
        balancer=balancer.spec,
        static_agents=tuple(agent for agent in workers if not agent.exclude_from_registry),
        stores=tuple(store for _, store in balancer.stores),
        metrics=balancer.metrics,
    )
    if not spec.static_agents and not spec.stores:
        report.warn(Place(line=1, column=1, path="agents"), f"no {WORKER} agent is registered; nothing is balanced")
    return LoadedCluster(spec=spec, files=(file,), warnings=report.warning_lines())
