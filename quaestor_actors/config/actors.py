"""Reads `actors` of `clusterConfig`: which classes of the user run in the tree, on which hosts, and by which rules."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import yaml

from quaestor_actors.config.agent_hosts import known_hosts
from quaestor_actors.config.report import place_of
from quaestor_actors.config.schema import ActorKeys
from quaestor_actors.config.sections import joined, read_entries, read_section
from quaestor_actors.config.yaml_values import described, scalar_value, shown
from quaestor_actors.core.restart import Intensity, RestartType
from quaestor_actors.core.spec import ActorSpec
from quaestor_actors.core.user_actor import hosts_of, lacking

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from quaestor_actors.config.hosts import Hosts
    from quaestor_actors.config.report import Place, Report
    from quaestor_actors.config.schema import ClusterKeys
    from quaestor_actors.config.sections import Entry, Section

_TRIAL_S: Final = 10.0
"""Longer than any import should take."""

_SHOWN: Final = 8
"""How many names are listed."""


def read_actors(
    cluster: Section[ClusterKeys], hosts: Hosts, *, agent_types: Iterable[str], folder: Path, report: Report
) -> tuple[ActorSpec, ...]:
    """Return the actors of a cluster; report what is wrong with them.

    The class of one that may run on this host is tried out, and what it requires by itself is added.

    Args:
        cluster: its section.
        hosts: of the cluster.
        agent_types: whose names are taken.
        folder: of the file, where classes may be.
        report: takes the faults and warnings.
    """
    entry = cluster.entries.get("actors")
    if entry is None or "actors" in cluster.broken:
        return ()
    taken = {agent_type.lower() for agent_type in agent_types}
    actors = []
    for name, inner in read_entries(entry.node, None, report=report, path=entry.value.path).items():
        section = read_section(inner.node, ActorKeys, report=report, place=inner.value)
        if name.lower() in taken:
            report.fault(inner.key, f"an agent is called {shown(name)}; commands and events could not tell them apart")
        actors.append(_actor(name, section, hosts, folder=folder, report=report))
    return tuple(actors)


def _actor(name: str, section: Section[ActorKeys], hosts: Hosts, *, folder: Path, report: Report) -> ActorSpec:
    keys, before = section.keys, len(report.faults)
    if "class" not in section.entries.keys() | section.broken:
        report.fault(section.place.named(section.path_of("class")), "missing; name it as package.module:Class")
    _check_restarts(section, report)
    spec = ActorSpec(
        name=name,
        class_name=keys.class_name or "",
        folder=str(folder.absolute()),
        settings=_settings(section.entries.get("settings"), report) if "settings" not in section.broken else {},
        hosts=_hosts(section, hosts, report),
        requires=tuple(dict.fromkeys(keys.requires)),
        restart=keys.restart,
        intensity=None if keys.intensity is None else Intensity(limit=keys.intensity, period_s=keys.period_seconds),
        essential=keys.essential,
    )
    _check_requirements(spec, section, hosts, report)
    if len(report.faults) > before or section.broken or not _may_be_here(spec, hosts):
        return spec
    return _with_its_own(spec, section, hosts, report)


def _check_restarts(section: Section[ActorKeys], report: Report) -> None:
    if "periodSeconds" in section.entries and "intensity" not in section.entries.keys() | section.broken:
        report.fault(section.place_of("periodSeconds"), "needs intensity, the number of restarts within it")
    if section.keys.restart is RestartType.TEMPORARY and "intensity" in section.entries:
        report.warn(section.place_of("intensity"), "has no effect; an actor with restart temporary is not restarted")


# Where it runs


def _hosts(section: Section[ActorKeys], hosts: Hosts, report: Report) -> tuple[str, ...]:
    if not hosts.is_given:
        for key in ("hosts", "requires"):
            if key in section.entries:
                report.fault(section.entries[key].key, "clusterConfig has no hosts; name them there, or remove this")
        return ()
    if "hosts" not in section.entries or "hosts" in section.broken:
        return ()
    if not section.keys.hosts:
        report.fault(section.place_of("hosts"), "names no host; remove it for all of them")
    return known_hosts(section.entries["hosts"], section.keys.hosts, hosts, report)


def _check_requirements(spec: ActorSpec, section: Section[ActorKeys], hosts: Hosts, report: Report) -> None:
    """Report capabilities that nobody has, and hosts that have not what is required."""
    if not hosts.is_complete or not hosts.specs or section.broken & {"hosts", "requires"}:
        return
    entry = section.entries.get("requires")
    for at, capability in enumerate(section.keys.requires):
        if entry is not None and (problem := _nobody_has(capability, hosts)):
            report.fault(entry.item(at), problem)
            return
    place = section.place_of("hosts") if spec.hosts else section.place_of("requires")
    if problem := _unplaceable(spec, hosts):
        report.fault(place, problem)


def _nobody_has(capability: str, hosts: Hosts) -> str:
    known = sorted({each for host in hosts.specs for each in host.capabilities})
    if capability in known:
        return ""
    close = get_close_matches(capability, known, n=1)
    few = ", ".join(known[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
    hint = f"did you mean {close[0]}?" if close else f"known are {few}" if known else "none has any"
    return f"no host has the capability {shown(capability)} ({hint})"


def _unplaceable(spec: ActorSpec, hosts: Hosts) -> str:
    """Return why an actor cannot run where it is to; empty if it can."""
    for host in hosts.specs:
        if host.name in spec.hosts and (missing := lacking(spec.requires, host.capabilities)):
            return f"{host.name} has not the capability {missing[0]}, which is required"
    if spec.requires and not hosts_of(spec, hosts.specs):
        return f"no host has all of {', '.join(spec.requires)}"
    return ""


def _may_be_here(spec: ActorSpec, hosts: Hosts) -> bool:
    if not hosts.is_given:
        return True
    return hosts.own is not None and hosts.own.name in hosts_of(spec, hosts.specs)


# Its class


def _with_its_own(spec: ActorSpec, section: Section[ActorKeys], hosts: Hosts, report: Report) -> ActorSpec:
    """Return the actor with what its class requires; report a class that cannot be used."""
    place = section.place_of("class")
    own = _tried_out(spec, place, report)
    if not hosts.specs:
        # There is nothing to choose from.
        return spec
    spec = replace(spec, requires=tuple(dict.fromkeys((*spec.requires, *own))))
    for capability in own:
        if problem := _nobody_has(capability, hosts):
            report.fault(place, f"{spec.class_name} requires a capability: {problem}")
            return spec
    if problem := _unplaceable(spec, hosts):
        report.fault(place, f"{spec.class_name} requires {', '.join(own)}: {problem}")
    return spec


def _tried_out(spec: ActorSpec, place: Place, report: Report) -> tuple[str, ...]:
    """Have a class loaded in a process of its own, as it is code of the user's; return what it requires."""
    # -P: from the current directory the actor would not load it, either.
    command = [sys.executable, "-P", "-m", "quaestor_actors.adapters.actor_class"]
    asked = {"class": spec.class_name, "folder": spec.folder, "settings": spec.settings}
    try:
        trial = subprocess.run(
            command,
            input=json.dumps(asked).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TRIAL_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        report.fault(place, f"{spec.class_name} takes longer than {_TRIAL_S:g} s to be imported")
        return ()
    try:
        said = json.loads(trial.stdout or b"")
    except ValueError:
        report.fault(place, f"{spec.class_name} ends its process with code {trial.returncode} when it is imported")
        return ()
    if "problem" in said:
        report.fault(place, said["problem"])
    return tuple(said.get("requires", ()))


def _settings(entry: Entry | None, report: Report) -> dict[str, Any]:
    if entry is None:
        return {}
    found = _value(entry.node, entry.value.path, report)
    return found if isinstance(found, dict) else {}


def _value(node: yaml.Node, path: str, report: Report) -> Any:
    """Return what a class is given: of YAML's own kinds, with lists as such; report names that are there twice."""
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, f"{path}[{at}]", report) for at, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        value = scalar_value(node)
        if isinstance(value, float) and not math.isfinite(value):
            report.fault(place_of(node, path), f"expected a finite number, found {described(node)}")
        return value
    found: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            report.fault(place_of(key, path), "expected text as the key")
        elif key.value in found:
            report.fault(place_of(key, joined(path, key.value)), "the key is there already")
        else:
            found[key.value] = _value(value, joined(path, key.value), report)
    return found
