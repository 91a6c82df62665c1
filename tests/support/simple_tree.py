"""A whole cluster in one process: real actors on a fake clock, fake processes, a guardian, operators and bad luck."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.simple_system import SimpleSystem, member_of

from quaestor_actors.actors.agent_messages import Command
from quaestor_actors.actors.base import Identity, Stop, Stopped
from quaestor_actors.actors.root import RootSupervisor
from quaestor_actors.actors.root_messages import CommandRequest, Reload, StartRoot
from quaestor_actors.actors.status_messages import StatusReply, StatusRequest
from quaestor_actors.actors.view import MemberView, TreeView
from quaestor_actors.core.location import Registration
from quaestor_actors.core.spec import AgentSpec, BalancerSpec, ClusterSpec, ShutdownAction
from quaestor_actors.testing.processes import FakeProcess

FIRST_PORT = 5001
MOST_STEPS = 20_000
"""More at one moment, and the actors would never come to rest."""


class SimpleTree(SimpleSystem):
    """The root and all below it, and a guardian that starts a root again that was lost."""

    def __init__(self, folder: Path, spec: ClusterSpec, *, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.spec = spec
        self.folder = folder
        self.incarnation = 0
        self._requests = 0
        for name in ("agents", "logs"):
            (folder / name).mkdir()
        self._start_root()

    def _start_root(self) -> None:
        self.incarnation += 1
        self.root = self.create(RootSupervisor)
        self.send(
            self.root,
            StartRoot(
                identity=Identity(cluster=self.spec.name, name="root", incarnation=self.incarnation),
                spec=self.spec,
                environment=(),
                state_directory=self.folder / "agents",
                log_directory=self.folder / "logs",
            ),
        )

    # What is there

    @property
    def has_stopped(self) -> bool:
        return any(isinstance(message, Stopped) for message in self.heard)

    @property
    def members(self) -> dict[str, list[FakeProcess]]:
        """All live processes that say they are members, by member."""
        found: dict[str, list[FakeProcess]] = {}
        for process in self.processes.alive:
            if process.tag:
                found.setdefault(member_of(process), []).append(process)
        return found

    def member(self, name: str) -> FakeProcess:
        (process,) = self.members[name]
        return process

    @property
    def discoverable(self) -> dict[int, Registration]:
        """What the newest balancer would hand out, by port."""
        return {location.port: each for location, each in self.world.balancers[-1].known.items()}

    @property
    def pids(self) -> dict[str, int]:
        """The pid of each member that has a process, of which it may have only one."""
        return {name: process.pid for name, (process,) in self.members.items()}

    @property
    def states(self) -> dict[str, str]:
        """What status says of each member."""
        return {each.member: each.state for each in self.status().members}

    def starts_of(self, member: str) -> list[FakeProcess]:
        """Return every process that was ever started for a member."""
        return [each for each in self.spawned if member_of(each) == member]

    # What people do

    def status(self) -> TreeView:
        """Ask until a root lives long enough to answer."""
        while True:
            self._requests += 1
            self.send(self.root, StatusRequest(request_id=str(self._requests)))
            self.settle()
            for message in self.heard:
                if isinstance(message, StatusReply) and message.request_id == str(self._requests):
                    return message.tree

    def shown(self, name: str) -> MemberView:
        """Return what status says of a member."""
        return next(each for each in self.status().members if each.member == name)

    def command(self, command: Command, *selectors: str) -> None:
        self._requests += 1
        self.send(self.root, CommandRequest(request_id=str(self._requests), command=command, selectors=selectors))
        self.settle()

    def reload(self, spec: ClusterSpec) -> None:
        self.spec = spec
        self.send(self.root, Reload(spec=spec))
        self.settle()

    def stop(self, *, force: bool = False) -> None:
        self.send(self.root, Stop(force=force))
        self.settle()

    # What happens

    def kill(self, name: str) -> None:
        """End an actor, and all below it, between two messages."""
        self.processes.send(self.process_of_actor(name), signal.SIGKILL)
        self.bury_the_dead()

    def hang(self, process: FakeProcess) -> None:
        """Stop a process as SIGSTOP does. An actor handles nothing then."""
        self.processes.send(process, signal.SIGSTOP)
        self.world.hung_at[process.start_ticks] = self.clock.now()

    def go_on(self, process: FakeProcess) -> None:
        self.processes.send(process, signal.SIGCONT)

    def pass_time(self, seconds: float) -> None:
        """Let time pass; everything that is due on the way happens when it is due."""
        self.settle()
        patience_s = self.spec.heartbeat_interval_s + self.spec.response_timeout_s
        for process in self.processes.alive:
            if process.hangs:
                self.clock.timer().set(self.world.hung_at[process.start_ticks] + patience_s)
        self.clock.advance(seconds, at_due=self.settle)
        self.settle()

    def jump(self, seconds: float) -> None:
        """Let the machine sleep so long."""
        self.clock.jump(seconds)
        self.settle()

    def settle(self) -> None:
        """Let everything happen that needs no time."""
        before = self.steps
        while True:
            self.world.look()
            if not self.step():
                return
            while self.step():
                assert self.steps - before < MOST_STEPS, "the actors do not come to rest"

    def step(self) -> bool:
        """Let one thing happen; the guardian starts a lost root again."""
        happened = super().step()
        if not self.lives(self.root) and not self.has_stopped:
            self._start_root()
            return True
        return happened


def agent(agent_type: str = "Worker", *, count: int = 2, first_port: int = FIRST_PORT, **changes: Any) -> AgentSpec:
    """Return an agent whose members listen on ports from the first one on, and are ended with the cluster."""
    defaults: dict[str, Any] = {
        "executable": "/bin/service",
        "process_count": count,
        "ports": tuple(range(first_port, first_port + count)),
        "service_names": (agent_type,),
        "shutdown_action": ShutdownAction.KILL,
    }
    return AgentSpec(agent_type=agent_type, **(defaults | changes))


def cluster(*agents: AgentSpec, **changes: Any) -> ClusterSpec:
    """Return a cluster of these agents with a balancer."""
    return ClusterSpec(name="hello", agents=agents, balancer=BalancerSpec(), **changes)


@contextmanager
def simple_tree(folder: Path, spec: ClusterSpec, *, seed: int = 0) -> Iterator[SimpleTree]:
    """Run a cluster in this process until the block ends."""
    tree = SimpleTree(folder, spec, seed=seed)
    try:
        yield tree
    finally:
        tree.close()
