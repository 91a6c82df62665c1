"""A member that bears witness: while it executes it writes down, again and again, that it does.

Each process has a file of its own: HOST-NAME-TOKEN-PID, with a line `SECONDS` of the clock since boot for each moment.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

PERIOD_S = 0.005


def main() -> None:
    folder, host = Path(sys.argv[1]), sys.argv[2]
    tag = os.environ["QUAESTOR_MEMBER"].rsplit(" ", 2)[0].rpartition(" ")[2].replace("/", "-")
    # One that does not float has none.
    token = os.environ.get("QUAESTOR_FENCING_TOKEN", "0")
    path = folder / f"{host}-{tag}-{token}-{os.getpid()}"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    while True:
        os.write(file, f"{time.clock_gettime(time.CLOCK_BOOTTIME):.6f}\n".encode())
        time.sleep(PERIOD_S)


if __name__ == "__main__":
    main()
