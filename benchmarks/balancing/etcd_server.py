"""One etcd on loopback, started with the arguments that quaestor itself starts it with."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from measure.follower import DeadlineError

from balancing.deployed_balancer import HOST_NAME, free_port
from quaestor_actors.config.executable import find_etcd
from quaestor_actors.core.etcd_flags import EtcdListener, EtcdMember, etcd_arguments

_START_DEADLINE_S = 20.0
_END_DEADLINE_S = 5.0
_ASK_DEADLINE_S = 0.2
_PAUSE_S = 0.05


@contextmanager
def etcd_server(directory: Path) -> Iterator[int]:
    """Run an etcd of one member with its data in the directory; yields its port.

    Raises:
        OSError: There is no etcd.
        DeadlineError: It does not serve in time.
    """
    program = find_etcd(search_path=os.environ.get("PATH", os.defpath))
    if program is None:
        raise FileNotFoundError("there is no etcd: pip install 'quaestor-actors[etcd]'")
    clients, peers = free_port(), free_port()
    member = EtcdMember(
        clients=EtcdListener(host=HOST_NAME, address=HOST_NAME, port=clients),
        peers=EtcdListener(host=HOST_NAME, address=HOST_NAME, port=peers),
        hosts=(HOST_NAME,),
        data_directory=str(directory / "data"),
        token="benchmark",  # noqa: S106 - no secret: it tells one cluster from another
    )
    with (directory / "log").open("wb") as log:
        etcd = subprocess.Popen([program, *etcd_arguments(member)], stdout=log, stderr=log, start_new_session=True)
    try:
        _await(f"http://{HOST_NAME}:{clients}/health", etcd)
        yield clients
    finally:
        etcd.terminate()
        try:
            etcd.wait(_END_DEADLINE_S)
        except subprocess.TimeoutExpired:
            etcd.kill()
            etcd.wait()


def _await(page: str, etcd: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_DEADLINE_S
    while time.monotonic() < deadline and etcd.poll() is None:
        with suppress(OSError), urllib.request.urlopen(page, timeout=_ASK_DEADLINE_S) as answer:  # noqa: S310 - plain http
            if b'"true"' in answer.read():
                return
        time.sleep(_PAUSE_S)
    raise DeadlineError("etcd does not serve")
