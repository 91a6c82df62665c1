"""An actor system that does not answer in time is not left beside the next one."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import NoReturn

import psutil
import pytest
from support.processes import is_alive
from support.waiting import wait_until

from quaestor_actors.core.spec import ClusterSpec
from quaestor_actors.errors import OperationError
from quaestor_actors.system import base
from quaestor_actors.system.guardian import Guardian, Report

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def test__actor_system_does_not_answer_in_time__is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = Report(changed=lambda _: None, said=lambda _: None, reloaded=lambda _spec, _plan: None)
    environ = {"QUAESTOR_RUNTIME_DIR": str(tmp_path / "run"), "XDG_STATE_HOME": str(tmp_path / "state")}
    guardian = Guardian(ClusterSpec(name="late"), environ=environ, report=report)
    started: list[psutil.Process] = []

    def start_system(_port: int, **_others: object) -> NoReturn:
        pid = os.fork()
        if pid == 0:
            guardian._admins.sign_in()
            signal.pause()
            os._exit(0)
        started.append(psutil.Process(pid))
        wait_until(lambda: guardian._admins.process is not None, what="the administrator to sign in")
        raise OperationError("it did not answer")

    monkeypatch.setattr(base, "start_system", start_system)
    with pytest.raises(OperationError, match="it did not answer"):
        guardian._start_system(1)
    wait_until(lambda: not is_alive(started[0]), what="its end")
    os.waitpid(started[0].pid, 0)
