"""Checks against this machine what members are to run as and in: the user, the folder, the limits."""

from __future__ import annotations

import os
import pwd
import re
import resource
from typing import TYPE_CHECKING, Final

from quaestor_actors.config.value_rules import UNLIMITED
from quaestor_actors.config.yaml_values import shown

if TYPE_CHECKING:
    from pathlib import Path

    from quaestor_actors.config.agents import AgentSection
    from quaestor_actors.config.report import Report

_ROOT: Final = 0


def check_working_directory(agent: AgentSection, *, folder: Path, report: Report) -> str | None:
    """Return the absolute path of an agent's working directory, None when it has none; report one that is unusable.

    Args:
        agent: the agent as the file gives it.
        folder: where relative paths start.
        report: takes the faults.
    """
    section = agent.section
    if section.keys.working_directory is None:
        return None
    place = section.place_of("workingDirectory")
    path = os.path.abspath(folder / section.keys.working_directory)  # noqa: PTH100 - resolve() would follow links
    if not os.path.lexists(path):
        report.fault(place, f"there is no folder {path}; create it or name another")
    elif not os.path.isdir(path):  # noqa: PTH112 - Path's raises where a folder may not be entered
        report.fault(place, f"expected a folder, found the file {path}")
    elif not os.access(path, os.X_OK):
        report.fault(place, f"{path} cannot be entered by this user; see its permissions")
    return path


def check_user(agent: AgentSection, report: Report) -> None:
    """Report a user that there is not, or as whom this one cannot start processes."""
    section = agent.section
    if section.keys.user is None:
        return
    place = section.place_of("user")
    found = _uid_of(section.keys.user)
    if found is None:
        message = f"there is no user '{shown(section.keys.user)}' on this machine; name one that `getent passwd` lists"
        report.fault(place, message)
    elif os.geteuid() not in {_ROOT, found}:
        report.fault(
            place,
            f"only root can start members as {section.keys.user}; run the cluster as root, or remove user",
        )


def _uid_of(user: str) -> int | None:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        pass
    if not re.fullmatch(r"[0-9]{1,10}", user, re.ASCII):
        return None
    try:
        return pwd.getpwuid(int(user)).pw_uid
    # Numbers beyond the type of user ids overflow rather than being unknown.
    except (KeyError, OverflowError):
        return None


def check_limits(agent: AgentSection, report: Report) -> None:
    """Report resource limits above those that this process may set."""
    section = agent.section
    if os.geteuid() == _ROOT or "rlimits" not in section.entries:
        return
    for name, value in section.keys.rlimits.items():
        _, highest = resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}"))
        if highest != UNLIMITED and (value == UNLIMITED or value > highest):
            message = f"only root can go beyond {highest} here; lower the value, or run the cluster as root"
            report.fault(section.entries["rlimits"].part(name).value, message)
