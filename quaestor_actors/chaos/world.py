"""The cluster that is hurt: its launcher, its folders, and what it says about itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from quaestor_actors.actors.status_messages import StatusReply, StatusRequest
from quaestor_actors.actors.view import TreeView
from quaestor_actors.adapters import notify, processes, runtime_directory
from quaestor_actors.chaos.configuration import Copy, make_copy
from quaestor_actors.chaos.disk import FILLER, Disk, make_disk
from quaestor_actors.chaos.fault import NotPossibleError
from quaestor_actors.chaos.plan import Role
from quaestor_actors.chaos.sighting import Marks, Seen, Sighting, look
from quaestor_actors.cli.asking import ask_root
from quaestor_actors.core.process_id import ProcessId
from quaestor_actors.errors import OperationError, QuaestorError
from quaestor_actors.system.cookie import COOKIE_VARIABLE

_LAUNCH = "from quaestor_actors.cli.main import main; main()"
_NOT_FOR_IT = frozenset({COOKIE_VARIABLE, "QUAESTOR_LOGFILE_SUFFIX", *notify.VARIABLES})
"""It has a cookie of its own, and no service manager above it."""
STOP_S = 60.0
_HOLD_S = 2.0
_KILL_ROUNDS = 50
_KILL_PAUSE_S = 0.1


class World:
    """One cluster in a temporary folder. Only processes that belong to it are ever signalled."""

    def __init__(
        self, original: Path | None, *, environ: Mapping[str, str], make_disk: Callable[[Path], Disk] = make_disk
    ) -> None:
        """Prepare it; nothing runs yet.

        Args:
            original: the folder whose configuration is copied; None: the sample's.
            environ: the environment of this process.
            make_disk: makes the disk for state and logs in a folder. The default changes what this process sees of the
                file system, so it needs a process of its own.

        Raises:
            ConfigError: the configuration cannot be used.
            OperationError: it names an etcd that somebody else runs.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="quaestor-chaos-")).resolve()
        self.name = f"chaos-{uuid.uuid4().hex[:8]}"
        configuration = self.folder / "conf"
        configuration.mkdir()
        try:
            self.copy: Copy = make_copy(original, configuration, name=self.name, environ=environ)
            (self.folder / "disk").mkdir()
            self.disk: Disk = make_disk(self.folder / "disk")
        except BaseException:
            shutil.rmtree(self.folder)
            raise
        self._runtime = self.disk.path / "run"
        self._environment = {key: value for key, value in environ.items() if key not in _NOT_FOR_IT} | {
            "QUAESTOR_RUNTIME_DIR": str(self._runtime),
            "QUAESTOR_LOG_DIR": str(self.disk.path / "log"),
        }
        self._marks = Marks(cluster=self.name, runtime_directory=self._runtime)
        self._launcher: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Return itself; leaving ends whatever is left of it."""
        return self

    def __exit__(self, *_: object) -> None:
        """End what is left, and remove the folder unless `keep_evidence` was called."""
        self.kill_all()
        self.disk.remove()
        if not self.evidence.exists():
            shutil.rmtree(self.folder)

    # The launcher

    @property
    def output(self) -> Path:
        """What all launchers have told."""
        return self.folder / "launcher.out"

    def launch(self) -> None:
        """Start a launcher."""
        with self.output.open("ab") as output:
            self._launcher = subprocess.Popen(
                [sys.executable, "-c", _LAUNCH, "cluster", "-c", str(self.copy.folder)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl+C is for this program alone.
                start_new_session=True,
            )

    @property
    def launcher_pid(self) -> int | None:
        """None: none was started, or it was waited for."""
        return None if self._launcher is None else self._launcher.pid

    def ended_with(self) -> int | None:
        """Return the exit code of the launcher (negative: the signal), None while it runs."""
        return None if self._launcher is None else self._launcher.poll()

    def wait_for_end(self, timeout_s: float = STOP_S) -> int | None:
        """Wait until the launcher has ended, and return its exit code; None if it has not by then."""
        if self._launcher is None:
            return None
        try:
            return self._launcher.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> int | None:
        """Stop the cluster in order; return the launcher's exit code, or None if it did not end in time."""
        if self._launcher is not None and self._launcher.poll() is None:
            self._launcher.send_signal(signal.SIGTERM)
        return self.wait_for_end()

    def kill_all(self) -> None:
        """End everything by force, the launcher first; it would start the rest again."""
        self.disk.free()
        if self._launcher is not None and self._launcher.poll() is None:
            self._launcher.kill()
            self._launcher.wait()
        for _ in range(_KILL_ROUNDS):
            left = self.look().processes
            if not left:
                return
            for each in left:
                self.signal(each, signal.SIGKILL)
            time.sleep(_KILL_PAUSE_S)
        raise OperationError(f"cannot end {', '.join(map(str, left))}")

    # Evidence

    @property
    def evidence(self) -> Path:
        """Where logs and state are kept after a broken run."""
        return self.folder / "evidence"

    def keep_evidence(self) -> Path:
        """Copy logs and state to where they stay, and return the folder."""
        shutil.copytree(self.disk.path, self.evidence, ignore=_unfit)
        return self.folder

    # What is there

    def look(self) -> Sighting:
        """Return all its processes."""
        return look(self._marks, self.launcher_pid)

    def find(self, role: Role, index: int) -> Seen:
        """Return one process with a role.

        Raises:
            NotPossibleError: there is none now.
        """
        found = self.look().of(role)
        if not found:
            raise NotPossibleError(f"no {role} is there")
        return found[index % len(found)]

    def status(self) -> TreeView | None:
        """Return what the cluster says about itself; None while it does not answer."""
        directory = self._runtime / self.name
        if not runtime_directory.is_running(directory):
            return None
        try:
            return ask_root(directory, lambda request_id: StatusRequest(request_id=request_id), StatusReply).tree
        except QuaestorError:
            return None

    # What is done to it

    def signal(self, target: Seen, number: signal.Signals) -> bool:
        """Signal one process, never another one that has its pid now; return whether it was there."""
        watched = processes.watch(ProcessId(pid=target.pid, start_ticks=target.start_ticks))
        if watched is None:
            return False
        try:
            signal.pidfd_send_signal(watched.pidfd, number)
        except ProcessLookupError:
            return False
        finally:
            processes.forget(watched)
        return True

    def hold(self, target: Seen) -> bool:
        """Stop one process, and return whether it does nothing any more; SIGCONT lets it go on."""
        if not self.signal(target, signal.SIGSTOP):
            return False
        give_up_at = time.monotonic() + _HOLD_S
        while time.monotonic() < give_up_at:
            if any(each.pid == target.pid and each.is_stopped for each in self.look().processes):
                return True
        return False

    def reload(self) -> None:
        """Tell the launcher to read the configuration again."""
        if self._launcher is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._launcher.pid, signal.SIGHUP)


def _unfit(folder: str, names: list[str]) -> set[str]:
    """Return what is no evidence: the key to the actors, what filled the disk, sockets."""
    paths = {name: Path(folder) / name for name in names}
    return {
        name
        for name, path in paths.items()
        if name in {"cookie", FILLER} or not (path.is_dir() or path.is_file()) or path.is_symlink()
    }
