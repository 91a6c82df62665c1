"""The disk of the cluster that is hurt, for its state and its logs: small, and full when it is wanted to be."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
from pathlib import Path
from typing import Protocol

from quaestor_actors.chaos.fault import NotPossibleError

_SIZE = "64m"
_CLONE_NEWNS = 0x00020000
"""See unshare(2)."""
_MNT_DETACH = 2
"""See umount2(2)."""
FILLER = "filler"
"""The name of the file that takes the room."""
_BLOCK = bytes(65536)


class Disk(Protocol):
    """A folder that can be without room."""

    path: Path

    def fill(self) -> str:
        """Take all room away; return how, for people.

        Raises:
            NotPossibleError: this machine does not allow it.
        """

    def free(self) -> None:
        """Give the room back."""

    def remove(self) -> None:
        """Let the folder be an ordinary, writable one."""


class SmallDisk:
    """A file system in memory, which nobody outside this process and its descendants sees."""

    def __init__(self, path: Path) -> None:
        """Mount it; it vanishes with the last process that sees it.

        Raises:
            OSError: this user, or this machine, may not.
        """
        self.path = path
        self._libc = ctypes.CDLL(None, use_errno=True)
        if self._libc.unshare(_CLONE_NEWNS) != 0:
            error = ctypes.get_errno()
            raise OSError(error, f"unshare: {os.strerror(error)}")
        for command in (
            ["mount", "--make-rprivate", "/"],
            ["mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=0700", "chaos", str(path)],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise OSError(errno.EPERM, done.stderr.strip())

    def fill(self) -> str:
        """Write one large file."""
        file = os.open(self._filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            while True:
                os.write(file, _BLOCK)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        finally:
            os.close(file)
        return "no room for state and logs"

    def free(self) -> None:
        """Remove it."""
        self._filler.unlink(missing_ok=True)

    def remove(self) -> None:
        """Unmount it, also while somebody uses it."""
        if self._libc.umount2(str(self.path).encode(), _MNT_DETACH) != 0:
            error = ctypes.get_errno()
            raise OSError(error, f"umount {self.path}: {os.strerror(error)}")

    @property
    def _filler(self) -> Path:
        return self.path / FILLER


class LockedDisk:
    """Folders in which nothing new can be written, for users who may not mount anything."""

    def __init__(self, path: Path) -> None:
        """Use a folder."""
        self.path = path

    def fill(self) -> str:
        """Take the right to write away from the folders of state and logs.

        Raises:
            NotPossibleError: for root that would change nothing.
        """
        if os.geteuid() == 0:
            raise NotPossibleError("root may not mount a small disk here, and heeds no permissions")
        self._set_mode(0o500)
        return "state and logs cannot be written"

    def free(self) -> None:
        """Give it back."""
        self._set_mode(0o700)

    def remove(self) -> None:
        """Do nothing more: it is an ordinary folder."""
        self.free()

    def _set_mode(self, mode: int) -> None:
        for folder in (*self.path.glob("run/*/agents"), *self.path.glob("log/*")):
            folder.chmod(mode)


def make_disk(path: Path) -> Disk:
    """Return the disk that is possible here, in an empty folder. Call it before there is another thread."""
    try:
        return SmallDisk(path)
    except OSError:
        return LockedDisk(path)
