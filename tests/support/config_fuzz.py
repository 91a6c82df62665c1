"""What holds for every configuration, whatever its files hold; and the spoilt ones to try it on."""

from __future__ import annotations

import json
import pickle
import re
import shlex
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest
from hypothesis import strategies as st
from support.config_fuzz_documents import documents, written
from support.config_fuzz_mutations import BYTE_MUTATIONS, MUTATIONS

from quaestor_actors.config import (
    CLUSTER_FILE,
    LOAD_BALANCER_FILE,
    LoadedCluster,
    hosts,
    load_balancer,
    load_cluster,
    managed_etcd,
)
from quaestor_actors.config import balancer as balancer_reader
from quaestor_actors.core import cluster, group
from quaestor_actors.core.plan import Plan, diff
from quaestor_actors.core.rules import fingerprints, registered_as, registrations_of, rules_of
from quaestor_actors.core.spec import COOKIE_VARIABLE, AgentSpec, ClusterSpec
from quaestor_actors.core.user_actor import actors_here, hosts_of
from quaestor_actors.errors import ConfigError, ConfigFault

MOST_SECONDS = 1.0
"""Of processor time for one configuration; usual ones take a hundredth of it."""

MOST_MEMORY = 150_000_000
"""By how many bytes this process may grow over all examples of a test."""

ENVIRON = {"PATH": "/bin", COOKIE_VARIABLE: "0" * 64}

MOST_FINGERPRINTS = 100
"""How many members are looked at one by one."""

SEEDS = st.integers(0, 2**32 - 1)
STEPS = st.lists(st.tuples(st.sampled_from(sorted(MUTATIONS)), SEEDS), max_size=4)
BYTE_STEPS = st.lists(st.tuples(st.sampled_from(sorted(BYTE_MUTATIONS)), SEEDS), min_size=1, max_size=3)


def spoilt(seed: int, steps: list[tuple[str, int]]) -> tuple[bytes, bytes]:
    """Return the two files of a configuration, after these mutations of one of them or the other."""
    chance = Random(seed)
    trees = documents(chance)
    for name, step_seed in steps:
        step_chance = Random(step_seed)
        MUTATIONS[name](trees[step_chance.random() < 0.35], step_chance)
    first, second = (written(tree, chance).encode("utf-8", errors="surrogatepass") for tree in trees)
    return first, second


def spoilt_bytes(raw: bytes, steps: list[tuple[str, int]]) -> bytes:
    """Return a file after these mutations of its bytes."""
    for name, step_seed in steps:
        raw = BYTE_MUTATIONS[name](raw, Random(step_seed))
    return raw


