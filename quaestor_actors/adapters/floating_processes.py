"""The processes of floating agents on this host, whoever keeps them: found and ended at once, without asking anybody.

They are found in two ways, because each misses some: by what their supervisors have written down, which lacks what was
started this moment, and by the mark in their environment, which a process may write over. What they have started
themselves carries the same mark, and is ended with them.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path

from quaestor_actors.adapters import processes
from quaestor_actors.adapters.state_file import StateFile
from quaestor_actors.core.placement import Slot
from quaestor_actors.core.process_id import ProcessId


class FloatingProcesses:
    """Those of one cluster, by the directory of its agents' state files."""

    def __init__(self, directory: Path) -> None:
        """Take the directory; nothing is looked at yet."""
        self._directory = directory

    def end(self, agents: Iterable[str], is_over: Callable[[Slot], bool]) -> dict[ProcessId, Slot]:
        """Send SIGKILL to the processes of some copies, with all that they have started; return whom it was sent to.

        Args:
            agents: whose processes are looked for.
            is_over: whether a copy must not run.
        """
        agents, ended = set(agents), {}
        # To look at all processes of a machine takes longer.
        noted = (found for agent in agents for found in self._noted(agent))
        for process, slot in chain(noted, self._marked(agents)):
            if is_over(slot) and (watched := processes.watch(process)) is not None:
                processes.signal_group(watched, signal.SIGKILL)
                # Not every one of them leads a group.
                processes.kill(watched)
                processes.forget(watched)
                ended[process] = slot
        return ended

    def _noted(self, agent: str) -> Iterable[tuple[ProcessId, Slot]]:
        for member in StateFile(self._directory / f"{agent}.json").load().members.values():
            # A process that the cluster did not start is never ended.
            if member.process is not None and not member.foreign:
                yield member.process, Slot(agent, int(member.member_id.rpartition("/")[2]))

    def _marked(self, agents: set[str]) -> Iterable[tuple[ProcessId, Slot]]:
        for process, tag in processes.find_marked(f"{self._directory}/").items():
            # FILE AGENT/NUMBER INCARNATION PORT, where names may hold spaces.
            for agent in agents:
                if tag.startswith(f"{agent}.json {agent}/"):
                    number = tag.removeprefix(f"{agent}.json {agent}/").partition(" ")[0]
                    yield process, Slot(agent, int(number))
