"""Where a running cluster keeps its files, and the locks that let only one launcher run it.

The runtime directory holds what must not survive a reboot: the cookie, where the actor system listens, which
processes are members. The log directory holds what people read. Both are private to their user.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from quaestor_actors.adapters.proc_stat import start_ticks
from quaestor_actors.core.process_id import ProcessId
from quaestor_actors.errors import ConflictError, OperationError

LOCK_NAME = "launcher.lock"
SYSTEM_NAME = "system.json"
ADMIN_PID_NAME = "admin.pid"


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemRecord:
    """How to reach a running cluster's actor system."""

    admin_port: int
    root_address: str
    """`host:port` of the root actor."""
    configuration: str | None = None
    """The leading file that the launcher reads; None: it was started from Python, without one."""
    address: str = "127.0.0.1"
    """Where it listens, and whoever talks to it must."""
    cookie_file: str | None = None
    """None: in the cluster's runtime directory."""
    host: str = ""
    """Which one of several hosts this is; empty where there are no others."""
    configured_as: str = ""
    """As which host of the configuration it was started, if that names one alone, too; empty: it names none."""


def base_directory(environ: Mapping[str, str]) -> Path:
    """Return the directory that holds one directory for each cluster of this user.

    It is QUAESTOR_RUNTIME_DIR, else /run/quaestor for root, for others quaestor below XDG_RUNTIME_DIR or a directory
    of the user's own below the temporary directory. Root's does not depend on XDG_RUNTIME_DIR, which a login has and a
    service has not: both must find the same clusters.
    """
    if chosen := environ.get("QUAESTOR_RUNTIME_DIR"):
        return Path(chosen)
    if os.geteuid() == 0:
        return Path("/run/quaestor")
    if xdg := environ.get("XDG_RUNTIME_DIR"):
        return Path(xdg) / "quaestor"
    return Path(tempfile.gettempdir()) / f"quaestor-{os.geteuid()}"


def log_directory(environ: Mapping[str, str], cluster: str) -> Path:
    """Return where a cluster's logs are: QUAESTOR_LOG_DIR, else the place that the system has for them."""
    if chosen := environ.get("QUAESTOR_LOG_DIR"):
        return Path(chosen) / cluster
    if os.geteuid() == 0:
        return Path("/var/log/quaestor") / cluster
    state = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "quaestor" / cluster


def make_private(directory: Path) -> Path:
    """Create a directory with its parents, only for this user; refuse one that others could have prepared.

    Raises:
        OperationError: it cannot be created, belongs to another user, or others may write in it.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.lstat()
    except OSError as error:
        raise OperationError(f"cannot create the directory {directory}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise OperationError(
            f"{directory} is not a directory that only this user can write: remove it, or name another one in "
            "QUAESTOR_RUNTIME_DIR"
        )
    return directory


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's content whole, mode 0600: a reader sees the old content or the new, never a part.

    Raises:
        OSError: the old content is still there, and nothing else.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)
    except OSError:
        # Whoever comes next writes under another pid, so this would stay for ever.
        temporary.unlink(missing_ok=True)
        raise


class LauncherLock:
    """The right to launch one cluster; held by the process that took it, released when that process ends."""

    def __init__(self, directory: Path, cluster: str) -> None:
        """Take the lock.

        Raises:
            ConflictError: another launcher holds it; the message names its pid.
        """
        # A POSIX record lock, because it is not inherited by the forked actors, which outlive the launcher.
        self._file = (directory / LOCK_NAME).open("a", encoding="utf-8")
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            holder = launcher_of(directory)
            raise ConflictError(
                f"the cluster {cluster!r} is running already (launcher pid {holder}): stop that one first, or give "
                "this one another clusterConfig.name"
            ) from error

    def release(self) -> None:
        """Give the lock back."""
        self._file.close()


def launcher_of(directory: Path) -> int | None:
    """Return the pid of the launcher that holds the lock of a cluster's directory, or None if nobody does."""
    try:
        with (directory / LOCK_NAME).open("r+", encoding="utf-8") as file:
            # struct flock of fcntl(2); F_GETLK asks who stands in the way, without taking the lock.
            question = struct.pack("@hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack("@hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, question))
    except FileNotFoundError:
        return None
    return None if kind == fcntl.F_UNLCK else int(pid)


def read_admin(directory: Path) -> ProcessId | None:
    """Return the process of a cluster's actor system as it wrote itself down, dead or alive; None if it did not."""
    try:
        pid, ticks = (directory / ADMIN_PID_NAME).read_text(encoding="ascii").split()
        return ProcessId(pid=int(pid), start_ticks=int(ticks))
    except (FileNotFoundError, ValueError):
        return None


def is_running(directory: Path) -> bool:
    """Return whether a cluster's actor system runs and can be reached."""
    admin = read_admin(directory)
    return (
        admin is not None and start_ticks(admin.pid) == admin.start_ticks and read_system_record(directory) is not None
    )


def write_system_record(directory: Path, record: SystemRecord) -> None:
    """Publish how to reach the actor system."""
    write_atomically(directory / SYSTEM_NAME, json.dumps(asdict(record)))


def read_system_record(directory: Path) -> SystemRecord | None:
    """Return how to reach the actor system, or None if nothing usable is published."""
    try:
        return SystemRecord(**json.loads((directory / SYSTEM_NAME).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
