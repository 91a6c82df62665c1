"""Thespian's TCP transport, hardened: it binds one address, and unpickles nothing that was not sealed with the cookie.

The stock transport listens on all interfaces, unpickles every byte it gets, dies of a negative length and of a flood
of half-open connections, and lets actors outlive their parents. Everything that differs is in this module.
"""

from __future__ import annotations

import logging
import os
import pickle
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Any

from setproctitle import setproctitle
from thespian.actors import ActorAddress
from thespian.system import logdirector, multiprocCommon
from thespian.system.timing import ExpirationTimer
from thespian.system.transport import IPBase, ReceiveEnvelope, SendStatus
from thespian.system.transport import TCPTransport as stock  # noqa: N813 - a module, not a class
from thespian.system.utilis import thesplog_control

from quaestor_actors.adapters.proc_stat import start_ticks
from quaestor_actors.system import retrying
from quaestor_actors.system.admin_record import AdminRecord
from quaestor_actors.system.frames import FrameBuffer, MalformedFrameError, to_wire
from quaestor_actors.system.parentage import die_with_launcher, die_with_parent
from quaestor_actors.system.sealing import CLOCK_SKEW_S, TAG_BYTES, Kind, Opened, RejectedFrameError, Sealer

LOOPBACK = "127.0.0.1"
MAX_UNFINISHED = 64
"""Connections that have not delivered a whole frame; beyond this the oldest goes."""

UNFINISHED_PERIOD = timedelta(seconds=5)
"""How long a frame may take to arrive."""

ELSEWHERE_PERIOD = timedelta(seconds=3)
"""How long a message to another host may take, and block those behind it; on this one Thespian's five minutes count.

Whoever sends it waits for an answer, and no longer than that. A host that was silent so long is lost.
"""

COMPLAINT_PERIOD_S = 1.0

_NAME_END = b" "

log = logging.getLogger("transport")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """Where the endpoints of a host listen, and for whom."""

    address: str = LOOPBACK
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Who may connect; none: whoever can."""
    clock_skew_s: float = CLOCK_SKEW_S
    """How far the clocks of different hosts may be apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What every endpoint of this process and of its forked children goes by."""

    cookie: bytes
    title: str
    log_path: Path | None
    pid_path: Path | None
    launcher_pid: int | None
    admin_record: AdminRecord | None
    interface: Interface


_settings: Settings | None = None


def configure(
    *,
    cookie: bytes,
    title: str = "",
    log_path: Path | None = None,
    pid_path: Path | None = None,
    outlives_launcher: bool = True,
    admin_record: AdminRecord | None = None,
    interface: Interface | None = None,
) -> None:
    """Set what endpoints go by, once and before anything starts; forked actors inherit it.

    Args:
        cookie: Whoever has it may speak to this system's actors.
        title: How the actor system's processes are called in ps, in front of what each of them is.
        log_path: Where the actor system's standard output and error go; None leaves them alone.
        pid_path: Where the actor system's administrator writes its pid and start time.
        outlives_launcher: Whether the actor system runs on when this process is killed.
        admin_record: Where an administrator signs in with its launcher; one that is not wanted any more ends itself.
        interface: Where endpoints listen; None: on the loopback interface alone.
    """
    global _settings  # noqa: PLW0603 - Thespian makes endpoints itself, in forked processes, without arguments of ours
    launcher_pid = None if outlives_launcher else os.getpid()
    _settings = Settings(
        cookie=cookie,
        title=title,
        log_path=log_path,
        pid_path=pid_path,
        launcher_pid=launcher_pid,
        admin_record=admin_record,
        interface=interface or Interface(),
    )
    # Thespian asks this variable before it tries to find "its" address by a look at the routes.
    os.environ["THESPIAN_BASE_IPADDR"] = _settings.interface.address
    # Its own log would otherwise be a file of a fixed name in a folder that everybody can write.
    if log_path is None:
        thesplog_control(logging.ERROR, False, 0)  # noqa: FBT003 - Thespian's signature
    else:
        os.environ["THESPLOG_FILE"] = str(log_path.with_name("thespian.log"))


def _patch_thespian() -> None:
    """Replace what Thespian reaches through its modules, where no subclass can stand in."""
    # The address it advertises is the address it binds; stock binds the empty one, which is all interfaces.
    IPBase.IPActorAddress.bindArgs = property(lambda self: (self.sockname,))
    # Every connection's buffer, also those made deep inside the run loop: strict, and without unpickling.
    stock.ReceiveBuffer = FrameBuffer
    # A burst of strangers must not fill the queue in which actors wait to be accepted.
    stock.LISTEN_DEPTH = 1024
    # Seven minutes would let anybody hold connections open.
    stock.MAX_INCOMING_SOCKET_PERIOD = UNFINISHED_PERIOD
    # The administrator starts a new logger with an attribute that it never sets, and would die of its logger's death.
    multiprocCommon.MultiProcAdmin.logDefs = None
    # While it waits for its logger it holds everything back, also that the logger has died: it would wait for ever.
    multiprocCommon.MultiProcReplicator._handleReplicatorMessages = _heed_children_first(  # noqa: SLF001 - see above
        multiprocCommon.MultiProcReplicator._handleReplicatorMessages  # noqa: SLF001 - likewise
    )
    retrying.install()
    # People look for the project's name in ps, and for what a process does.
    multiprocCommon.setProcName = logdirector.setProcName = _set_title


def _heed_children_first(handle: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def handle_replicator_message(self: Any, envelope: Any) -> Any:
        if isinstance(envelope.message, multiprocCommon.ChildMayHaveDied):
            return True, self.childDied()
        return handle(self, envelope)

    return handle_replicator_message


def _set_title(name: str, _address: ActorAddress) -> None:
    if _settings is not None:
        setproctitle(f"{_settings.title}: {'actor system' if name == 'MultiProcAdmin' else name}")


_patch_thespian()


def _seal_name(address: ActorAddress) -> bytes:
    """Return what a frame's destination is authenticated by."""
    host, port = address.addressDetails.sockname[:2]
    return f"{host}:{port}".encode()


