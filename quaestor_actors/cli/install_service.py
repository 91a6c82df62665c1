"""`quaestor install-service`: write the unit file with which systemd runs a cluster."""

from __future__ import annotations

import contextlib
import math
import os
import pwd
import re
import shlex
import stat
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from quaestor_actors.cli.exit_codes import ExitCode
from quaestor_actors.cli.options import config_option
from quaestor_actors.config import CLUSTER_FILE, LOAD_BALANCER_FILE, find_config_directory, load_balancer, load_cluster
from quaestor_actors.config.loaded import LoadedCluster
from quaestor_actors.core.readiness import TREE_START_S, ready_within_s, stopped_within_s
from quaestor_actors.core.spec import ClusterSpec, ShutdownAction
from quaestor_actors.errors import ConfigError, ConflictError, OperationError

COMMAND = "quaestor"
SYSTEM_UNITS = Path("/etc/systemd/system")
SERVICE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH of a system service that is given no other, see systemd.exec(5)."""
MARGIN_S = 30.0
"""By how much systemd is more patient than the launcher, so that the launcher is the one that decides."""
WATCHDOG_S = 30
RESTART_PAUSE_S = 2
DESCRIPTORS = "65536:524288"
"""Soft and hard limit; the hard one is systemd's own default."""
UNIT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9:_.-]{0,199}")
"""What systemd.unit(5) allows, without templates and escapes."""
Lines = list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Everything that a unit file says about one cluster."""

    name: str
    spec: ClusterSpec
    command: Path
    """The quaestor command, absolute."""
    verb: str
    directory: Path
    """Of the configuration, absolute."""
    per_user: bool
    """Run by a user's own service manager rather than by the system's."""
    run_as: str | None = None
    """The user that the system's manager runs it as; None: root."""


def unit_text(service: Service) -> str:
    """Return the unit file, with the reason of each line above it."""
    install = ["[Install]", f"WantedBy={'default' if service.per_user else 'multi-user'}.target"]
    sections = (_unit(service), [*_running(service), *_keeping(service), *_limits(service)], install)
    return "\n".join("\n".join(lines) + "\n" for lines in sections)


def _unit(service: Service) -> Lines:
    lines = [
        f"# Made by `quaestor install-service`. To change a line for good: systemctl edit {service.name}",
        "",
        "[Unit]",
        f"Description=quaestor cluster {_literal(service.spec.name)}",
    ]
    if not service.per_user:
        lines += [
            "# Names can be looked up and addresses be listened on when members start.",
            "Wants=network-online.target",
            "After=network-online.target",
        ]
    return [
        *lines,
        "# It is never given up: members without a supervisor are the worst that can happen.",
        "StartLimitIntervalSec=0",
    ]


def _running(service: Service) -> Lines:
    ready_s = TREE_START_S + ready_within_s(service.spec)
    arguments = " ".join(quoted(text) for text in (service.verb, "--configDir", str(service.directory)))
    return [
        "[Service]",
        "# Started means serving. It says so when all members serve, or after the longest start-up deadline;",
        f"# with this configuration that is {ready_s:g} s.",
        "Type=notify",
        f"TimeoutStartSec={math.ceil(ready_s + MARGIN_S)}",
        "# Only the launcher speaks for the service, not its members.",
        "NotifyAccess=main",
        f"ExecStart={quoted_program(str(service.command))} {arguments}",
        "# Reads the configuration again; a bad one is reported and changes nothing.",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "# Members start here unless their agent has a workingDirectory.",
        f"WorkingDirectory={directory_value(str(service.directory))}",
        *_identity(service),
    ]


def _identity(service: Service) -> Lines:
    if service.run_as is None:
        return []
    return [
        f"User={_literal(service.run_as)}",
        "# Its files. Kept when the service stops, because by them the next start finds the members that run on.",
        f"RuntimeDirectory={service.name}",
        "RuntimeDirectoryMode=0700",
        "RuntimeDirectoryPreserve=yes",
        f"LogsDirectory={service.name}",
        "LogsDirectoryMode=0700",
        f"Environment=QUAESTOR_RUNTIME_DIR=/run/{service.name} QUAESTOR_LOG_DIR=/var/log/{service.name}",
    ]


def _keeping(service: Service) -> Lines:
    stopped_s = stopped_within_s(service.spec)
    ended = [agent.agent_type for agent in service.spec.agents if agent.shutdown_action is ShutdownAction.KILL]
    return [
        "# Only the launcher gets the signal. It ends, in order, the members whose clusterShutdownAction is Kill",
        f"# ({', '.join(ended) or 'none here'}); the others run on, and the next start adopts them.",
        "KillMode=process",
        f"# Requests under way and the polite signal have {stopped_s:g} s with this configuration. Then the launcher",
        "# kills the members; only if it hangs, systemd kills the launcher.",
        f"TimeoutStopSec={math.ceil(stopped_s + MARGIN_S)}",
        "# Not after exit code 0: then it has done its work (autoShutdown), or somebody stopped it.",
        "Restart=on-failure",
        f"RestartSec={RESTART_PAUSE_S}",
        "# A bad configuration (2), or a port or name that another has (5), are the same at the next try.",
        f"RestartPreventExitStatus={int(ExitCode.USAGE)} {int(ExitCode.CONFLICT)}",
        "# It reports only while the tree below it answers. If that stops, the launcher is killed and started again;",
        "# members do not notice. SIGKILL, because a core dump would hold the cluster's cookie.",
        f"WatchdogSec={WATCHDOG_S}",
        "WatchdogSignal=SIGKILL",
        "# A member that the kernel ends for its memory is restarted by its supervisor. The default stops the service.",
        "OOMPolicy=continue",
    ]


