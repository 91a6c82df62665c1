"""The metrics actor: answers Prometheus, with what the root knows at that moment and what others have counted.

It alone has a port for it, so whatever its clients do, nobody else is held up.
"""

from __future__ import annotations

import asyncio
import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from thespian.actors import ActorAddress

from quaestor_actors.actors.base import Identity, Ready, Stop, Stopped, TreeActor
from quaestor_actors.actors.metrics_families import Build, families_of
from quaestor_actors.actors.status_messages import StatusReply, StatusRequest
from quaestor_actors.actors.view import TreeView
from quaestor_actors.adapters.event_loop import LoopThread
from quaestor_actors.adapters.mailbox import Mailbox
from quaestor_actors.adapters.metrics_server import MetricsServer, start_server, stop_server
from quaestor_actors.adapters.tally import read_tally
from quaestor_actors.core.exposition import CONTENT_TYPE, exposition
from quaestor_actors.core.spec import MetricsSpec
from quaestor_actors.errors import ConflictError, OperationError

ANSWER_TIMEOUT_S = 3.0
"""In which the root says how everything is; it takes milliseconds."""

LISTEN_AGAIN_S = 5.0
"""Between two tries to listen where somebody else does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartMetrics:
    """From the root: listen, and ask me when somebody asks you."""

    identity: Identity
    spec: MetricsSpec
    directory: Path
    """Where the others count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsReported:
    """To the root: whether the metrics can be had."""

    address: str
    trouble: str
    """Why they cannot be had; empty if they can."""


@dataclass(frozen=True, slots=True)
class Asked:
    """From the thread: somebody wants to see the metrics."""


class MetricsActor(TreeActor):
    """Shell around `adapters.metrics_server`."""

    _spec: MetricsSpec
    _directory: Path
    _server: MetricsServer

    def __init__(self) -> None:
        """Begin with nothing; StartMetrics brings the specification."""
        super().__init__()
        self._heard: Mailbox[Asked | BaseException] = self.outside.make(Mailbox)
        self._loop = self.outside.make(LoopThread, name="metrics", on_crash=self._heard.post)
        self._page: asyncio.Future[str] | None = None
        """Of the thread: what all who ask at the same time wait for."""
        self._trouble: str | None = None

    def receive(self, message: Any, sender: ActorAddress) -> None:
        """Handle the root, and its answers."""
        match message:
            case StartMetrics():
                self._start(message, sender)
            case StatusReply():
                text = self._text(message.tree)
                self._loop.post(lambda: self._give(text))
            case Stop():
                stop_server(self._loop, self._server)
                self._loop.stop()
                self.send(self.parent, Stopped(identity=self.identity))
                self.end()
            case _:
                self.log.warning("unexpected message %s", type(message).__name__)

    def on_wake(self, _key: str) -> None:
        """Try to listen again."""
        self._listen()

    def _start(self, message: StartMetrics, sender: ActorAddress) -> None:
        self.begin(message.identity, sender)
        self._spec, self._directory = message.spec, message.directory
        self._build = Build(version=metadata.version("quaestor-actors"), python=platform.python_version())
        self.watch(self._heard.fd, self._pass_on)
        self._loop.start()
        self._server = MetricsServer(
            host=self._spec.host, port=self._spec.port, content_type=CONTENT_TYPE, page=self._asked
        )
        self._listen()
        self.send(sender, Ready(identity=self.identity, pid=os.getpid()))

    def _listen(self) -> None:
        """Listen; a port that somebody has is no reason to end anything, and may become free."""
        trouble = ""
        try:
            start_server(self._loop, self._server)
        except (ConflictError, OperationError) as error:
            trouble = str(error)
            self.wake_at("listen", self.outside.clock() + LISTEN_AGAIN_S)
        if trouble == self._trouble:
            return
        self._trouble = trouble
        where = f"http://{self._spec.host}:{self._spec.port}/metrics"
        if trouble:
            self.log.error("%s", trouble)
        else:
            self.log.info("the metrics are at %s", where)
        self.send(self.parent, MetricsReported(address=where, trouble=trouble))

    async def _asked(self) -> str:
        """On the thread: have the actor ask the root, once for all who wait."""
        if self._page is None:
            self._page = asyncio.get_running_loop().create_future()
            self._heard.post(Asked())
        page = self._page
        try:
            return await asyncio.wait_for(asyncio.shield(page), ANSWER_TIMEOUT_S)
        except TimeoutError:
            # The question, or the answer, is lost: the next one asks anew.
            if self._page is page:
                self._page = None
            raise

    def _give(self, text: str) -> None:
        page, self._page = self._page, None
        if page is not None and not page.done():
            page.set_result(text)

    def _pass_on(self) -> None:
        for heard in self._heard.drain():
            if isinstance(heard, BaseException):
                raise heard
            self.send(self.parent, StatusRequest(request_id="metrics"))

    def _text(self, tree: TreeView) -> str:
        return exposition(families_of(tree, build=self._build, tally=lambda name: read_tally(self._directory / name)))