class SealedTCPTransport(stock.TCPTransport):  # type: ignore[misc]  # Thespian has no type information
    """The transport of every endpoint: administrator, logger, actors, and whoever talks to them from outside."""

    def __init__(self, kind: Any, *args: Any) -> None:
        """Open an endpoint, in the process that will use it. The arguments are Thespian's."""
        if _settings is None:
            raise RuntimeError("configure() the transport before anything starts")
        if isinstance(kind, stock.TCPEndpoint):
            _settle_in(_settings, is_admin=kind.args[1] is not None)
        self._sealer = Sealer(_settings.cookie, clock_skew_s=_settings.interface.clock_skew_s)
        self._networks = _settings.interface.networks
        self._own_host = _settings.interface.address
        self._complained_at = 0.0
        super().__init__(kind, *args)
        self._name = _seal_name(self.myAddress)

    def external_transport_clone(self) -> SealedTCPTransport:
        """Return another endpoint of this process; stock would return one of the stock class."""
        return SealedTCPTransport(stock.ExternalTransportCopy(), self._adminAddr, self.txOnly, False)  # noqa: FBT003 - Thespian's signature

    def close(self) -> None:
        """Close every socket of this endpoint; stock means to, and only drops them."""
        mine = getattr(self, "socket", None)
        idle = [each.socket for each in getattr(self, "_openSockets", {}).values()]
        sending = [getattr(each, "socket", None) for each in getattr(self, "_transmitIntents", {}).values()]
        super().close()
        for each in (mine, *idle, *sending):
            if each is not None:
                each.close()

    def serializer(self, intent: Any) -> bytes:
        """Return a message as it goes on the wire: pickled, sealed for its destination, framed."""
        is_elsewhere = bool(self._networks) and intent.targetAddr.addressDetails.sockname[0] != self._own_host
        if is_elsewhere and intent._quitTime.view().remaining() > ELSEWHERE_PERIOD:  # noqa: SLF001 - no public way
            intent._quitTime = ExpirationTimer(ELSEWHERE_PERIOD)  # noqa: SLF001 - likewise
        # The name in front can be read, and answered to, where the rest is not known.
        payload = self._name + _NAME_END + pickle.dumps((self.myAddress, intent.message))
        return to_wire(self._sealer.seal(Kind.DATA, payload, _seal_name(intent.targetAddr)))

    # Receiving

    def _acceptNewIncoming(self) -> None:  # noqa: N802 - Thespian's name
        unfinished = self._incomingSockets
        while len(unfinished) >= MAX_UNFINISHED:
            oldest = min(unfinished, key=lambda fileno: unfinished[fileno]._expires._time_to_quit)  # noqa: SLF001 - no public way
            unfinished.pop(oldest).close()
        known = set(unfinished)
        super()._acceptNewIncoming()
        for fileno in set(unfinished) - known:
            if not self._is_allowed(unfinished[fileno].socket):
                self._complain(unfinished[fileno].socket, RejectedFrameError("its network is not allowed"))
                unfinished.pop(fileno).close()

    def _is_allowed(self, connection: Any) -> bool:
        if not self._networks:
            return True
        try:
            peer = ip_address(connection.getpeername()[0])
        except OSError:
            return False
        return any(peer in network for network in self._networks)

    def _handlePossibleIncoming(self, incoming: Any, fileno: int, *args: Any, **kwargs: Any) -> Any:  # noqa: N802 - Thespian's name
        if fileno == -1 and incoming._expires.view().expired():  # noqa: SLF001 - no public way
            incoming.close()
            return None
        return super()._handlePossibleIncoming(incoming, fileno, *args, **kwargs)

    def _addedDataToIncoming(self, incoming: Any, skipFinish: Any = False, has_exclusive_flag: Any = False) -> Any:  # noqa: N802, N803, FBT002 - Thespian's signature
        if not incoming.receivedAllData():
            return incoming
        frame, extra = incoming.data
        sender = self._take(incoming.socket, frame, has_exclusive_flag=has_exclusive_flag)
        if sender is None:
            incoming.close()
            return None
        incoming.fromAddress = sender
        if extra:
            following = stock.TCPIncomingPersistent(sender, incoming.socket)
            try:
                following.addData(extra)
            except MalformedFrameError as error:
                self._complain(incoming.socket, error)
                incoming.close()
                return None
            return self._addedDataToIncoming(following, skipFinish, has_exclusive_flag)
        if not skipFinish:
            self._finishIncoming(incoming, sender)
        return None

    def _take(self, connection: Any, frame: bytes, *, has_exclusive_flag: bool) -> ActorAddress | None:
        """Open, answer and deliver one message; return its sender, or None if it is not to be trusted."""
        try:
            opened = self._sealer.open(frame, self._name)
            if opened.kind is not Kind.DATA:
                raise RejectedFrameError("an acknowledgement where a message must stand")  # noqa: TRY301 - one way out
            return self._deliver(connection, opened, has_exclusive_flag=has_exclusive_flag)
        except RejectedFrameError as error:
            self._complain(connection, error)
            return None

    def _deliver(self, connection: Any, opened: Opened, *, has_exclusive_flag: bool) -> ActorAddress:
        name, _, pickled = opened.payload.partition(_NAME_END)
        try:
            sender, message = _unpickled(pickled)
        except RejectedFrameError:
            self._answer(connection, Kind.NAK, opened, name)
            raise
        self._answer(connection, Kind.ACK, opened, name)
        if not opened.is_repeated:
            self._processReceivedEnvelope(ReceiveEnvelope(sender, message), has_exclusive_flag=has_exclusive_flag)
        return sender

    def _answer(self, connection: Any, kind: Kind, opened: Opened, name: bytes) -> None:
        """Tell a sender what became of its message."""
        try:
            connection.send(to_wire(self._sealer.seal(kind, opened.tag, name)))
        except (ConnectionError, BlockingIOError) as error:
            # It left, or never reads. It will send again, and that is then answered as a repetition.
            log.info("a sender could not be told what became of its message: %s", error)

    def _complain(self, connection: Any, error: Exception) -> None:
        """Log what came from a stranger, at most once a second and without its content."""
        now = time.monotonic()
        if now < self._complained_at + COMPLAINT_PERIOD_S:
            return
        self._complained_at = now
        try:
            peer = connection.getpeername()
        except OSError:
            peer = "a peer that has left"
        log.warning("refused a frame from %s: %s", peer, error)

    # Sending

    def _check_XMIT_4_done(self, intent: Any, received: bytes) -> bool:  # noqa: N802 - Thespian's name
        """Take what came in answer to a message: its acknowledgement, or the peer's own message crossing ours."""
        try:
            intent.ackbuf.addMore(received or b"")
            if not intent.ackbuf.isDone():
                return True
            frame, intent.extraRead = intent.ackbuf.completed()
            opened = self._sealer.open(frame, self._name)
            if opened.kind is Kind.DATA:
                self._deliver(intent.socket, opened, has_exclusive_flag=True)
        except (MalformedFrameError, RejectedFrameError) as error:
            self._complain(intent.socket, error)
            intent.extraRead = b""
            return bool(self._finishIntent(intent, SendStatus.Failed))
        if opened.kind is Kind.DATA:
            following, intent.extraRead = intent.extraRead, b""
            intent.ackbuf = FrameBuffer()
            return self._check_XMIT_4_done(intent, following)
        genuine = opened.kind is Kind.ACK and opened.payload == intent.serMsg[-TAG_BYTES:]
        intent.result = SendStatus.Sent if genuine else SendStatus.BadPacket
        intent.stage = self._XMITStepFinishCleanup
        return bool(self._nextTransmitStep(intent))

    def _nextTransmitStep(self, intent: Any) -> Any:  # noqa: N802 - Thespian's name
        """Run one step of a transmission. One that raises has failed; stock would lose it, and its slot, for ever."""
        try:
            return getattr(self, f"_next_XMIT_{intent.stage}")(intent)
        except Exception:
            log.exception("a transmission to %s failed", intent.targetAddr)
            return self._finishIntent(intent, SendStatus.Failed)

    def _next_XMIT_6(self, intent: Any) -> Any:  # noqa: N802 - Thespian's name
        """Arrange for another attempt."""
        retrying.retry_soon(intent)
        return super()._next_XMIT_6(intent)


