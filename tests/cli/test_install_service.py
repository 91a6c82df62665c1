"""`quaestor install-service`: unit files that systemd itself finds nothing wrong with, written carefully."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.cluster import QUAESTOR, Cluster, make_cluster

from quaestor_actors.cli.install_service import Service, directory_value, next_steps, quoted, quoted_program, unit_text
from quaestor_actors.core.spec import AgentSpec, ClusterSpec, ShutdownAction, StopSpec
from quaestor_actors.errors import OperationError

VERB = "install-service"
ANALYZE = shutil.which("systemd-analyze")
SYSTEMD = next((path for path in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if Path(path).exists()), None)
OTHER_USER = "daemon"
STRANGE = "a b%c$d\"q'z\\x ${HOME} %n ü;#"


@pytest.fixture
def quaestor(tmp_path: Path) -> Cluster:
    """Return a configured cluster that is never started, and a home of its own."""
    cluster = make_cluster(tmp_path)
    cluster.environment_extra = {"HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": ""}
    return cluster


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """Return a directory that every user may read."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory


BASE = Service(
    name="quaestor-test",
    spec=ClusterSpec(name="test"),
    command=QUAESTOR,
    verb="cluster",
    directory=Path("/etc/quaestor"),
    per_user=False,
)


def settings(text: str) -> dict[str, str]:
    """Return the assignments of a unit file."""
    return dict(re.findall(r"^(\w+)=(.*)$", text, flags=re.MULTILINE))