def _limits(service: Service) -> Lines:
    lines = [
        "# The tree holds a descriptor for each member and a connection for each location; the default is 1024.",
        f"LimitNOFILE={DESCRIPTORS}",
        "# Members' threads count here too; they are limited by their own agents.",
        "TasksMax=infinity",
        "# Members inherit what follows, so it is only what services can do without.",
    ]
    if _others(service):
        lines += ["# No NoNewPrivileges=yes: agents here start members as other users, with these users' rights."]
    else:
        lines += ["# Must be `no` if a member needs sudo or file capabilities.", "NoNewPrivileges=yes"]
    lines += ["LockPersonality=yes"]
    if not service.per_user:
        lines += ["ProtectKernelModules=yes", "ProtectKernelLogs=yes", "ProtectControlGroups=yes"]
    return lines


def _literal(text: str) -> str:
    """Return text that systemd takes as it is: `%` begins a specifier."""
    return text.replace("%", "%%")


def quoted(text: str) -> str:
    """Return one argument of a command line, as systemd.service(5) reads it back."""
    if re.fullmatch(r"[A-Za-z0-9_./:=@+-]+", text):
        return text
    escaped = _literal(text).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{escaped}"'


def quoted_program(path: str) -> str:
    """Return the path of a command line's program; no variables are replaced in it.

    Raises:
        OperationError: systemd accepts no program with such a name.
    """
    if re.search(r"[\"'\\]", path):
        raise OperationError(f"systemd starts no program whose path has quotes or backslashes: move {path}")
    return _literal(path) if re.fullmatch(r"\S+", path) else f'"{_literal(path)}"'


def directory_value(path: str) -> str:
    """Return a path as the value of a setting, which is read to the end of the line and not unquoted."""
    # A blank at the end would be lost, and a backslash would join the next line.
    return _literal(path) + ("/" if path.endswith(("\\", " ")) else "")


def _plain(path: Path) -> Path:
    """Return the path if it can be written into a unit file.

    Raises:
        OperationError: it cannot.
    """
    text = str(path)
    if not text.isprintable():
        raise OperationError(f"a unit file cannot name {text!r}: rename what has characters that cannot be printed")
    return path


def _own_command() -> Path:
    called = Path(sys.argv[0]).absolute()
    scripts = Path(sysconfig.get_path("scripts"))
    # Not resolved: a link to the command may outlive what it leads to today.
    for found in (called, scripts / COMMAND):
        if found.name == COMMAND and found.is_file() and os.access(found, os.X_OK):
            return _plain(Path(os.path.abspath(found)))  # noqa: PTH100 - resolve() would follow links
    raise OperationError(f"there is no {COMMAND} command at {called} or in {scripts}: install quaestor-actors with pip")


def _load(directory: Path | None, environ: Mapping[str, str]) -> tuple[str, Path, LoadedCluster]:
    """Return the verb that runs a configuration, its folder and what it says, all as the service will find it.

    Raises:
        ConfigError: there is none, or it cannot be used.
    """
    cwd = Path.cwd()
    verb = "cluster"
    load: Callable[..., LoadedCluster] = load_cluster
    try:
        found = find_config_directory(directory, CLUSTER_FILE, cwd=cwd)
    except ConfigError as missing:
        verb, load = "load-balancer", load_balancer
        try:
            found = find_config_directory(directory, LOAD_BALANCER_FILE, cwd=cwd)
        except ConfigError:
            raise missing from None
    found = _plain(Path(os.path.abspath(found)))  # noqa: PTH100 - resolve() would follow links
    # The folder is the service's current one, and executables may be relative to that.
    with contextlib.chdir(found):
        return verb, found, load(found, environ=environ)


def _others(service: Service) -> list[str]:
    """Return the agents whose members run as somebody else than the launcher."""
    own = service.run_as or (pwd.getpwuid(os.geteuid()).pw_name if service.per_user else "root")
    return [f"{agent.agent_type} ({agent.user})" for agent in service.spec.agents if agent.user not in {None, own}]


def _check_users(service: Service) -> None:
    others = _others(service)
    if others and (service.per_user or service.run_as is not None):
        raise click.UsageError(f"only a service of root can start members as other users: {', '.join(others)}")


