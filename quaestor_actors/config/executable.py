"""Finds the program that an agent's `executablePath` names."""

from __future__ import annotations

import os
import shlex
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class ExecutableNotUsableError(Exception):
    """No program can be started under that name; the text is the sentence for the user."""


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
