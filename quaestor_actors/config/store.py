"""Reads what a KeyValueStore agent says about the etcd that holds the registry: where it is and who we are there."""

from __future__ import annotations

import importlib.util
import os
import shlex
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from quaestor_actors.config.ports import host_key, on_same_host
from quaestor_actors.core.location import ClientTls, join_address
from quaestor_actors.core.spec import KEY_VALUE_STORE, STORE_PASSWORD_VARIABLE, STORE_USER_VARIABLE, StoreSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from quaestor_actors.config.agents import AgentSection
    from quaestor_actors.config.report import Place, Report

DEFAULT_PORT: Final = 2379
"""That of etcd itself; registered with IANA as `etcd-client`."""

OF_CLIENTS: Final = frozenset({"endpoints", "hosts", "leaseTtlSeconds", "storeUser", "storePasswordFile"})
"""Keys of a KeyValueStore agent alone that are about how it is used."""

OF_MEMBERS: Final = frozenset({"peerPort", "dataDirectory"})
"""Keys of a KeyValueStore agent alone that are about the etcd that is started."""

_OF_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

_MAX_PASSWORD_BYTES: Final = 4096
"""How much of a file is looked at; some other file may have been meant, of any size."""

Addresses = tuple[tuple[str, int], ...]


def check_misplaced(agent: AgentSection, report: Report, *, may_be_pinned: bool = False) -> None:
    """Report keys that only a KeyValueStore agent has, if this is none; `hosts` may be about something else."""
    if agent.agent_type in {"", KEY_VALUE_STORE}:
        return
    alike = agent.agent_type.lower() == KEY_VALUE_STORE.lower()
    hint = f" (did you mean the agent type {KEY_VALUE_STORE}?)" if alike else ""
    entries = agent.section.entries
    misplaced = (OF_CLIENTS | OF_MEMBERS) - ({"hosts"} if may_be_pinned and not alike else set())
    for key in misplaced & entries.keys():
        report.fault(entries[key].key, f"only a {KEY_VALUE_STORE} agent has it{hint}; remove it")


def check_hosts(agent: AgentSection, report: Report) -> None:
    """Report hosts that are named twice, or with more ports than one; warn of a number of them that is unwise."""
    section = agent.section
    hosts = section.keys.hosts
    if not hosts:
        return
    first: dict[str, str] = {}
    for at, host in enumerate(hosts):
        if host.lower() in first:
            report.fault(section.entries["hosts"].item(at), f"{host} is there already")
        first.setdefault(host.lower(), host)
    if len(section.keys.ports) > 1:
        report.fault(section.place_of("ports"), "with hosts there is one port, the same on all of them")
    if len(hosts) % 2 == 0:
        few = len(hosts) - 1
        message = f"{len(hosts)} hosts survive no more failures than {few}; use an odd number"
        report.warn(section.place_of("hosts"), message)


def external_addresses(agent: AgentSection) -> Addresses:
    """Return where an etcd is that somebody else runs: the agent's own address first, unless it only names others."""
    keys, entries = agent.section.keys, agent.section.entries
    ports = keys.ports or (DEFAULT_PORT,)
    names_others = keys.hosts or keys.endpoints
    is_own_named = "hostName" in entries or ("ports" in entries and not keys.hosts)
    own = [(keys.host_name, port) for port in ports] if is_own_named or not names_others else []
    return distinct([*own, *((host, ports[0]) for host in keys.hosts), *keys.endpoints])


def distinct(addresses: Iterable[tuple[str, int]]) -> Addresses:
    """Return addresses without those that are there already, as far as their text says."""
    kept: dict[tuple[str, int], tuple[str, int]] = {}
    for host, port in addresses:
        kept.setdefault((host_key(host), port), (host, port))
    return tuple(kept.values())


def is_among(address: tuple[str, int], others: Iterable[tuple[str, int]]) -> bool:
    """Tell whether an address is one of others, as far as their text says."""
    return any(address[1] == port and on_same_host(address[0], host) for host, port in others)


def store_spec(
    agent: AgentSection,
    addresses: Addresses,
    *,
    tls: ClientTls,
    folder: Path,
    environ: Mapping[str, str],
    report: Report,
) -> StoreSpec:
    """Return the store that a KeyValueStore agent stands for; report what keeps it from being used.

    Args:
        agent: the agent as the file gives it.
        addresses: of the members of etcd, in the order in which they are tried.
        tls: how they are connected to.
        folder: where relative paths start.
        environ: the environment of this process; it may have a user and a password.
        report: takes the faults.
    """
    if importlib.util.find_spec("pyetcd") is None:
        message = "needs the package etcd-sdk-python; run: pip install 'quaestor-actors[etcd]'"
        report.fault(agent.type_place, message)
    keys = agent.section.keys
    return StoreSpec(
        endpoints=addresses,
        use_tls=keys.use_tls,
        tls=tls,
        user=keys.store_user,
        password_file=_check_credentials(agent, folder=folder, environ=environ, report=report),
        lease_ttl_s=keys.lease_ttl_seconds,
    )


def _check_credentials(agent: AgentSection, *, folder: Path, environ: Mapping[str, str], report: Report) -> str | None:
    """Return the absolute path of the file with the password, None when there is none."""
    section, keys = agent.section, agent.section.keys
    if section.broken & {"storeUser", "storePasswordFile"}:
        return None
    if keys.store_password_file is None:
        if keys.store_user is not None and not environ.get(STORE_PASSWORD_VARIABLE):
            message = f"needs storePasswordFile, or {STORE_PASSWORD_VARIABLE} in the environment"
            report.fault(section.place_of("storeUser"), message)
        return None
    place = section.place_of("storePasswordFile")
    if keys.store_user is None and not environ.get(STORE_USER_VARIABLE):
        report.fault(
            place, f"storeUser is missing, and {STORE_USER_VARIABLE} in the environment; whose password is it?"
        )
    path = os.path.abspath(folder / keys.store_password_file)  # noqa: PTH100 - resolve() would follow links
    _check_secret(path, place=place, report=report)
    return path


def _check_secret(path: str, *, place: Place, report: Report) -> None:
    if not os.path.isfile(path):  # noqa: PTH113 - Path's raises where a folder may not be entered
        report.fault(place, f"there is no file {path}")
        return
    try:
        with Path(path).open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            password = stream.readline(_MAX_PASSWORD_BYTES).strip()
    except PermissionError:
        report.fault(place, f"{path} cannot be read by this user")
        return
    except OSError as error:
        report.fault(place, f"{path} cannot be read: {error.strerror}")
        return
    if mode & _OF_OTHERS:
        report.fault(place, f"{path} is open to other users than its owner; run: chmod 600 {shlex.quote(path)}")
    elif not password:
        report.fault(place, f"{path} has no password in its first line")


def warn_of_other_stores(
    stores: Iterable[tuple[Place, StoreSpec]], *, used: Iterable[StoreSpec], file_of_used: str, report: Report
) -> None:
    """Warn of addresses of etcd that the file of a cluster's balancer names, and the cluster does not use."""
    known = [address for store in used for address in store.endpoints]
    for place, store in stores:
        for host, port in store.endpoints:
            if not is_among((host, port), known):
                what = f"the {KEY_VALUE_STORE} agent of {file_of_used} says where the registry is"
                report.warn(place, f"{join_address(host, port)} is not asked; {what}")
