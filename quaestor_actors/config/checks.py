"""What must be right between keys, agents and files, beyond each value for itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from quaestor_actors.config.executable import find_executable
from quaestor_actors.config.faults import FaultList, closest
from quaestor_actors.config.schema import AgentSettings
from quaestor_actors.config.section import Section
from quaestor_actors.core.spec import KEY_VALUE_STORE, LOAD_BALANCER, WORKER

Agent = Section[AgentSettings]

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ListeningPlace:
    """Where the built-in balancer listens, and who says so."""

    host_name: str
    port: int
    said_by: str
    """`FILE:LINE`, or that it is the default."""


def is_builtin_balancer(agent: Agent) -> bool:
    """Return whether an agent of the cluster's file is the balancer actor."""
    return (
        agent.usable("agent_type")
        and agent.settings.agent_type == LOAD_BALANCER
        and not agent.given("executable_path")
    )


def check_agent_types(agents: Iterable[Agent], faults: FaultList) -> None:
    """Note agents of one type. The type is the agent's name, and names files: upper and lower case are the same."""
    first: dict[str, Agent] = {}
    for agent in agents:
        if not agent.usable("agent_type"):
            continue
        name = agent.settings.agent_type
        earlier = first.setdefault(name.casefold(), agent)
        if earlier is not agent:
            message = f"{name} is the type of another agent (line {earlier.place('agent_type')[0].line}): name it otherwise"
            faults.add(*agent.place("agent_type"), message)


def check_process_count(agent: Agent, faults: FaultList) -> None:
    """Note a number of ports other than that of processes."""
    if not agent.usable("ports", "process_count"):
        return
    ports, processes = len(agent.settings.ports), agent.settings.process_count
    # An agent scaled to nothing keeps its ports for when it is scaled up again.
    if 0 in {ports, processes} or ports == processes:
        return
    count = f"processCount is {processes}"
    if not agent.given("process_count"):
        count += ", its default"
    message = f"{ports} {'ports' if ports > 1 else 'port'} given, but {count}: give one for each, or none for free ones"
    faults.add(*agent.place("ports"), message)


def check_builtin_balancer(agent: Agent, port: ListeningPlace | None, faults: FaultList) -> None:
    """Note what one actor cannot be.

    Args:
        agent: The balancer's agent.
        port: What the balancer's own file says, if it does.
        faults: Where to note it.
    """
    settings = agent.settings
    if agent.usable("process_count") and settings.process_count != 1:
        faults.add(*agent.place("process_count"), "must be 1: the built-in balancer is one actor")
    if port is None or not agent.usable("ports") or len(settings.ports) != 1 or settings.ports[0] == port.port:
        return
    message = f"{settings.ports[0]} contradicts port {port.port} of {port.said_by}: give it in one place"
    faults.add(*agent.item_place("ports", 0), message)


def check_ports(agents: Iterable[Agent], balancer: ListeningPlace | None, faults: FaultList) -> None:
    """Note ports that are wanted twice on this machine.

    Args:
        agents: Those of the cluster's file.
        balancer: Where the built-in balancer listens, unless one of the agents says so.
        faults: Where to note it.
    """
    first: dict[int, str] = {}
    for agent in agents:
        if not agent.usable("ports"):
            continue
        for index, port in enumerate(agent.settings.ports):
            node, path = agent.item_place("ports", index)
            if port in first:
                faults.add(node, path, f"port {port} is given twice (first as {first[port]})")
            elif balancer is not None and port == balancer.port:
                faults.add(node, path, f"port {port} is the balancer's ({balancer.said_by})")
            first.setdefault(port, f"{path}, line {node.line}")


def executable_of(agent: Agent, *, folder: Path, environ: Mapping[str, str], faults: FaultList) -> str | None:
    """Return the absolute path of what an agent runs, or note why there is none."""
    name = agent.settings.executable_path if agent.usable("executable_path") else None
    if name is not None:
        try:
            return find_executable(name, folder=folder, environ=environ)
        except ValueError as error:
            faults.add(*agent.place("executable_path"), str(error))
    elif agent.usable("executable_path") and agent.usable("agent_type") and not is_builtin_balancer(agent):
        faults.add(agent.node, agent.path, f"missing key executablePath: only {LOAD_BALANCER} is built in")
    return None


def check_locations(agents: Sequence[Agent], balancer: ListeningPlace, faults: FaultList) -> None:
    """Note what cannot be balanced among services that somebody else runs: no port, or a location given twice."""
    first: dict[tuple[str, str, int], str] = {}
    for agent in agents:
        if not agent.usable("agent_type") or agent.settings.agent_type not in {WORKER, KEY_VALUE_STORE}:
            continue
        if agent.usable("ports") and not agent.settings.ports:
            faults.add(*agent.place("ports"), "gives no ports: what somebody else runs is found by them only")
        if agent.usable("host_name", "ports", "service_names"):
            _check_locations_of(agent, balancer, first, faults)


def _check_locations_of(
    agent: Agent, balancer: ListeningPlace, first: dict[tuple[str, str, int], str], faults: FaultList
) -> None:
    settings = agent.settings
    host = settings.host_name.casefold()
    for index, port in enumerate(settings.ports):
        node, path = agent.item_place("ports", index)
        if port == balancer.port and is_same_host(host, balancer.host_name):
            faults.add(node, path, f"port {port} is the balancer's ({balancer.said_by})")
        for service in settings.service_names or (settings.agent_type,):
            key = (service, host, port)
            if key in first:
                message = f"{service} at {settings.host_name}:{port} is given twice (first as {first[key]})"
                faults.add(node, path, message)
            first.setdefault(key, f"{path}, line {node.line}")


def is_same_host(one: str, other: str) -> bool:
    """Return whether two names surely stand for the same host; no name is looked up."""
    one, other = one.casefold(), other.casefold()
    return one == other or {one, other} <= _LOCAL_NAMES