def install(cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    return cluster.run(VERB, "-c", str(cluster.directory), *arguments)


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("options", [(), ("--user",), ("--run-as", OTHER_USER)], ids=" ".join)
def test__unit__is_verified_by_systemd_without_a_remark(quaestor: Cluster, options: tuple[str, ...]) -> None:
    unit = quaestor.directory / "quaestor-test.service"
    assert install(quaestor, *options, "--output", str(unit)).returncode == 0
    assert ANALYZE is not None
    manager = ["--user"] if "--user" in options else []
    # The user manager's generators want a runtime directory.
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(quaestor.directory)}
    verdict = subprocess.run(
        [ANALYZE, "verify", "--man=no", *manager, unit],
        env=environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (verdict.returncode, verdict.stderr) == (0, "")


def as_systemd_reads_it(unit: Path) -> str:
    """Return systemd's own account of a unit that it would start."""
    assert SYSTEMD is not None
    home = unit.parent / "home"
    home.mkdir()
    other = pwd.getpwnam(OTHER_USER)
    as_root = os.geteuid() == 0  # as which systemd refuses to test
    if as_root:
        os.chown(home, other.pw_uid, other.pw_gid)
    environ = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home), "SYSTEMD_UNIT_PATH": f"{unit.parent}:"}
    answer = subprocess.run(
        [SYSTEMD, "--test", "--user", f"--unit={unit.name}"],
        env=environ,
        user=other.pw_uid if as_root else None,
        group=other.pw_gid if as_root else None,
        extra_groups=[] if as_root else None,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if answer.returncode != 0:
        pytest.skip(f"systemd --test does not work here: {answer.stderr}")
    return answer.stdout


@pytest.mark.skipif(SYSTEMD is None, reason="systemd is not installed")
def test__strange_paths__arrive_as_they_are(open_directory: Path) -> None:
    program = open_directory / "a b%c$d" / "quaestor"
    program.parent.mkdir()
    shutil.copy("/bin/true", program)
    directory = open_directory / (STRANGE + "\\")
    directory.mkdir()
    unit = open_directory / "quaestor-strange.service"
    unit.write_text(unit_text(replace(BASE, command=program, directory=directory, per_user=True)))
    account = as_systemd_reads_it(unit)
    # systemd shows a command as a shell would want it, and `$$` becomes `$` only when it starts it.
    shown = re.search(r"^\s*Command Line: (.*/quaestor.*)$", account, flags=re.MULTILINE)
    assert shown is not None
    escaped = str(directory).replace("$", "$$")
    for character in '\\"$':
        escaped = escaped.replace(character, "\\" + character)
    plain_program = str(program).replace("$", "\\$")
    assert shown[1] == f'"{plain_program}" cluster --configDir "{escaped}"'
    assert f"WorkingDirectory: {directory}\n" in account


def test__quoting__is_only_where_needed() -> None:
    assert quoted("/etc/quaestor") == "/etc/quaestor"
    assert quoted("a b") == '"a b"'
    assert quoted("50%") == '"50%%"'
    assert quoted("$HOME") == '"$$HOME"'
    assert quoted('say "x\\"') == '"say \\"x\\\\\\""'
    assert quoted("") == '""'
    assert quoted_program("/opt/a$b/quaestor") == "/opt/a$b/quaestor"
    assert directory_value("/opt/a b") == "/opt/a b"
    assert directory_value("/opt/a ") == "/opt/a /"
    with pytest.raises(OperationError, match="quotes or backslashes"):
        quoted_program("/opt/it's/quaestor")


def test__unit__keeps_members_alive_and_the_service_going(quaestor: Cluster) -> None:
    answer = install(quaestor, "--output", "-")
    assert answer.returncode == 0
    unit = settings(answer.stdout)
    assert unit["Type"] == "notify"
    assert unit["ExecStart"] == f"{QUAESTOR} cluster --configDir {quaestor.directory}"
    assert unit["KillMode"] == "process"
    assert unit["OOMPolicy"] == "continue"
    assert unit["Restart"] == "on-failure"
    assert unit["RestartPreventExitStatus"] == "2 5"
    assert unit["StartLimitIntervalSec"] == "0"
    # What would hide the members that run on from the next start, or take a member's devices.
    harmful = {"PrivateTmp", "PrivateNetwork", "PrivateUsers", "DynamicUser", "ProtectClock", "DeviceAllow"}
    assert not unit.keys() & harmful
    assert "Next" not in answer.stdout


def test__deadlines__are_longer_than_the_configurations() -> None:
    worker = AgentSpec(
        agent_type="Worker",
        executable="/bin/w",
        startup_deadline_s=300.0,
        shutdown_action=ShutdownAction.KILL,
        stop=StopSpec(drain_s=60.0, deadline_s=120.5),
    )
    unit = settings(unit_text(replace(BASE, spec=ClusterSpec(name="slow", agents=(worker,)))))
    assert int(unit["TimeoutStartSec"]) > 300
    assert int(unit["TimeoutStopSec"]) > 180


def test__members_of_other_users__keep_their_rights() -> None:
    worker = AgentSpec(agent_type="Worker", executable="/bin/w", user="www-data")
    unit = settings(unit_text(replace(BASE, spec=ClusterSpec(name="users", agents=(worker,)))))
    assert "NoNewPrivileges" not in unit
    assert settings(unit_text(BASE))["NoNewPrivileges"] == "yes"


def test__other_user__has_directories_that_survive_a_stop(quaestor: Cluster) -> None:
    unit = settings(install(quaestor, "--run-as", OTHER_USER, "--name", "mine", "--output", "-").stdout)
    assert unit["User"] == OTHER_USER
    assert unit["RuntimeDirectory"] == unit["LogsDirectory"] == "mine"
    assert unit["RuntimeDirectoryPreserve"] == "yes"
    assert unit["Environment"] == "QUAESTOR_RUNTIME_DIR=/run/mine QUAESTOR_LOG_DIR=/var/log/mine"


def test__user_service__goes_where_its_manager_looks(quaestor: Cluster) -> None:
    answer = install(quaestor, "--user")
    path = quaestor.directory / "home" / ".config" / "systemd" / "user" / "quaestor-test.service"
    assert answer.returncode == 0
    assert answer.stdout.splitlines()[:4] == [
        f"{path}: written",
        "Next:",
        "  systemctl --user daemon-reload",
        "  systemctl --user enable --now quaestor-test",
    ]
    assert "loginctl enable-linger" in answer.stdout
    assert settings(path.read_text())["WantedBy"] == "default.target"
    assert "User=" not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(path.parent.iterdir()) == [path]


def test__system_service__goes_where_systemd_looks() -> None:
    steps = next_steps(BASE, Path("/etc/systemd/system/quaestor-test.service"))
    assert steps[:2] == ["systemctl daemon-reload", "systemctl enable --now quaestor-test"]
    copied = next_steps(BASE, Path("/tmp/my units/x.service"))  # noqa: S108 - a path in a text, nothing is there
    assert copied[0] == "install -D -m 644 '/tmp/my units/x.service' /etc/systemd/system/quaestor-test.service"


def test__different_file__is_replaced_only_by_force(quaestor: Cluster) -> None:
    unit = quaestor.directory / "x.service"
    unit.write_text("[Unit]\nDescription=precious\n")
    answer = install(quaestor, "--output", str(unit))
    assert answer.returncode == 5
    assert f"{unit} exists and is different" in answer.stderr
    assert "--force" in answer.stderr
    assert "precious" in unit.read_text()
    assert install(quaestor, "--output", str(unit), "--force").returncode == 0
    assert "precious" not in unit.read_text()
    again = install(quaestor, "--output", str(unit))
    assert (again.returncode, again.stdout.splitlines()[0]) == (0, f"{unit}: is up to date")


def test__masked_unit__is_not_unmasked_by_accident(quaestor: Cluster) -> None:
    unit = quaestor.directory / "x.service"
    unit.symlink_to("/dev/null")
    assert install(quaestor, "--output", str(unit)).returncode == 5
    assert install(quaestor, "--output", str(unit), "--force").returncode == 0
    assert not unit.is_symlink()


@pytest.mark.parametrize("place", ["", "quaestor.cluster.config.yml/x.service"], ids=["folder", "below a file"])
def test__unwritable_place__is_one_message(quaestor: Cluster, place: str) -> None:
    answer = install(quaestor, "--force", "--output", str(quaestor.directory / place))
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1].startswith("quaestor: cannot write ")
    assert "Traceback" not in answer.stderr
    assert not list(quaestor.directory.glob(".*"))


