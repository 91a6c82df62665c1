"""A cluster's folders and the lock that lets only one launcher run it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from quaestor_actors.adapters import runtime_directory
from quaestor_actors.adapters.runtime_directory import LauncherLock, SystemRecord
from quaestor_actors.errors import ConflictError, OperationError

HOLDER = """
import sys
from pathlib import Path
from quaestor_actors.adapters.runtime_directory import LauncherLock
lock = LauncherLock(Path(sys.argv[1]), "demo")
print("held", flush=True)
sys.stdin.read()
"""


def test__private_directory__is_for_this_user_only(tmp_path: Path) -> None:
    made = runtime_directory.make_private(tmp_path / "a" / "b")
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert runtime_directory.make_private(made) == made


@pytest.mark.parametrize("mode", [0o777, 0o720, 0o702])
def test__directory_that_others_can_write__is_refused(tmp_path: Path, mode: int) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(mode)
    with pytest.raises(OperationError, match="only this user can write"):
        runtime_directory.make_private(open_to_all)


def test__link_in_the_directory_s_place__is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(OperationError, match="only this user can write"):
        runtime_directory.make_private(tmp_path / "link")


def test__base_directory__by_environment() -> None:
    assert runtime_directory.base_directory({"QUAESTOR_RUNTIME_DIR": "/x", "XDG_RUNTIME_DIR": "/y"}) == Path("/x")
    expected = "/run/quaestor" if os.geteuid() == 0 else "/y/quaestor"
    assert runtime_directory.base_directory({"XDG_RUNTIME_DIR": "/y"}) == Path(expected)
    assert runtime_directory.log_directory({"QUAESTOR_LOG_DIR": "/x"}, "demo") == Path("/x/demo")


def test__lock__is_held_by_one_launcher_and_freed_by_its_death(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert runtime_directory.launcher_of(tmp_path) == holder.pid
        with pytest.raises(ConflictError, match=f"launcher pid {holder.pid}"):
            LauncherLock(tmp_path, "demo")
        holder.kill()
        holder.wait()
    assert runtime_directory.launcher_of(tmp_path) is None
    LauncherLock(tmp_path, "demo").release()


def test__system_record__round_trip_and_rubbish(tmp_path: Path) -> None:
    record = SystemRecord(admin_port=1, root_address="127.0.0.1:2")
    assert runtime_directory.read_system_record(tmp_path) is None
    runtime_directory.write_system_record(tmp_path, record)
    assert runtime_directory.read_system_record(tmp_path) == record
    for rubbish in ("", "{}", "[1]", '{"admin_port": 1}'):
        (tmp_path / runtime_directory.SYSTEM_NAME).write_text(rubbish)
        assert runtime_directory.read_system_record(tmp_path) is None


def test__is_running__only_with_a_live_actor_system(tmp_path: Path) -> None:
    runtime_directory.write_system_record(tmp_path, SystemRecord(admin_port=1, root_address="127.0.0.1:2"))
    assert not runtime_directory.is_running(tmp_path)
    (tmp_path / runtime_directory.ADMIN_PID_NAME).write_text(f"{os.getpid()} 1")
    assert not runtime_directory.is_running(tmp_path)
    ticks = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    (tmp_path / runtime_directory.ADMIN_PID_NAME).write_text(f"{os.getpid()} {ticks}")
    assert runtime_directory.is_running(tmp_path)
