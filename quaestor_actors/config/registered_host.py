"""Under which host an agent's members are registered: in a registry that machines share, `localhost` misleads."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quaestor_actors.config.agents import AgentSection
    from quaestor_actors.config.managed_etcd import EtcdAgent
    from quaestor_actors.config.report import Report
    from quaestor_actors.core.spec import StoreSpec


def registered_host(agent: AgentSection, etcd: EtcdAgent | None) -> str:
    """Return the host name of an agent: its own, or that of this machine among the hosts of the cluster's etcd.

    The latter is so for agents that are registered and say nothing else: a list of hosts is then all that the machines
    need, and the file can be the same on all of them.
    """
    is_own_given = {"hostName"} & (agent.section.entries.keys() | agent.section.broken)
    if etcd is None or not etcd.has_hosts or is_own_given or not is_registered(agent):
        return agent.section.keys.host_name
    return etcd.host_name


def warn_of_loopback(
    agents: Iterable[AgentSection], *, etcd: EtcdAgent | None, stores: Iterable[StoreSpec], report: Report
) -> None:
    """Warn of agents that would be registered under a name that means another machine to each of those that share."""
    is_shared = any(not is_loopback(host) for store in stores for host, _ in store.endpoints)
    for agent in agents:
        host = registered_host(agent, etcd)
        if is_shared and is_registered(agent) and is_loopback(host):
            place = agent.section.entries["hostName"].value if "hostName" in agent.section.entries else agent.type_place
            message = f"{host} is registered, where other machines would look for it on themselves; set hostName"
            report.warn(place, message)


def is_loopback(host: str) -> bool:
    """Tell whether a name or an address means the machine itself, as far as its text says."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_registered(agent: AgentSection) -> bool:
    """Tell whether the registry is to have the members of an agent."""
    keys = agent.section.keys
    return bool(keys.service_names) and not keys.exclude_from_service_registry and not agent.is_builtin_balancer