def test__balancer_alone__is_a_service_too(quaestor: Cluster) -> None:
    (quaestor.directory / "quaestor.cluster.config.yml").unlink()
    unit = settings(install(quaestor, "--output", "-").stdout)
    assert unit["ExecStart"].startswith(f"{QUAESTOR} load-balancer --configDir ")


def test__bad_configuration__exits_2_and_writes_nothing(quaestor: Cluster) -> None:
    quaestor.configure(agent_extra="    processCuont: 4\n")
    answer = install(quaestor, "--user")
    assert answer.returncode == 2
    assert "unknown key" in answer.stderr
    assert not (quaestor.directory / "home").exists()


def test__executable__must_be_found_with_the_services_path(quaestor: Cluster) -> None:
    file = quaestor.directory / "quaestor.cluster.config.yml"
    file.write_text(re.sub(r"executablePath: .*", "executablePath: only-here", file.read_text()))
    programs = quaestor.directory / "bin"
    programs.mkdir()
    shutil.copy("/bin/true", programs / "only-here")
    quaestor.environment_extra["PATH"] = f"{programs}:{os.environ['PATH']}"
    assert quaestor.run("check", "-c", str(quaestor.directory)).returncode == 0
    answer = install(quaestor, "--output", "-")
    assert answer.returncode == 2
    assert "only-here" in answer.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--name", "a/b"), "letters, digits"),
        (("--name", "template@"), "letters, digits"),
        (("--run-as", "nobody-of-that-name"), "there is no user nobody-of-that-name"),
        (("--run-as", OTHER_USER, "--user"), "--run-as is for system services"),
    ],
)
def test__wrong_usage__exits_2(quaestor: Cluster, options: tuple[str, ...], words: str) -> None:
    answer = install(quaestor, *options, "--output", "-")
    assert answer.returncode == 2
    assert words in answer.stderr
    assert answer.stdout == ""


def test__folder_that_others_can_change__is_warned_of(quaestor: Cluster) -> None:
    quaestor.directory.chmod(0o777)
    answer = install(quaestor, "--output", "-")
    assert answer.returncode == 0
    assert "can be changed by others" in answer.stderr
    assert "can be changed" not in install(quaestor, "--user", "--output", "-").stderr
