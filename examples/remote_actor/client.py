"""Ask an actor of the cluster, wherever it is: `python client.py celsius [NAME]`."""

from __future__ import annotations

import sys

from quaestor_actors.errors import AskError
from quaestor_actors.remote import connect


def main(message: str = "celsius", name: str = "Thermometer") -> int:
    """Print the answer, or why there is none."""
    with connect("station") as cluster:
        try:
            print(cluster.ask(name, message, timeout_s=5.0))
        except AskError as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