def _unpickled(payload: bytes) -> tuple[ActorAddress, Any]:
    """Return the sender and the message of a genuine frame; only here, behind the seal, is anything unpickled.

    Raises:
        RejectedFrameError: this process cannot make the message, as when its sender runs another version.
    """
    try:
        sender, message = pickle.loads(payload)  # noqa: S301 - sealed with the cookie
    except Exception as error:  # whatever the message's class raises
        raise RejectedFrameError(f"a message that is not known here ({type(error).__name__})") from error
    if not isinstance(sender, ActorAddress):
        raise RejectedFrameError("a message without its sender")
    return sender, message


def _settle_in(settings: Settings, *, is_admin: bool) -> None:
    """Make a freshly forked process an actor's, the logger's, or the administrator's."""
    # What the parent has open is not the child's: endpoints, pidfds, locked files. An inherited listening socket
    # would keep its port taken after its owner's death.
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    if not is_admin:
        die_with_parent()
        return
    if settings.launcher_pid is not None:
        die_with_launcher(settings.launcher_pid)
    if settings.admin_record is not None and not settings.admin_record.sign_in():
        os._exit(1)
    if settings.log_path is not None:
        # Nobody below may hold on to the terminal of whoever launched the cluster.
        _point(0, os.open(os.devnull, os.O_RDONLY))
        output = os.open(settings.log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        os.dup2(output, 1)
        _point(2, output)
    if settings.pid_path is not None:
        _write_pid(settings.pid_path)


def _write_pid(path: Path) -> None:
    temporary = path.with_suffix(".new")
    try:
        temporary.write_text(f"{os.getpid()} {start_ticks(os.getpid())}", encoding="ascii")
        temporary.replace(path)
    except OSError as error:
        # Only whoever takes over from a killed launcher misses it; members without supervisors would be worse.
        log.warning("cannot write %s: %s", path, error.strerror or error)


def _point(target: int, descriptor: int) -> None:
    os.dup2(descriptor, target)
    os.close(descriptor)
