"""The committed gRPC stubs are what the protocols generate."""

from __future__ import annotations

import filecmp
import subprocess
from pathlib import Path

import pytest
from support.cluster import ROOT


@pytest.mark.timeout(300)  # the first time, the generator's own environment is installed
def test__make_protos__changes_nothing(tmp_path: Path) -> None:
    subprocess.run(["make", "--silent", "protos", f"OUT={tmp_path}"], cwd=ROOT, check=True, timeout=280)
    generated = tmp_path / "quaestor_actors" / "rpc"
    committed = ROOT / "quaestor_actors" / "rpc"
    names = sorted(path.name for path in generated.iterdir())
    assert len(names) == 12
    assert set(names) | {"__init__.py"} == {path.name for path in committed.iterdir() if path.is_file()}
    _, different, missing = filecmp.cmpfiles(generated, committed, names, shallow=False)
    assert not different
    assert not missing
