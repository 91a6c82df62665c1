"""One run of the comparison: who takes part, how thoroughly, and what was found."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from figures import Figures
from peers.peer import Peer, Workload

from measure.deployment import Deployment
from measure.follower import DeadlineError, Follower

START_DEADLINE_S = 60.0
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Thoroughness:
    """How long and how often is measured."""

    restart_rounds: int = 5
    """Of restarts: each peer has its turn in each of them."""
    restarts_per_round: int = 40
    restart_round_s: float = 16.0
    """A slow peer has fewer trials instead of more time."""
    scale_rounds: int = 3
    idle_s: float = 60.0
    crash_loop_s: float = 20.0


THOROUGH = Thoroughness()
QUICK = Thoroughness(
    restart_rounds=2, restarts_per_round=30, restart_round_s=6.0, scale_rounds=1, idle_s=10.0, crash_loop_s=12.0
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What all measures share."""

    peers: dict[str, Peer]
    thoroughness: Thoroughness
    figures: Figures
    directory: Path
    """Everything that a peer writes is below it; removed at the end of the run."""

    def new_directory(self) -> Path:
        """Return a new private directory with a short path, as sockets need it."""
        return Path(tempfile.mkdtemp(dir=self.directory, prefix=""))

    def each(self, what: str, measure: Callable[[Peer], None]) -> None:
        """Measure one peer after the other; one that fails is noted, and the run goes on."""
        for peer in self.peers.values():
            with self.attempt(f"{peer.name}: {what}"):
                measure(peer)

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """Say what is going on, and note a failure."""
        print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)
        try:
            yield
        except (DeadlineError, OSError) as error:
            self.figures.fail(f"{what}: {error}")


@contextmanager
def deployed(session: Session, peer: Peer, workload: Workload) -> Iterator[Deployment]:
    """Configure a peer, to be started by the caller; at the end all of it is ended and removed."""
    directory = session.new_directory()
    launch = peer.configure(directory, workload)
    with Deployment(launch, directory=directory, is_member=workload.is_member) as deployment:
        yield deployment


def start(deployment: Deployment, follower: Follower, *, members: int) -> float:
    """Start a deployment and wait until all its members run; return how long that took, in seconds.

    Raises:
        DeadlineError: they do not; the message has the end of what the supervisor printed.
    """
    deployment.start()
    try:
        follower.wait(lambda: len(follower.members) >= members, deadline_s=START_DEADLINE_S, pause_s=_LOOK_S)
    except DeadlineError as error:
        raise DeadlineError(
            f"{len(follower.members)} of {members} members run: {error}; it says: {deployment.output()}"
        ) from error
    return (max(follower.members.values()) - deployment.launched_ns) / 1e9
