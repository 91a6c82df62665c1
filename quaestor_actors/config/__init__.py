"""From YAML files to frozen specifications, or to a list of located faults."""

from __future__ import annotations

from quaestor_actors.config.balancer import load_balancer
from quaestor_actors.config.cluster import load_cluster
from quaestor_actors.config.loaded import LoadedCluster
from quaestor_actors.config.locate import (
    CLUSTER_FILE,
    LOAD_BALANCER_FILE,
    default_config_directory,
    find_config_directory,
)

__all__ = [
    "CLUSTER_FILE",
    "LOAD_BALANCER_FILE",
    "LoadedCluster",
    "default_config_directory",
    "find_config_directory",
    "load_balancer",
    "load_cluster",
]