@contextmanager
def alone() -> Iterator[None]:
    """Let no made-up host be asked for, and no made-up class start a process, and this be the host 10.0.0.1."""

    def unknown(host: str, *_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, f"{host} is nobody")

    def untried(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        if command[-1].endswith("actor_class"):
            return subprocess.CompletedProcess(command, 0, stdout=b'{"requires": []}')
        return subprocess.CompletedProcess(command, 1, stderr=b"there is no such ranking\n")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", unknown)
        patch.setattr(balancer_reader.subprocess, "run", untried)
        for reader in (managed_etcd, hosts):
            patch.setattr(reader, "local_addresses", lambda: ("10.0.0.1", "127.0.0.1"))
        yield


class Loading:
    """A folder in which one configuration after the other is loaded; afterwards nothing else may be in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.usable = 0
        """How many were without faults."""
        self.faults = 0
        """How many were not."""
        self.last_faults: tuple[ConfigFault, ...] = ()

    def check(self, cluster_file: bytes, balancer_file: bytes, *, alone: bool = False) -> None:
        """Load a cluster, or a balancer alone; assert that a usable specification comes out, or located faults."""
        contents = {CLUSTER_FILE: cluster_file, LOAD_BALANCER_FILE: balancer_file}
        for name, content in contents.items():
            (self._folder / name).write_bytes(content)
        load = load_balancer if alone else load_cluster
        started = time.process_time()
        try:
            loaded = load(self._folder, environ=ENVIRON)
        except ConfigError as error:
            taken_s = time.process_time() - started
            self._check_faults(error, contents)
            self.faults += 1
            self.last_faults = error.faults
        else:
            taken_s = time.process_time() - started
            self.usable += 1
            assert load(self._folder, environ=ENVIRON) == loaded
            check_loaded(loaded)
        assert taken_s < MOST_SECONDS

    def _check_faults(self, error: ConfigError, contents: dict[str, bytes]) -> None:
        assert error.faults
        assert pickle.loads(pickle.dumps(error)).faults == error.faults  # noqa: S301 - just pickled
        for fault in error.faults:
            assert Path(fault.file).parent == self._folder
            check_fault(fault, contents[Path(fault.file).name])

    def check_untouched(self) -> None:
        """Assert that loading has written nothing."""
        assert {file.name for file in self._folder.iterdir()} == {CLUSTER_FILE, LOAD_BALANCER_FILE}


@contextmanager
def loading() -> Iterator[Loading]:
    """Yield a folder to load in; assert at the end that nothing was written and the memory has not grown."""
    with tempfile.TemporaryDirectory() as name, alone():
        before = psutil.Process().memory_info().rss
        loading = Loading(Path(name))
        yield loading
        loading.check_untouched()
        assert psutil.Process().memory_info().rss - before < MOST_MEMORY


def check_fault(fault: ConfigFault, content: bytes) -> None:
    """Assert that a fault is one line of text, and about a place inside the file or about the whole of it."""
    assert fault.message.strip()
    assert str(fault).isprintable()
    str(fault).encode()
    lines = re.split("\r\n|\r|\n", content.decode("utf-8", errors="replace"))
    if fault.line == 0:
        assert fault.column == 0
    else:
        assert 1 <= fault.line <= len(lines)
        assert 1 <= fault.column <= len(lines[fault.line - 1]) + 1


def check_loaded(loaded: LoadedCluster) -> None:
    """Assert that everything that follows from a specification can be had, and that it is equal to itself."""
    spec = loaded.spec
    assert all(line.isprintable() for line in loaded.warnings)
    # Messages carry it from process to process.
    assert pickle.loads(pickle.dumps(spec)) == spec  # noqa: S301 - just pickled
    assert diff(spec, spec) == Plan()
    assert spec.host in {"", *(each.name for each in spec.hosts)}
    here = actors_here(spec)
    assert set(cluster.create(spec).agents) == {*(agent.agent_type for agent in spec.agents), *here}
    assert len({name.lower() for name in cluster.create(spec).agents}) == len(spec.agents) + len(here)
    for actor in spec.actors:
        assert not spec.hosts or hosts_of(actor, spec.hosts)
        assert json.loads(json.dumps(actor.settings)) == actor.settings
    for agent in (*spec.agents, *spec.static_agents):
        _check_agent(agent, spec)
    for store in spec.stores:
        assert store.endpoints
        assert all(host and 0 < port < 2**16 for host, port in store.endpoints)


def _check_agent(agent: AgentSpec, spec: ClusterSpec) -> None:
    rules: Any = rules_of(agent, spec, processors=2)
    assert rules.start_concurrency > 0
    assert rules.backoff.delay_s(100, 0.5) >= 0
    assert not agent.ports or agent.process_count in {0, len(agent.ports)}
    for port in agent.ports or (5161,):
        assert len(registrations_of(agent, port, 1)) in {0, len(agent.service_names)}
    hash(registered_as(agent))
    shlex.split(agent.arguments)
    if agent.process_count <= MOST_FINGERPRINTS:
        members = 0 if agent.floating is not None else agent.process_count
        assert len(group.create(fingerprints(agent)).members) == members
