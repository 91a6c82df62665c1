"""An installed wheel, not the checkout, runs the sample with its default configuration."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cluster import ROOT
from support.discovery import discovery
from support.sample_ports import BALANCER_PORT, WORKER_PORTS, sample_ports
from support.waiting import wait_until


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an environment that borrows only the dependencies from this one; return its bin folder."""
    folder: Path = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=200)
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    site = next((folder / "venv" / "lib").glob("python*/site-packages"))
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    wheel = next(folder.glob("*.whl"))
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(pip, check=True, capture_output=True, timeout=200)
    return python.parent


@pytest.fixture
def launcher(installed: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `quaestor cluster` in an empty folder, without naming a configuration."""
    environment = {
        **os.environ,
        "QUAESTOR_RUNTIME_DIR": str(tmp_path / "run"),
        "QUAESTOR_LOG_DIR": str(tmp_path / "log"),
    }
    command = [installed / "quaestor", "cluster"]
    with (
        sample_ports(),
        subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process,
    ):
        yield process
        if process.poll() is None:
            process.terminate()
            process.wait(30)


def test__installed_package__is_the_wheel_s(installed: Path, tmp_path: Path) -> None:
    program = "import quaestor_actors; print(quaestor_actors.__file__)"
    answer = subprocess.run(
        [installed / "python", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert Path(answer.stdout.strip()).is_relative_to(installed.parent)


def test__installed_wheel__runs_the_sample(launcher: subprocess.Popen[str]) -> None:
    with discovery(BALANCER_PORT) as client:

        def four() -> bool:
            assert launcher.poll() is None, launcher.stderr.read() if launcher.stderr else ""
            return client.all_or_nothing() == list(WORKER_PORTS)

        wait_until(four, timeout_s=30, what="four locations")
    launcher.send_signal(signal.SIGTERM)
    assert launcher.wait(30) == 0
