"""Which quaestor this is."""

from __future__ import annotations

from importlib import metadata


def package_version() -> str:
    """Return the version of the package that is installed; empty if it is run without having been installed."""
    try:
        return metadata.version("quaestor-actors")
    except metadata.PackageNotFoundError:
        return ""
