"""Checks the health check of an agent, and makes its spec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quaestor_actors.core.probe import ProbeKind, ProbeSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from quaestor_actors.config.agents import AgentSection
    from quaestor_actors.config.report import Report
    from quaestor_actors.config.schema_agent import AgentKeys

ASSUME_HEALTHY = "QUAESTOR_ASSUME_PROCESS_ALWAYS_HEALTHY"
"""With the value `true` a live process counts as serving: for all agents, or for the one that has it."""

_KEY_OF = {"probePath": ProbeKind.HTTP, "probeCommand": ProbeKind.EXEC}


def check_probe(agent: AgentSection, report: Report) -> None:
    """Report settings of the health check that the kind of check does not have, or lacks."""
    section = agent.section
    if "probe" in section.broken:
        return
    kind = section.keys.probe
    for key, needed in _KEY_OF.items():
        if key in section.entries and kind is not needed:
            found = f"found probe {kind}" if "probe" in section.entries else f"and {kind} is the default"
            report.fault(
                section.entries[key].key, f"only probe {needed} has it, {found}; set probe to {needed} or remove it"
            )
    if kind is ProbeKind.EXEC and "probeCommand" not in section.entries.keys() | section.broken:
        report.fault(section.place_of("probe"), "needs probeCommand, the command that exits with 0 when all is well")


def probe_spec(keys: AgentKeys, *, environ: Mapping[str, str]) -> ProbeSpec:
    """Return the health check of an agent's members.

    Args:
        keys: of the agent.
        environ: the environment of this process; it, or the agent's own, may say that there is no check.
    """
    if _is_true(keys.environment_variables) or _is_true(environ):
        return ProbeSpec(kind=ProbeKind.NONE)
    return ProbeSpec(
        kind=keys.probe,
        path=keys.probe_path,
        command=keys.probe_command,
        interval_s=keys.probe_interval_seconds,
        timeout_s=keys.probe_timeout_seconds,
        failure_threshold=keys.failure_threshold,
    )


def _is_true(variables: Mapping[str, str]) -> bool:
    return variables.get(ASSUME_HEALTHY, "").strip().lower() == "true"
