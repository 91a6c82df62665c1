"""`quaestor version` and `quaestor completion`."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from importlib import metadata

import pytest
from support.command_line import quaestor


def test__version__names_everything_that_matters() -> None:
    lines = quaestor("version").out.splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "PART",
        "quaestor",
        "python",
        "grpc",
        "protobuf",
        "thespian",
        "etcd client",
    ]
    assert json.loads(quaestor("version", "-o", "json").out)["versions"] == {
        "quaestor": metadata.version("quaestor-actors"),
        "python": platform.python_version(),
        "grpc": metadata.version("grpcio"),
        "protobuf": metadata.version("protobuf"),
        "thespian": metadata.version("thespian"),
        "etcd_client": metadata.version("etcd-sdk-python"),
    }


def test__version__without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version

    def version(package: str) -> str:
        if package == "etcd-sdk-python":
            raise metadata.PackageNotFoundError(package)
        return real(package)

    monkeypatch.setattr(metadata, "version", version)
    assert quaestor("version").out.splitlines()[-1].split() == ["etcd", "client", "not", "installed"]
    assert json.loads(quaestor("version", "-o", "json").out)["versions"]["etcd_client"] is None


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test__completion__is_a_script_that_the_shell_takes(shell: str) -> None:
    answer = quaestor("completion", shell)
    assert (answer.code, answer.err) == (0, "")
    assert "_QUAESTOR_COMPLETE" in answer.out
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=answer.out, text=True, check=True, timeout=20)


def test__completion__of_another_shell_is_wrong_usage() -> None:
    assert quaestor("completion", "csh").code == 2
