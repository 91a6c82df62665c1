"""Checks the restart settings of agents against each other, and of agents against the cluster's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from quaestor_actors.core.restart import AutoShutdown, Backoff, Intensity, RestartType
from quaestor_actors.core.spec import RestartSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quaestor_actors.config.agents import AgentSection
    from quaestor_actors.config.report import Report
    from quaestor_actors.config.schema import ClusterKeys
    from quaestor_actors.config.schema_agent import AgentKeys
    from quaestor_actors.config.sections import Section

_SHORTEST: Final = 0.0
"""The random number with which a pause is as short as it can be."""


def check_supervision(agent: AgentSection, report: Report) -> None:
    """Report restart settings of an agent that contradict each other."""
    section, keys = agent.section, agent.section.keys
    if "periodSeconds" in section.entries and "intensity" not in section.entries.keys() | section.broken:
        report.fault(section.place_of("periodSeconds"), "needs intensity, the number of restarts within it")
    if keys.restart is RestartType.PERMANENT and "restart" not in section.broken:
        _check_ends(section, report)
    is_complete = not section.broken & {"backoffInitialSeconds", "backoffMaxSeconds"}
    if is_complete and keys.backoff_max_seconds < keys.backoff_initial_seconds:
        initial, longest = keys.backoff_initial_seconds, keys.backoff_max_seconds
        given = "backoffMaxSeconds" if "backoffMaxSeconds" in section.entries else "backoffInitialSeconds"
        message = (
            f"backoffMaxSeconds ({longest:g}) is below backoffInitialSeconds ({initial:g}); raise it at least to that"
        )
        report.fault(section.place_of(given), message)
        return
    _check_reachable(section, report)


def _check_ends(section: Section[AgentKeys], report: Report) -> None:
    """OTP refuses the same: what is always restarted never ends, so nothing can follow its end."""
    message = "members with restart permanent never end for good; set restart to transient or temporary"
    if section.keys.significant:
        report.fault(section.place_of("significant"), message)
    if section.keys.auto_shutdown is not AutoShutdown.NEVER:
        report.fault(section.place_of("autoShutdown"), message)


def _check_reachable(section: Section[AgentKeys], report: Report) -> None:
    """Warn of a limit that stands for nothing, because pauses keep the restarts below it."""
    keys = section.keys
    concerned = {
        "intensity",
        "periodSeconds",
        "processCount",
        "restart",
        "backoffInitialSeconds",
        "backoffFactor",
        "backoffMaxSeconds",
        "backoffJitter",
    }
    if keys.intensity is None or keys.process_count == 0 or section.broken & concerned:
        return
    place = section.place_of("intensity")
    if keys.restart is RestartType.TEMPORARY:
        report.warn(place, "has no effect; members with restart temporary are not restarted")
        return
    most = _most_restarts(keys.intensity, keys)
    if most <= keys.intensity:
        who = (
            "1 member that ends at once is"
            if keys.process_count == 1
            else f"{keys.process_count} members that end at once are"
        )
        report.warn(
            place,
            f"beyond what the back-off allows: {who} restarted at most {most} times in {keys.period_seconds:g} s; "
            "lower it, raise periodSeconds or shorten the back-off",
        )


def _most_restarts(limit: int, keys: AgentKeys) -> int:
    """Return how many restarts fit into the period if every member ends at once, counting no further than needed."""
    backoff = backoff_spec(keys)
    restarts, elapsed_s = 1, 0.0
    while restarts * keys.process_count <= limit:
        # A restart counts from the moment it is due, so the pause before this one decides about the next.
        elapsed_s += backoff.delay_s(restarts, _SHORTEST)
        if elapsed_s >= keys.period_seconds:
            break
        restarts += 1
    return restarts * keys.process_count


def check_auto_shutdown(cluster: Section[ClusterKeys], agents: Iterable[AgentSection], report: Report) -> None:
    """Warn when significant agents and the cluster's `autoShutdown` miss each other."""
    if "autoShutdown" in cluster.broken:
        return
    sections = [agent.section for agent in agents if not agent.is_builtin_balancer]
    significant = [section for section in sections if section.keys.significant]
    if cluster.keys.auto_shutdown is AutoShutdown.NEVER:
        for section in significant:
            place = section.place_of("significant")
            report.warn(place, "has no effect while autoShutdown of clusterConfig is never")
    elif not significant and not any("significant" in section.broken for section in sections):
        report.warn(cluster.place_of("autoShutdown"), "has no effect; no agent is significant")


def backoff_spec(keys: AgentKeys) -> Backoff:
    """Return the pauses between an agent's restarts."""
    return Backoff(
        initial_s=keys.backoff_initial_seconds,
        factor=keys.backoff_factor,
        cap_s=keys.backoff_max_seconds,
        jitter=keys.backoff_jitter,
        stable_s=keys.stable_seconds,
    )


def restart_spec(keys: AgentKeys) -> RestartSpec:
    """Return what follows the unexpected end of an agent's member."""
    intensity = None
    if keys.intensity is not None:
        intensity = Intensity(limit=keys.intensity, period_s=keys.period_seconds)
    return RestartSpec(
        type=keys.restart,
        strategy=keys.strategy,
        intensity=intensity,
        backoff=backoff_spec(keys),
        auto_shutdown=keys.auto_shutdown,
    )
