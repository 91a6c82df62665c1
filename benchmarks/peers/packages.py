"""Installs peers through the machine's own package managers, once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from peers.peer import UnavailableError

_INSTALL_DEADLINE_S = 300


def need_program(program: str, *, package: str, install: bool) -> None:
    """Make sure that a program of a Debian package is there.

    Raises:
        UnavailableError: it is not, and must not or cannot be installed.
    """
    if shutil.which(program):
        return
    remedy = f"install {package}"
    if not install or os.geteuid() != 0 or not shutil.which("apt-get"):
        raise UnavailableError(remedy)
    request = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", package]
    if not _succeeds(request) and not (_succeeds(["apt-get", "update", "-qq"]) and _succeeds(request)):
        raise UnavailableError(f"{remedy}; apt-get could not")
    if not shutil.which(program):
        raise UnavailableError(f"{package} brought no {program}")


def python_program(program: str, *, package: str, cache: Path, install: bool) -> Path:
    """Return a program of a Python package, from a virtual environment in the cache directory.

    Raises:
        UnavailableError: it is not there, and must not or cannot be installed.
    """
    environment = cache / package
    path = environment / "bin" / program
    if path.exists():
        return path
    remedy = f"allow its installation into {environment}"
    if not install:
        raise UnavailableError(remedy)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check", package]
    if not _succeeds([sys.executable, "-m", "venv", str(environment)]) or not _succeeds(pip) or not path.exists():
        raise UnavailableError(f"{remedy}; pip could not install {package}")
    return path


def _succeeds(command: list[str]) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, env=environment, check=False, capture_output=True, text=True, timeout=_INSTALL_DEADLINE_S
        )
    except subprocess.TimeoutExpired:
        return False
    if done.returncode:
        print(f"{' '.join(command)}: {done.stderr.strip()[-400:]}", file=sys.stderr)
    return done.returncode == 0
