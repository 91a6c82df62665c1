"""Reads the hosts of a cluster, and finds out which of them this machine is."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from quaestor_actors.config.ports import Claim
from quaestor_actors.config.schema import ClusterKeys, HostKeys
from quaestor_actors.config.sections import Section, read_entries, read_section
from quaestor_actors.config.this_host import NotThisHostError, local_addresses, own_host
from quaestor_actors.config.yaml_values import shown
from quaestor_actors.core.spec import HostSpec

if TYPE_CHECKING:
    from quaestor_actors.config.report import Report

_EVERY_INTERFACE: Final = "0.0.0.0"  # noqa: S104 - nothing is bound
"""A port of actors is taken on all of a host's addresses: what listens on the others would have to know it."""

_SHOWN: Final = 8
"""How many names are listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """The hosts of a cluster, as far as the file says them rightly."""

    specs: tuple[HostSpec, ...] = ()
    own: HostSpec | None = None
    """None: there are none, or none is known to be this machine, which has been reported."""
    is_given: bool = False
    """The file has such a key, right or wrong."""
    is_complete: bool = True
    """What is none of these is no host; not so if something was wrong with one."""
    claims: tuple[Claim, ...] = ()
    """The ports of their actors."""

    @property
    def names(self) -> tuple[str, ...]:
        """In file order."""
        return tuple(spec.name for spec in self.specs)

    def named(self, name: str) -> HostSpec | None:
        """Return the host of a name, which compares case-insensitively."""
        return next((spec for spec in self.specs if spec.name.lower() == name.lower()), None)

    def unknown(self, name: str) -> str:
        """Return the sentence for a name that no host has."""
        by_lower = {known.lower(): known for known in self.names}
        close = get_close_matches(name.lower()[:100], by_lower, n=1)
        few = ", ".join(self.names[:_SHOWN]) + (", ..." if len(self.names) > _SHOWN else "")
        hint = f"did you mean {by_lower[close[0]]}?" if close else f"known are {few}"
        return f"there is no host {shown(name)} ({hint})"


def read_hosts(section: Section[ClusterKeys], *, chosen: str | None, report: Report) -> Hosts:
    """Return the hosts of a cluster; report what is wrong with them, and if this machine is not one of them.

    Args:
        section: the cluster's.
        chosen: the name of this one, if the user has said it.
        report: takes the faults and warnings.
    """
    entry = section.entries.get("hosts")
    if entry is None:
        if "hosts" not in section.broken:
            _check_alone(section, chosen, report)
        return Hosts(is_given="hosts" in section.broken)
    if "hosts" in section.broken:
        return Hosts(is_given=True, is_complete=False)
    named = read_entries(entry.node, None, report=report, path=entry.value.path)
    found = {
        name: read_section(inner.node, HostKeys, report=report, place=inner.value) for name, inner in named.items()
    }
    if not found:
        message = "expected at least one host, found none; write {NAME: {address: ADDRESS}}, or remove it"
        report.fault(entry.value, message)
    for host in found.values():
        if "address" not in host.entries.keys() | host.broken:
            report.fault(host.place.named(host.path_of("address")), "missing; the other hosts must know where it is")
    sound = {name: host for name, host in found.items() if "address" in host.entries and not host.broken}
    specs = tuple(
        HostSpec(
            name=name,
            address=host.keys.address or "",
            admin_port=host.keys.admin_port,
            capabilities=tuple(dict.fromkeys(host.keys.capabilities)),
        )
        for name, host in sound.items()
    )
    is_complete = 0 < len(found) == len(sound)
    is_reachable = _check_addresses(sound, report)
    if is_complete and len(specs) == 1:
        report.warn(entry.value, "one host alone is what a cluster without hosts is; add others, or remove it")
    own = None
    if is_complete and is_reachable:
        try:
            addresses = {spec.name: (spec.address,) for spec in specs}
            remedy = "say with --host which of them this is"
            name, _ = own_host(addresses, chosen=chosen, local=local_addresses(), remedy=remedy)
            own = next(spec for spec in specs if spec.name == name)
        except NotThisHostError as error:
            report.fault(entry.value, str(error))
    claims = tuple(
        Claim(
            owner=f"the actors of {name}",
            host_name=_EVERY_INTERFACE,
            port=host.keys.admin_port,
            place=host.place_of("adminPort"),
            hosts=frozenset({name}),
        )
        for name, host in sound.items()
    )
    return Hosts(specs=specs, own=own, is_given=True, is_complete=is_complete, claims=claims)


def _check_alone(section: Section[ClusterKeys], chosen: str | None, report: Report) -> None:
    """Report a choice among hosts where there are none; warn of what is about other hosts."""
    if chosen is not None:
        message = f"there are no hosts, of which --host could choose {shown(chosen)}; add hosts, or leave it out"
        report.fault(section.place, message)
    for key in ("allowedNetworks", "cookieFile"):
        if key in section.entries:
            report.warn(section.entries[key].key, "has no effect without hosts")


def _check_addresses(hosts: dict[str, Section[HostKeys]], report: Report) -> bool:
    """Report hosts that are the same, or that the others could not reach; tell whether all can."""
    first: dict[tuple[str, int], str] = {}
    loopback = []
    for name, host in hosts.items():
        address = host.keys.address or ""
        other = first.setdefault((address, host.keys.admin_port), name)
        if other != name:
            report.fault(host.place_of("address"), f"{address}:{host.keys.admin_port} is {other} already")
        if ipaddress.IPv4Address(address).is_loopback:
            loopback.append(host)
    if len(loopback) == len(hosts):
        return True
    for host in loopback:
        message = f"{host.keys.address} cannot be reached by the other hosts; write an address that they can reach"
        report.fault(host.place_of("address"), message)
    return not loopback
