"""What a member is launched with beyond its command: its account and resource limits; and why a launch failed."""

from __future__ import annotations

import errno
import os
import pwd
import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from quaestor_actors.core.spec import STORE_PASSWORD_VARIABLE, AgentSpec
from quaestor_actors.errors import SpawnError

_DEFAULT_SHELL = "/bin/sh"
"""What an empty field of the user database stands for; see passwd(5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user of this machine, with everything that a login as that user would bring."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    """The primary group and the supplementary ones."""
    home: str
    shell: str

    @property
    def is_own(self) -> bool:
        """True when this process is that user already, so that there is nothing to change."""
        return self.uid == os.geteuid()

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables by which programs know whom they run as; see environ(7)."""
        return {"HOME": self.home, "USER": self.name, "LOGNAME": self.name, "SHELL": self.shell}


def without_secrets(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return the part of the cluster's environment that is for its members, too."""
    return {name: value for name, value in environment.items() if name != STORE_PASSWORD_VARIABLE}


def account_of(spec: AgentSpec) -> Account | None:
    """Return the account that an agent's members run as; None if it names none.

    It is looked up at every start: a changed membership of a group counts from the next start on.

    Raises:
        SpawnError: there is no such user, or this process may not become it.
    """
    if spec.user is None:
        return None
    entry = _find_user(spec.user)
    if entry is None:
        raise SpawnError(
            f"agent {spec.agent_type}: there is no user '{spec.user}' on this machine; "
            "create it, or name one that `getent passwd` lists"
        )
    if os.geteuid() not in {0, entry.pw_uid}:
        raise SpawnError(
            f"agent {spec.agent_type}: only root can start members as {spec.user}; "
            "run the cluster as root, or remove `user`"
        )
    return Account(
        name=entry.pw_name,
        uid=entry.pw_uid,
        gid=entry.pw_gid,
        groups=tuple(os.getgrouplist(entry.pw_name, entry.pw_gid)),
        home=entry.pw_dir,
        shell=entry.pw_shell or _DEFAULT_SHELL,
    )


def _find_user(user: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(user)
    except KeyError:
        # Not a name; perhaps a number.
        pass
    except ValueError:
        # A NUL, which no name has.
        return None
    if not (user.isascii() and user.isdecimal()):
        return None
    try:
        return pwd.getpwuid(int(user))
    # Numbers beyond the type of user ids overflow rather than being unknown.
    except (KeyError, OverflowError):
        return None


def in_new_process(spec: AgentSpec, account: Account | None) -> Callable[[], None] | None:
    """Return what the new process must do to itself before it becomes the program; None without resource limits.

    Only a Python function can set limits there: set on the running program they come after it has read them, and set
    on the supervisor they would bind it too, hard ones for good. It costs a real fork, which nobody else pays for.
    The change of user is in it as well, because only root may raise a hard limit.
    """
    if not spec.rlimits:
        return None
    limits = tuple((_limit_number(name), value) for name, value in spec.rlimits)

    def prepare() -> None:
        for number, value in limits:
            resource.setrlimit(number, (value, value))
        if account is not None and not account.is_own:
            os.setgroups(account.groups)
            os.setresgid(account.gid, account.gid, account.gid)
            os.setresuid(account.uid, account.uid, account.uid)

    return prepare


def _limit_number(name: str) -> int:
    number: int = getattr(resource, f"RLIMIT_{name.upper()}")
    return number


def preparation_fault(spec: AgentSpec) -> str:
    """Say why a new process could not be prepared, after it was so: its folder, a limit, or the change of user."""
    folder = spec.working_directory
    if folder is not None and not (os.path.isdir(folder) and os.access(folder, os.X_OK)):  # noqa: PTH112 - raises not
        return f"its working directory {folder} is no folder that can be entered; create it, or name another"
    for name, value in spec.rlimits:
        _, highest = resource.getrlimit(_limit_number(name))
        if highest != resource.RLIM_INFINITY and (value == resource.RLIM_INFINITY or value > highest):
            return (
                f"its limit {name}: {_shown(value)} is above the hard limit {highest} of the cluster; lower it, or "
                f"start the cluster with a higher one (systemd: Limit{name.upper()}=)"
            )
    asked = [f"{name}: {_shown(value)}" for name, value in spec.rlimits]
    asked += [f"user: {spec.user}"] if spec.user is not None else []
    return f"the system refuses {', '.join(asked)}; the cluster lacks the privilege, see capabilities(7)"


def _shown(limit: int) -> str:
    return "unlimited" if limit == resource.RLIM_INFINITY else str(limit)


def start_fault(spec: AgentSpec, error: OSError) -> str:
    """Say why the system did not start a process, beginning with the path that the reason is about."""
    resources = {errno.EAGAIN, errno.ENOMEM}
    if error.filename in {None, spec.working_directory} and error.errno not in resources:
        return f"{spec.executable}: {preparation_fault(spec)}"
    path = str(error.filename or spec.executable)
    return f"{path}: {error.strerror}; {_remedy(path, spec, error.errno)}"


def _remedy(path: str, spec: AgentSpec, number: int | None) -> str:
    match number:
        case errno.ENOENT if os.path.lexists(path):
            return "it exists, so its link or the interpreter in its first line leads nowhere; mend that"
        case errno.ENOENT:
            return "install it, or mend executablePath"
        case errno.EACCES:
            whoever = "this user" if spec.user is None else spec.user
            return f"{whoever} must be allowed to execute it, as a file, and to enter the folders above it"
        case errno.ENOEXEC:
            return "its first line must be `#!` and an interpreter, or it must be a program for this machine"
        case errno.E2BIG:
            return "shorten its arguments and environment"
        case errno.ETXTBSY:
            return "something still writes to it; replace programs by renaming"
        case errno.EAGAIN:
            return "a limit on processes is reached; raise it (nproc, or pids.max of the control group)"
        case errno.ENOMEM:
            return "free memory, or start fewer members"
        case _:
            return "execve(2) lists the causes"
