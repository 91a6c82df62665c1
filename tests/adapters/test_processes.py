"""Members' processes, with real ones."""

from __future__ import annotations

import json
import os
import pwd
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.waiting import wait_until

from quaestor_actors.adapters import processes
from quaestor_actors.adapters.processes import Ending, WatchedProcess
from quaestor_actors.core.process_id import ProcessId
from quaestor_actors.core.spec import AgentSpec
from quaestor_actors.errors import SpawnError


class Nursery:
    """Starts shell scripts as members, and ends what is left of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "member.log"
        self.started: list[int] = []

    def spawn(self, script: str, *, arguments: str = "", port: int | None = 5161, member: str = "m") -> WatchedProcess:
        path = self.folder / "script"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)
        spec = AgentSpec(agent_type="Worker", executable=str(path), arguments=arguments, environment=(("OWN", "yes"),))
        watched = processes.spawn(spec, member=member, port=port, environment=dict(os.environ), log_path=self.log)
        self.started.append(watched.process.pid)
        return watched

    def end(self) -> None:
        for pid in self.started:
            if psutil.pid_exists(pid):
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    made = Nursery(tmp_path)
    yield made
    made.end()


AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start processes as somebody else")
FORKS = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
"""Limits need a fork, about which Python warns when the test runner has threads; a supervisor has none."""
NOBODY = pwd.getpwnam("nobody")
SHELL = AgentSpec(agent_type="Worker", executable="/bin/sh")
SLEEP = AgentSpec(agent_type="Worker", executable="/bin/sleep", arguments="1000")


def ending(watched: WatchedProcess) -> Ending:
    assert processes.wait(watched, timeout_s=10)
    return processes.reap(watched)


def ended(watched: WatchedProcess) -> str:
    return ending(watched).reason


def belongings() -> set[str]:
    """What this process has of descriptors and children."""
    children = {f"child {child.pid}" for child in psutil.Process().children()}
    return children | {path.name for path in Path("/proc/self/fd").iterdir()}


def output_of(spec: AgentSpec, folder: Path, **environment: str) -> list[str]:
    log = folder / "member.log"
    watched = processes.spawn(spec, member="m", port=None, environment=environment, log_path=log)
    assert ended(watched) == "exited with code 0", log.read_text()
    return log.read_text().splitlines()


def fault_of(spec: AgentSpec, folder: Path) -> str:
    """Try to start a member in vain; return the sentence. Nothing may be left behind."""
    before = belongings()
    with pytest.raises(SpawnError) as caught:
        processes.spawn(spec, member="m", port=None, environment={}, log_path=folder / "member.log")
    # What earlier tests had open in this process may still be closing.
    wait_until(lambda: belongings() <= before, what="nothing to be left behind")
    return str(caught.value)


def test__spawn__has_its_own_session_output_and_environment(nursery: Nursery) -> None:
    watched = nursery.spawn(
        'echo "$1 $2 $OWN $QUAESTOR_MEMBER"; echo trouble >&2', arguments="{Port} 'at {HostName}'", member="me 7"
    )
    assert os.getsid(watched.process.pid) == watched.process.pid
    assert ended(watched) == "exited with code 0"
    assert nursery.log.read_text() == "5161 at localhost yes me 7\ntrouble\n"


def test__python_file_without_x_bit__is_run_by_this_python(tmp_path: Path) -> None:
    script = tmp_path / "service.py"
    script.write_text("")
    spec = AgentSpec(agent_type="Worker", executable=str(script), arguments="a 'b c'")
    assert processes.command_line(spec, 1) == [sys.executable, str(script), "a", "b c"]
    script.chmod(0o700)
    assert processes.command_line(spec, 1)[0] == str(script)


def test__file_that_nobody_may_execute__is_named_with_the_reason(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch(mode=0o600)
    spec = AgentSpec(agent_type="Worker", executable=str(plain))
    with pytest.raises(SpawnError, match="plain: Permission denied"):
        processes.spawn(spec, member="m", port=None, environment={}, log_path=tmp_path / "log")


def test__end__makes_the_descriptor_readable(nursery: Nursery) -> None:
    watched = nursery.spawn("read forever")
    assert ended(watched) == "exited with code 1"
    lasting = nursery.spawn("exec sleep 1000")
    assert not select.select([lasting.pidfd], [], [], 0)[0]
    processes.signal_group(lasting, signal.SIGKILL)
    assert ended(lasting) == "killed by SIGKILL"


@pytest.mark.parametrize(
    ("script", "reason", "normal"),
    [
        ("exit 0", "exited with code 0", True),
        ("exit 42", "exited with code 42", False),
        ("kill -ABRT $$", "killed by SIGABRT", False),
        ("kill -40 $$", "killed by signal 40", False),
    ],
)
def test__ending__is_told(nursery: Nursery, script: str, reason: str, normal: bool) -> None:  # noqa: FBT001 - a parameter of the table
    assert ending(nursery.spawn(script)) == Ending(reason=reason, normal=normal)


def test__reap__ends_what_is_left_of_the_group(nursery: Nursery) -> None:
    watched = nursery.spawn("trap '' TERM; sleep 1000 & echo $!")
    assert processes.wait(watched, timeout_s=10)
    grandchild = int(wait_until(nursery.log.read_text, what="the grandchild's pid"))
    assert psutil.pid_exists(grandchild)
    processes.reap(watched)
    wait_until(lambda: processes.start_ticks(grandchild) is None, what="the grandchild to end")


def test__watch__of_the_same_process_only(nursery: Nursery) -> None:
    watched = nursery.spawn("exec sleep 1000")
    again = processes.watch(watched.process)
    assert again is not None
    processes.forget(again)
    other = ProcessId(pid=watched.process.pid, start_ticks=watched.process.start_ticks + 1)
    assert processes.watch(other) is None
    processes.signal_group(watched, signal.SIGKILL)
    assert processes.wait(watched, timeout_s=10)
    assert processes.watch(watched.process) is None, "a zombie is no live process"
    processes.reap(watched)
    assert processes.watch(watched.process) is None


def test__signal__to_an_ended_group__does_nothing(nursery: Nursery) -> None:
    watched = nursery.spawn("exit 0")
    assert processes.wait(watched, timeout_s=10)
    processes.signal_group(watched, signal.SIGTERM)
    assert ended(watched) == "exited with code 0"


def test__find_tagged__finds_the_session_leader(nursery: Nursery) -> None:
    watched = nursery.spawn("sleep 1000 & wait", member="state Worker/1 3")
    found = wait_until(lambda: processes.find_tagged("state "), what="the member")
    assert found == {watched.process: "Worker/1 3"}
    assert processes.is_tagged(watched.process, "state Worker/1 ")
    assert not processes.is_tagged(watched.process, "state Worker/2 ")
    assert not processes.find_tagged("other ")


def test__find_tagged__of_an_ended_leader__does_not_take_its_child_for_it(nursery: Nursery) -> None:
    watched = nursery.spawn("sleep 1000 & echo $!", member="left Worker/1 3")
    assert processes.wait(watched, timeout_s=10)
    grandchild = int(nursery.log.read_text())
    assert processes.start_ticks(grandchild) is not None
    assert not processes.find_tagged("left ")
    processes.reap(watched)


ADOPTED = """
import json, pathlib, sys
from quaestor_actors.adapters import processes
from quaestor_actors.core.spec import AgentSpec
spec = AgentSpec(agent_type="Worker", executable="/bin/sh", arguments=sys.argv[1])
watched = processes.spawn(spec, member="m", port=None, environment={}, log_path=pathlib.Path(sys.argv[2]))
print(json.dumps([watched.process.pid, watched.process.start_ticks]))
"""


def test__adopted_process__its_end_is_not_normal_and_its_group_is_ended(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = "-c 'sleep 1000 & echo $!; trap \"exit 0\" TERM; wait'"
    command = [sys.executable, "-c", ADOPTED, script, str(log)]
    pid, ticks = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=20).stdout)
    adopted = processes.watch(ProcessId(pid=pid, start_ticks=ticks))
    assert adopted is not None
    grandchild = int(wait_until(lambda: log.exists() and log.read_text(), what="the grandchild's pid"))
    assert processes.start_ticks(grandchild) is not None
    os.kill(pid, signal.SIGTERM)
    assert ending(adopted) == Ending(
        reason="ended (exit status unknown: an earlier supervisor had started it)", normal=False
    )
    wait_until(lambda: processes.start_ticks(grandchild) is None, what="the grandchild to end")


def test__rss__of_live_and_ended_processes(nursery: Nursery) -> None:
    watched = nursery.spawn("exec sleep 1000")
    pid = watched.process.pid
    # A program that has just been started has a page or two.
    wait_until(lambda: 100_000 < (processes.rss_bytes(pid) or 0) < 100_000_000, what="memory")
    processes.signal_group(watched, signal.SIGKILL)
    assert processes.wait(watched, timeout_s=10)
    assert processes.rss_bytes(pid) is None, "a zombie has no memory"
    processes.reap(watched)
    assert processes.rss_bytes(pid) is None


def test__signal_group__takes_any_signal(nursery: Nursery) -> None:
    watched = nursery.spawn("trap 'exit 7' USR1; echo ready; while :; do sleep 1000 & wait; done")
    wait_until(nursery.log.read_text, what="the trap")
    processes.signal_group(watched, signal.SIGUSR1)
    assert ended(watched) == "exited with code 7"


def test__spawn__inherits_no_descriptor_of_ours(nursery: Nursery) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)  # noqa: FBT003 - positional only
    processes._keep_descriptors_private.cache_clear()
    nursery.spawn("exec sleep 1000")
    os.close(writer)
    assert select.select([reader], [], [], 10)[0], "nobody else has the other end"
    os.close(reader)


def test__spawn__many__leaves_no_descriptor(tmp_path: Path) -> None:
    before = belongings()
    for _ in range(20):
        output_of(replace(SLEEP, arguments="0"), tmp_path)
    wait_until(lambda: belongings() <= before, what="nothing to be left behind")


def test__spawn__log_is_private_and_appended_to(tmp_path: Path) -> None:
    spec = AgentSpec(agent_type="Worker", executable="/bin/echo", arguments="line")
    assert output_of(spec, tmp_path) == ["line"]
    assert output_of(spec, tmp_path) == ["line", "line"]
    assert (tmp_path / "member.log").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("descriptor", [0, 1, 2])
def test__spawn__without_standard_descriptors__gives_the_member_its_own(tmp_path: Path, descriptor: int) -> None:
    log = tmp_path / "log"
    code = f"import os\nos.close({descriptor})\n{ADOPTED.replace('print', 'str')}\nprocesses.wait(watched, timeout_s=9)"
    script = "-c 'echo out; echo err >&2; cat'"
    subprocess.run([sys.executable, "-c", code, script, str(log)], check=True, timeout=20)
    assert log.read_text() == "out\nerr\n"


def test__working_directory_and_umask__are_the_members_own(tmp_path: Path) -> None:
    folder = tmp_path / "own folder"
    folder.mkdir()
    spec = replace(SHELL, arguments="-c 'pwd; umask'")
    own = replace(spec, working_directory=str(folder), umask=0o027)
    assert output_of(own, tmp_path) == [str(folder), "0027"]
    assert output_of(spec, folder)[0] == str(Path.cwd())


@FORKS
def test__rlimits__are_set_before_the_program_starts__soft_and_hard(tmp_path: Path) -> None:
    spec = replace(SHELL, arguments="-c 'ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Hc'")
    own = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert output_of(replace(spec, rlimits=(("nofile", 77), ("core", 0))), tmp_path) == ["77", "77", "0", "0"]
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == own


@AS_ROOT
@FORKS
@pytest.mark.parametrize("rlimits", [(), (("nofile", 99),)], ids=["alone", "with limits"])
@pytest.mark.parametrize("user", ["nobody", str(NOBODY.pw_uid)])
def test__user__with_all_groups_and_no_way_back(
    tmp_path: Path, user: str, rlimits: tuple[tuple[str, int], ...]
) -> None:
    status = replace(
        SHELL, user=user, rlimits=rlimits, arguments="-c 'grep -E \"Uid|Gid|Groups|CapEff\" /proc/self/status'"
    )
    uid, gid, groups, capabilities = output_of(status, tmp_path)
    assert uid.split()[1:] == [str(NOBODY.pw_uid)] * 4
    assert gid.split()[1:] == [str(NOBODY.pw_gid)] * 4
    expected = {str(group) for group in os.getgrouplist("nobody", NOBODY.pw_gid)}
    assert set(groups.split()[1:]) == expected
    assert int(capabilities.split()[1], 16) == 0


@AS_ROOT
def test__user__has_its_variables__unless_the_agent_sets_them(tmp_path: Path) -> None:
    spec = AgentSpec(agent_type="Worker", executable="/usr/bin/env", user="nobody", environment=(("HOME", "/own"),))
    variables = dict(line.split("=", 1) for line in output_of(spec, tmp_path, HOME="/root", USER="root", TERM="dumb"))
    assert variables == {
        "HOME": "/own",
        "USER": "nobody",
        "LOGNAME": "nobody",
        "SHELL": NOBODY.pw_shell,
        "TERM": "dumb",
        "QUAESTOR_MEMBER": "m",
    }


def test__own_user__needs_no_privilege(tmp_path: Path) -> None:
    own = pwd.getpwuid(os.geteuid())
    spec = AgentSpec(agent_type="Worker", executable="/usr/bin/env", user=own.pw_name)
    assert f"HOME={own.pw_dir}" in output_of(spec, tmp_path, HOME="/elsewhere")


@FORKS
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"executable": None}, "agent Worker has no executable; set executablePath"),
        ({"executable": "/gone"}, "agent Worker cannot start /gone: No such file or directory; install it"),
        ({"executable": "/etc"}, "agent Worker cannot start /etc: Permission denied; this user must be allowed"),
        ({"arguments": "'"}, "agent Worker cannot start /bin/sleep: No closing quotation; check its arguments"),
        ({"environment": (("A=B", "C"),)}, "illegal environment variable name; check its arguments and environment"),
        ({"arguments": "x" * 200_000}, "Argument list too long; shorten"),
        ({"working_directory": "/gone"}, "cannot start /bin/sleep: its working directory /gone is no folder"),
        ({"working_directory": "/etc/passwd"}, "its working directory /etc/passwd is no folder"),
        ({"working_directory": "/", "executable": "/gone"}, "cannot start /gone: No such file"),
        ({"user": "no such user"}, "agent Worker: there is no user 'no such user' on this machine; create it"),
        ({"user": "99999999999999999999"}, "there is no user '99999999999999999999'"),
        ({"user": "nul\0"}, "there is no user"),
        ({"rlimits": (("nofile", 2**62),)}, f"its limit nofile: {2**62} is above the hard limit"),
        ({"rlimits": (("nofile", -1),)}, "its limit nofile: unlimited is above the hard limit"),
        ({"rlimits": (("nofile", 50),), "executable": "/gone"}, "cannot start /gone: No such file"),
    ],
)
def test__what_cannot_be_started__is_told_with_the_remedy(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    assert sentence in fault_of(replace(SLEEP, **change), tmp_path)


@AS_ROOT
def test__program_that_the_user_may_not_execute__is_told(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    spec = AgentSpec(agent_type="Worker", executable=str(program), user="nobody")
    assert f"{program}: Permission denied; nobody must be allowed to execute it" in fault_of(spec, tmp_path)


def test__script_with_no_interpreter_or_a_missing_one__is_told(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("echo no first line\n")
    script.chmod(0o700)
    spec = AgentSpec(agent_type="Worker", executable=str(script))
    assert "Exec format error; its first line must be `#!`" in fault_of(spec, tmp_path)
    script.write_text("#!/no/such/interpreter\n")
    assert "No such file or directory; it exists, so its link or the interpreter" in fault_of(spec, tmp_path)


def test__log_that_cannot_be_written__is_told(tmp_path: Path) -> None:
    (tmp_path / "member.log").symlink_to("/dev/null")
    assert "member.log: Too many levels of symbolic links; the folder must exist" in fault_of(SLEEP, tmp_path)
    assert "gone/member.log: No such file or directory; the folder must exist" in fault_of(SLEEP, tmp_path / "gone")


BECOME_NOBODY = """
import os, pathlib, sys
from quaestor_actors.adapters import processes
from quaestor_actors.core.spec import AgentSpec
from quaestor_actors.errors import SpawnError
os.setuid(int(sys.argv[1]))
spec = AgentSpec(agent_type="Worker", executable="/bin/true", user="root")
try:
    processes.spawn(spec, member="m", port=None, environment={}, log_path=pathlib.Path("/dev/null"))
except SpawnError as error:
    print(error)
"""


@AS_ROOT
def test__another_user__without_being_root__is_told() -> None:
    command = [sys.executable, "-c", BECOME_NOBODY, str(NOBODY.pw_uid)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout
    assert told == "agent Worker: only root can start members as root; run the cluster as root, or remove `user`\n"
