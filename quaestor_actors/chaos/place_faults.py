"""Faults of what the cluster stands on: its disk, its ports, its configuration."""

from __future__ import annotations

import errno
import os
import random
import signal
import socket
import threading
import time

from quaestor_actors.actors.view import TreeView
from quaestor_actors.adapters import ports
from quaestor_actors.chaos.configuration import Copy
from quaestor_actors.chaos.fault import Expectation, Injury, NotPossibleError
from quaestor_actors.chaos.plan import Action, ConfigVariant, Role
from quaestor_actors.chaos.world import World

_ENDS_WITHIN_S = 5.0
_TRY_EVERY_S = 0.01


def fill_disk(world: World, action: Action) -> Injury:
    """Take all room for state and logs away, and kill a process that needs some to come back."""
    victim = None if action.role is None else world.find(action.role, action.index)
    how = world.disk.fill()
    if victim is not None:
        world.signal(victim, signal.SIGKILL)
    return Injury(
        what=f"{how} for {action.lasts_s:g} s" + (f", and kill {victim}" if victim else ""),
        lasts_s=action.lasts_s,
        mend=world.disk.free,
        # A worker that cannot write its output may end of it.
        blocks_answers=True,
    )


def steal_port(world: World, action: Action) -> Injury:
    """Kill a member and listen on its port; its supervisor is held meanwhile, or it would be faster."""
    member = world.find(Role.MEMBER, action.index)
    supervisor = world.look().by_name(f"agent/{member.name.rpartition('/')[0]}")
    if member.port is None or supervisor is None:
        raise NotPossibleError(f"{member} has no port, or no supervisor now")
    if not world.hold(supervisor):
        world.signal(supervisor, signal.SIGCONT)
        raise NotPossibleError(f"{supervisor} cannot be held")
    stranger = socket.socket()
    try:
        world.signal(member, signal.SIGKILL)
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _bind(stranger, member.port)
        stranger.listen()
    except OSError as error:
        stranger.close()
        holder = ports.holder_of(member.port)
        raise NotPossibleError(f"port {member.port} of {member}: {error.strerror}, {holder}") from error
    finally:
        world.signal(supervisor, signal.SIGCONT)
    named = f"port {member.port} is taken by pid {os.getpid()} "

    def is_named(tree: TreeView) -> bool:
        return any(each.member == member.name and named in each.reason for each in tree.members)

    return Injury(
        what=f"kill {member}, and take its port {member.port} for at least {action.lasts_s:g} s",
        lasts_s=action.lasts_s,
        mend=stranger.close,
        expects=Expectation(what=f"{member.name} to say {named!r}", is_met=is_named),
    )


def _bind(stranger: socket.socket, port: int) -> None:
    """Take a port as soon as it is free: the last of a killed process's threads may need some time to end."""
    give_up_at = time.monotonic() + _ENDS_WITHIN_S
    while True:
        try:
            stranger.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > give_up_at:
                raise
            time.sleep(_TRY_EVERY_S)
        else:
            return


def replace_configuration(world: World, action: Action) -> Injury:
    """Write another configuration, again and again, while the launcher is told to read it."""
    chance = random.Random(action.seed)  # noqa: S311 - to be repeated
    path, good = world.copy.path, world.copy.cluster_file
    text = _variant(world.copy, action.variant, chance)
    over = threading.Event()

    def write() -> None:
        until = time.monotonic() + action.lasts_s
        while not over.wait(chance.uniform(0.01, 0.3)) and time.monotonic() < until:
            if action.variant is ConfigVariant.HALF:
                # As a careless editor does it: the reader may find any part.
                path.write_text(text, encoding="utf-8")
            else:
                _replace(world, text)
            world.reload()
            over.wait(chance.uniform(0.0, 0.2))
            _replace(world, good)
            if chance.random() < 0.5:  # noqa: PLR2004 - half of the time
                world.reload()

    writing = threading.Thread(target=write)
    writing.start()

    def restore() -> None:
        over.set()
        writing.join()
        _replace(world, good)
        world.reload()

    is_harmless = action.variant is not ConfigVariant.HALF
    return Injury(
        what=f"the configuration is {action.variant}, again and again for {action.lasts_s:g} s",
        lasts_s=action.lasts_s,
        mend=restore,
        # Half of a configuration may be a whole one, with fewer agents.
        blocks_answers=not is_harmless,
        touches_no_member=is_harmless,
    )


def _variant(copy: Copy, variant: ConfigVariant, chance: random.Random) -> str:
    match variant:
        case ConfigVariant.VALID:
            return copy.valid()
        case ConfigVariant.INVALID:
            return copy.invalid()
        case ConfigVariant.HALF:
            return copy.cluster_file[: chance.randrange(len(copy.cluster_file))]


def _replace(world: World, text: str) -> None:
    new = world.copy.path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(world.copy.path)
