"""Makes the pictures beside it: real commands, in a terminal of 100 columns, beside a real cluster in which one fails.

Run it with `make screenshots`. Times, pids and load differ each time; nothing else should.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from xml.sax.saxutils import escape

HERE = Path(__file__).parent
QUAESTOR = Path(sys.executable).with_name("quaestor")
WORKER = HERE.parents[1] / "examples" / "hello_world" / "worker.py"

COLUMNS, LINES = 100, 50
COMMANDS = {"status": ("status",), "top": ("top", "--once"), "explain": ("explain", "Report/1")}
DEADLINE_S = 60
FAILURES = 5

CONFIGURATION = f"""\
clusterConfig: {{name: demo}}
agents:
  - agentType: Worker
    executablePath: {WORKER}
    commandLineArguments: "Worker {{Port}}"
    processCount: 3
    serviceNames: [Worker]
    clusterShutdownAction: Kill
  - agentType: Report
    executablePath: /bin/sh
    commandLineArguments: "-c 'sleep 0.2; echo no such file: /var/lib/report/model.bin; exit 1'"
    probe: tcp
    clusterShutdownAction: Kill
  - agentType: LoadBalancer
"""
BALANCER = "loadBalancerConfig: {hostName: 127.0.0.1, port: 5150}\n"

CELL_WIDTH, LINE_HEIGHT, MARGIN = 8.4, 18, 16
COLOURS = {"31": "#ff6b68", "32": "#6ccf7a", "33": "#e5c158"}
STYLE = "font: 14px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #d8dee9; white-space: pre"
SGR = re.compile(r"\x1b\[(\d+)m")


def svg(lines: list[str], title: str) -> str:
    """Return lines with the colours of states, as a terminal gets them, as a picture that needs nothing else."""
    width = COLUMNS * CELL_WIDTH + 2 * MARGIN
    height = len(lines) * LINE_HEIGHT + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height}" role="img">',
        f"<title>{escape(title)}</title>",
        '<rect width="100%" height="100%" rx="8" fill="#1e222a"/>',
        f'<g style="{STYLE}" xml:space="preserve">',
    ]
    for number, line in enumerate(lines, start=1):
        parts += _line(line, MARGIN + number * LINE_HEIGHT - 4)
    return "\n".join([*parts, "</g>", "</svg>", ""])


def _line(line: str, y: int) -> list[str]:
    found, column, colour = [], 0, ""
    # Text and the numbers of colours take turns.
    for index, piece in enumerate(SGR.split(line)):
        if index % 2:
            colour = COLOURS.get(piece, "")
        elif piece:
            # Its width is given, so that columns stand below each other in every font.
            place = f'x="{MARGIN + column * CELL_WIDTH:.1f}" y="{y}" textLength="{len(piece) * CELL_WIDTH:.1f}"'
            fill = f' fill="{colour}"' if colour else ""
            style = f' style="fill: {colour}"' if fill else ""
            found.append(f"<text {place}{style}>{escape(piece)}</text>")
            column += len(piece)
    return found


def shown_by(*arguments: str, environment: dict[str, str]) -> list[str]:
    """Run a command in a terminal, and return the lines that it writes."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(controller, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    with subprocess.Popen([QUAESTOR, *arguments], stdin=terminal, stdout=terminal, env=environment) as process:
        os.close(terminal)
        written = b""
        try:
            while piece := os.read(controller, 65536):
                written += piece
        except OSError:
            # That is how Linux says that nobody has the other side open any more.
            pass
    os.close(controller)
    if process.returncode:
        raise SystemExit(f"quaestor {' '.join(arguments)} ended with code {process.returncode}")
    return written.decode().replace("\r", "").rstrip("\n").split("\n")


def await_failures(environment: dict[str, str]) -> None:
    """Wait until the agent that fails waits for its next try for some seconds, in which the pictures are taken."""
    give_up_at = time.monotonic() + DEADLINE_S
    while time.monotonic() < give_up_at:
        answer = subprocess.run([QUAESTOR, "status", "-o", "json"], env=environment, check=True, capture_output=True)
        (report,) = [one for one in json.loads(answer.stdout)["members"] if one["member"] == "Report/1"]
        if report["state"] == "backing_off" and report["failures"] >= FAILURES:
            return
        time.sleep(0.1)
    raise SystemExit("the agent that is to fail does not")


def main() -> None:
    """Run a cluster until its workers serve and the other agent has failed some times, and take the pictures."""
    with tempfile.TemporaryDirectory(prefix="quaestor-") as directory:
        home = Path(directory)
        (home / "quaestor.cluster.config.yml").write_text(CONFIGURATION)
        (home / "quaestor.loadbalancer.config.yml").write_text(BALANCER)
        environment = {
            **os.environ,
            "TERM": "xterm-256color",
            "QUAESTOR_RUNTIME_DIR": f"{home}/run",
            "QUAESTOR_LOG_DIR": f"{home}/log",
        }
        environment.pop("NO_COLOR", None)
        launcher = subprocess.Popen([QUAESTOR, "cluster", "-c", home], env=environment, stderr=subprocess.DEVNULL)
        try:
            wait = [QUAESTOR, "wait", "Worker", "--timeout", str(DEADLINE_S)]
            subprocess.run(wait, env=environment, check=True, stderr=subprocess.DEVNULL)
            await_failures(environment)
            for name, arguments in COMMANDS.items():
                prompt = f"$ quaestor {' '.join(arguments).removesuffix(' --once')}"
                lines = [prompt, *shown_by(*arguments, environment=environment)]
                text = "\n".join(lines).replace(f"{directory}/log", "/var/log/quaestor")
                (HERE / f"{name}.svg").write_text(svg(text.split("\n"), prompt.removeprefix("$ ")))
        finally:
            launcher.terminate()
            launcher.wait()


if __name__ == "__main__":
    main()