def _exposed(service: Service) -> str | None:
    """Return a warning if others than root and the service's own user could change what it runs."""
    if service.per_user:
        return None
    trusted = {0} if service.run_as is None else {0, pwd.getpwnam(service.run_as).pw_uid}
    for path in (service.command, Path(sys.prefix), service.directory):
        for place in (path, *path.parents):
            found = place.stat()
            writable = found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX
            if found.st_uid not in trusted or writable:
                user = service.run_as or "root"
                return f"{place} can be changed by others: whoever does so may run anything as {user}"
    return None


def _default_path(name: str, *, per_user: bool) -> Path:
    if not per_user:
        return SYSTEM_UNITS / f"{name}.service"
    config = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(config) / "systemd" / "user" / f"{name}.service"


def write_unit(path: Path, text: str, *, force: bool) -> bool:
    """Write the file whole or not at all; return False if it is there already with this content.

    Raises:
        ConflictError: something else is there, and force is not used.
        OperationError: it cannot be written.
    """
    try:
        if path.is_file() and path.read_bytes() == text.encode():
            return False
        # lexists, because a masked unit is a link to /dev/null.
        if os.path.lexists(path) and not force:
            raise ConflictError(f"{path} exists and is different: compare with --output -, or replace it with --force")
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, text)
    except OSError as error:
        raise OperationError(
            f"cannot write {path}: {error.strerror}; run as root, or use --user, or choose a file with --output"
        ) from error
    return True


def _replace(path: Path, text: str) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            # Everybody may read a unit; systemd warns otherwise.
            os.fchmod(descriptor, 0o644)
            file.flush()
            os.fsync(descriptor)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise


def next_steps(service: Service, path: Path) -> list[str]:
    """Return the commands that make the service run."""
    systemctl = "systemctl --user" if service.per_user else "systemctl"
    target = _default_path(service.name, per_user=service.per_user)
    steps = [] if path == target else [shlex.join(["install", "-D", "-m", "644", str(path), str(target)])]
    steps += [f"{systemctl} daemon-reload", f"{systemctl} enable --now {service.name}"]
    if service.per_user:
        return [*steps, "loginctl enable-linger    # to run also while you are not logged in", "quaestor status"]
    place = "/run/quaestor" if service.run_as is None else f"/run/{service.name}"
    status = f"env QUAESTOR_RUNTIME_DIR={place} {shlex.quote(str(service.command))} status"
    return [*steps, status if service.run_as is None else f"sudo -u {service.run_as} {status}"]


def _unit_name(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    name = value.removesuffix(".service")
    if not UNIT_NAME.fullmatch(name):
        raise click.BadParameter("a name has letters, digits and : _ . - only, and begins with a letter or digit")
    return name


def _existing_user(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        found = pwd.getpwnam(value)
    except KeyError:
        raise click.BadParameter(f"there is no user {value}") from None
    return None if found.pw_uid == 0 else value


@click.command("install-service", short_help="Write the unit file with which systemd runs a cluster.")
@config_option
@click.option("--name", callback=_unit_name, help="Name of the service. Default: quaestor-CLUSTER.")
@click.option("--user", "per_user", is_flag=True, help="For your own service manager rather than the system's.")
@click.option("--run-as", metavar="USER", callback=_existing_user, help="User of a system service. Default: root.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="Where to write; - is standard output. Default: where systemd looks for it.",
)
@click.option("--force", is_flag=True, help="Replace a file that is different.")
def install_service(
    *,
    config_directory: Path | None,
    name: str | None,
    per_user: bool,
    run_as: str | None,
    output: Path | None,
    force: bool,
) -> None:
    """Write the unit file with which systemd runs a cluster, or a balancer alone.

    The configuration is checked first. Nothing is started; the commands that do are printed.

    Example: quaestor install-service -c /etc/quaestor
    """
    if per_user and run_as is not None:
        raise click.UsageError("--run-as is for system services; with --user the service runs as you")
    environ = os.environ if per_user else {"PATH": SERVICE_PATH}
    verb, directory, loaded = _load(config_directory, environ)
    service = Service(
        name=name or "quaestor-" + re.sub(r"[^A-Za-z0-9:_.-]", "-", loaded.spec.name)[:100],
        spec=loaded.spec,
        command=_own_command(),
        verb=verb,
        directory=directory,
        per_user=per_user,
        run_as=run_as,
    )
    _check_users(service)
    for remark in (*loaded.warnings, _exposed(service)):
        if remark:
            click.echo(remark, err=True)
    _deliver(service, output, force=force)


def _deliver(service: Service, output: Path | None, *, force: bool) -> None:
    text = unit_text(service)
    if output == Path("-"):
        click.echo(text, nl=False)
        return
    path = Path(output or _default_path(service.name, per_user=service.per_user)).absolute()
    click.echo(f"{path}: {'written' if write_unit(path, text, force=force) else 'is up to date'}")
    click.echo("Next:")
    for step in next_steps(service, path):
        click.echo(f"  {step}")
