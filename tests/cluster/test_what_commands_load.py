"""What a command imports: each module takes a millisecond or so, and who asks at night waits for all of them."""

from __future__ import annotations

import subprocess
import sys

from support.cluster import Cluster

PROGRAM = """
import sys
from quaestor_actors.cli.main import main
try:
    main()
finally:
    print("\\n".join(sys.modules), file=sys.stderr)
"""


def loaded_by(cluster: Cluster, *arguments: str) -> set[str]:
    """Return the names of all modules that a command has loaded when it ends."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env=cluster.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(ended.stderr.split())


def test__status__loads_neither_grpc_nor_the_machines(running: Cluster) -> None:
    loaded = loaded_by(running, "status")
    assert "quaestor_actors.actors.view" in loaded
    heavy = {"grpc", "yaml", "pydantic", "psutil"}
    assert heavy & loaded == set()
    # Neither by its own imports nor with what the root answers.
    ours = {name for name in loaded if name.startswith("quaestor_actors.")}
    assert {"quaestor_actors.core.actor", "quaestor_actors.core.spec"} & ours == set()
    assert {"quaestor_actors.actors.root_messages", "quaestor_actors.cli.watching"} & ours == set()


def test__help__loads_no_verb(cluster: Cluster) -> None:
    ours = {name for name in loaded_by(cluster, "--help") if name.startswith("quaestor_actors.")}
    assert ours == {
        "quaestor_actors.cli",
        "quaestor_actors.cli.exit_codes",
        "quaestor_actors.cli.help",
        "quaestor_actors.cli.main",
        "quaestor_actors.errors",
    }
