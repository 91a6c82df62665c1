"""What an agent supervisor writes down: the state that a successor goes on with, and the events that people read."""

from __future__ import annotations

from pathlib import Path

from quaestor_actors.actors.base import TreeActor
from quaestor_actors.actors.event_ring import EventRing
from quaestor_actors.adapters.state_file import StateFile
from quaestor_actors.adapters.tally import Tally
from quaestor_actors.core import restart_kind
from quaestor_actors.core.agent import Group
from quaestor_actors.core.counted import probes_file, restarts_file
from quaestor_actors.core.group_events import of_group


class AgentNotes:
    """The state file and the ring of events of one agent."""

    def __init__(self, owner: TreeActor, *, agent: str, state_path: Path, log_directory: Path) -> None:
        """Name the files; nothing is read or written yet."""
        self._owner = owner
        self._agent = agent
        self._state_file = StateFile(state_path)
        self._ring = EventRing(owner, log_directory / f"{agent}.events")
        self._restarts = Tally(state_path.with_name(restarts_file(agent)))
        self.probes_path = state_path.with_name(probes_file(agent))
        """Where the prober counts."""
        self._written = Group()
        self._has_failed = False

    def load(self) -> Group:
        """Return what a predecessor has written down; what differs from it is the first thing that happens."""
        self._written = self._state_file.load()
        return self._written

    def save(self, group: Group) -> None:
        """Write down the group, then what has happened to it since the last time.

        Where that is impossible members are kept all the same; a successor has to find them by their environment.
        """
        try:
            self._state_file.save(group)
        except OSError as error:
            if not self._has_failed:
                self._owner.log.error("cannot write %s: %s", self._state_file.path, error.strerror or error)  # noqa: TRY400 - a full disk is no bug
            self._has_failed = True
        else:
            self._has_failed = False
        before, self._written = self._written, group
        for name, kind in restart_kind.of_group(before, group):
            number = int(name.rpartition("/")[2])
            self._restarts.add((number - 1) * len(restart_kind.KINDS) + restart_kind.KINDS.index(kind))
        self._ring.write(of_group(before, group, agent=self._agent, at=self._ring.now))

    def remove(self) -> None:
        """Forget the state: every member has stopped. The events stay."""
        self._state_file.remove()
