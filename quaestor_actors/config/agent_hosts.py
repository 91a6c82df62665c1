"""Settles on which hosts of a cluster an agent runs, and so whether it runs on this one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from quaestor_actors.config.registered_host import is_registered
from quaestor_actors.config.schema import FloatingKeys
from quaestor_actors.config.sections import Entry, read_section
from quaestor_actors.core.placement import Floating
from quaestor_actors.core.spec import KEY_VALUE_STORE, LOAD_BALANCER, ShutdownAction

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quaestor_actors.config.agents import AgentSection
    from quaestor_actors.config.hosts import Hosts
    from quaestor_actors.config.report import Report


def settled(agents: Iterable[AgentSection], hosts: Hosts, report: Report) -> tuple[AgentSection, ...]:
    """Return the agents with what follows from the hosts: where they run, how many of them, and at which address."""
    agents = tuple(agents)
    types = {agent.agent_type for agent in agents}
    if not hosts.is_given:
        for agent in agents:
            _check_alone(agent, report)
        return agents
    # An agent whose type is missing or wrong may be the one that is needed.
    has_etcd = bool(types & {KEY_VALUE_STORE, ""})
    return tuple(
        _etcd(agent, hosts, report)
        if agent.agent_type == KEY_VALUE_STORE
        else _reachable(_floating(_pinned(agent, hosts, report), hosts, has_etcd=has_etcd, report=report), hosts)
        for agent in agents
    )


def _check_alone(agent: AgentSection, report: Report) -> None:
    section = agent.section
    alike = agent.agent_type.lower() == KEY_VALUE_STORE.lower()
    # Of an agent that is nearly etcd the type is what is wrong.
    keys = ("floating",) if alike or not agent.agent_type else ("floating", "hosts")
    for key in keys:
        if key in section.entries:
            report.fault(section.entries[key].key, "clusterConfig has no hosts; name them there, or remove this")


def _pinned(agent: AgentSection, hosts: Hosts, report: Report) -> AgentSection:
    section = agent.section
    if "hosts" not in section.entries or "hosts" in section.broken:
        return replace(agent, is_here=hosts.own is not None)
    entry = section.entries["hosts"]
    if not section.keys.hosts:
        report.fault(entry.value, "names no host; remove it for all of them, or set processCount: 0 for none")
    names = known_hosts(entry, section.keys.hosts, hosts, report)
    return replace(agent, hosts=names, is_here=hosts.own is not None and hosts.own.name in names)


def known_hosts(entry: Entry, written: tuple[str, ...], hosts: Hosts, report: Report) -> tuple[str, ...]:
    """Return the proper names of hosts; report those that there are not, or that are there twice."""
    known: dict[str, None] = {}
    for at, name in enumerate(written):
        host = hosts.named(name)
        if host is None:
            if hosts.is_complete:
                report.fault(entry.item(at), hosts.unknown(name))
        elif host.name in known:
            report.fault(entry.item(at), f"{host.name} is there already")
        else:
            known[host.name] = None
    return tuple(known)


def _floating(agent: AgentSection, hosts: Hosts, *, has_etcd: bool, report: Report) -> AgentSection:
    section = agent.section
    entry = section.entries.get("floating")
    if entry is None or "floating" in section.broken:
        return agent
    if "hosts" in section.entries:
        report.fault(entry.key, "what floats may run on every host, and hosts pins it; remove one of them")
    if "processCount" in section.entries:
        report.fault(section.entries["processCount"].key, "how many float is the count of floating; remove this")
    if "clusterShutdownAction" in section.entries and section.keys.cluster_shutdown_action != ShutdownAction.KILL:
        message = "what floats ends when the cluster stops on its host, so that another one can run it; remove this"
        report.fault(section.entries["clusterShutdownAction"].key, message)
    if agent.is_builtin_balancer:
        report.fault(entry.key, f"the built-in {LOAD_BALANCER} does not float; name its hosts, or remove this")
    if not has_etcd:
        message = f"needs a {KEY_VALUE_STORE} agent: etcd decides which host runs what floats; add one, or name hosts"
        report.fault(entry.key, message)
    inner = read_section(entry.node, FloatingKeys, report=report, place=entry.value)
    prefer: tuple[str, ...] = ()
    if "prefer" in inner.entries:
        prefer = known_hosts(inner.entries["prefer"], inner.keys.prefer, hosts, report)
    floating = Floating(agent=agent.agent_type, count=inner.keys.count, spread=inner.keys.spread, prefer=prefer)
    if agent.is_builtin_balancer:
        return agent
    keys = section.keys.model_copy(update={"process_count": floating.count})
    # With a wrong count of them it is open how many ports there should be.
    broken = section.broken | ({"processCount"} if "count" in inner.broken else set())
    return replace(agent, section=replace(section, keys=keys, broken=broken), floating=floating)


def _reachable(agent: AgentSection, hosts: Hosts) -> AgentSection:
    """Return the agent at this host's address, if other hosts are to find it and it says nothing else."""
    section = agent.section
    is_own_given = "hostName" in section.entries.keys() | section.broken
    if hosts.own is None or is_own_given or not (is_registered(agent) or agent.is_builtin_balancer):
        return agent
    return replace(
        agent, section=replace(section, keys=section.keys.model_copy(update={"host_name": hosts.own.address}))
    )


def _etcd(agent: AgentSection, hosts: Hosts, report: Report) -> AgentSection:
    """Return the agent with addresses for the names of hosts; without members, if others than this one run them."""
    section, keys = agent.section, agent.section.keys
    if "floating" in section.entries:
        message = "etcd does not float, as its data stay where they are; name its hosts, and remove this"
        report.fault(section.entries["floating"].key, message)
    is_managed = keys.process_count > 0
    if not keys.hosts:
        is_open = not section.broken & {"hosts", "executablePath", "processCount"}
        if is_managed and is_open and len(hosts.specs) > 1 and "executablePath" not in section.entries:
            message = "each host would have an etcd of its own; name those that run it in hosts, or set processCount: 0"
            report.fault(agent.type_place, message)
        return replace(agent, is_here=hosts.own is not None)
    by_address = {host.address: host for host in hosts.specs}
    addresses, names = [], []
    for at, written in enumerate(keys.hosts):
        host = hosts.named(written) or by_address.get(written)
        addresses.append(written if host is None else host.address)
        if host is not None:
            names.append(host.name)
        elif is_managed and hosts.is_complete:
            report.fault(section.entries["hosts"].item(at), hosts.unknown(written))
    is_here = hosts.own is not None and (not is_managed or hosts.own.name in names)
    count = keys.process_count if is_here else 0
    keys = keys.model_copy(update={"hosts": tuple(addresses), "process_count": count})
    return replace(
        agent, section=replace(section, keys=keys), hosts=tuple(names) if is_managed else (), is_here=is_here
    )
