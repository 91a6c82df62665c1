"""What the repository and its metadata promise."""

from __future__ import annotations

import configparser
import subprocess
import tomllib

from support.cluster import ROOT

ALLOWED = {
    ".ci",
    ".gitignore",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "benchmarks",
    "conf",
    "docs",
    "examples",
    "protos",
    "pyproject.toml",
    "quaestor_actors",
    "setup.cfg",
    "tests",
}


def test__top_level__is_what_was_agreed() -> None:
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.partition("/")[0] for line in files.splitlines()} <= ALLOWED


def test__metadata__each_key_in_one_place() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert "setuptools" not in pyproject["tool"]
    assert set(setup.sections()) == {
        "options",
        "options.packages.find",
        "options.package_data",
        "options.data_files",
    }
    assert set(setup["options"]) == {"packages"}


def test__console_scripts__have_the_original_s_names_too() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(pyproject["project"]["scripts"]) == {"quaestor", "quaestor-cluster", "quaestor-loadbalancer"}


def test__modules__stay_readable() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in ("quaestor_actors", "tests", "examples")
        for path in (ROOT / folder).rglob("*.py")
        if "rpc" not in path.parts and (lines := len(path.read_text().splitlines())) > 400
    }
    assert not long
