"""Which of several hosts this machine is, and on which address of it a name is listened on."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHOWN = 8
"""How many of a machine's addresses are named."""


class NotThisHostError(Exception):
    """A name is none of this machine's, or it is open which one; the text is the sentence for the user."""


def local_addresses() -> tuple[str, ...]:
    """Return the addresses of this machine's interfaces, without those that need a zone (IPv6 link-local)."""
    found = (address.address for addresses in psutil.net_if_addrs().values() for address in addresses)
    return tuple(sorted(address for address in found if _is_address(address) and "%" not in address))


def addresses_of(host: str) -> tuple[str, ...]:
    """Return the addresses that a name has on this machine; none if it cannot be resolved."""
    if host.lower() == "localhost":
        # Some systems put ::1 first; programs that take one address alone are expected on this one.
        return ("127.0.0.1",)
    if _is_address(host):
        return (host,)
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    # A name that no name service can have, such as one with a label of 64 characters.
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def own_address(host: str, *, addresses: tuple[str, ...], local: tuple[str, ...]) -> str:
    """Return the address to listen on for a name of this machine.

    Args:
        host: the name.
        addresses: what it means, see `addresses_of`.
        local: see `local_addresses`.

    Raises:
        NotThisHostError: it means nothing, or another machine.
    """
    if not addresses:
        raise NotThisHostError(f"{host} cannot be resolved on this machine; write an address")
    own = _own(addresses, local)
    if own is None:
        meant = "" if host in addresses else f", which is {addresses[0]},"
        raise NotThisHostError(f"{host}{meant} is no address of this machine; {_described(local)}")
    return own


def own_host(
    hosts: Mapping[str, tuple[str, ...]],
    *,
    chosen: str | None,
    local: tuple[str, ...],
    remedy: str = "say in hostName which of them runs here",
) -> tuple[str, str]:
    """Return the host that is this machine, and its address to listen on.

    Args:
        hosts: names and what they mean, see `addresses_of`.
        chosen: which of them it is, if that has been said.
        local: see `local_addresses`.
        remedy: what the user is told to do if several are.

    Raises:
        NotThisHostError: none is, several are, or the others could not reach the address.
    """
    if chosen is None:
        host, address = _only_own(hosts, local, remedy)
    else:
        host = next((name for name in hosts if name.lower() == chosen.lower()), "")
        if not host:
            raise NotThisHostError(f"{chosen} is none of hosts; name the one that is this machine, or leave it out")
        address = own_address(host, addresses=hosts[host], local=local)
    _check_reachable(host, address, hosts)
    return host, address


def _only_own(hosts: Mapping[str, tuple[str, ...]], local: tuple[str, ...], remedy: str) -> tuple[str, str]:
    own = {host: address for host, addresses in hosts.items() if (address := _own(addresses, local)) is not None}
    if not own:
        unknown = [host for host, addresses in hosts.items() if not addresses]
        also = f"; {', '.join(unknown[:_SHOWN])} cannot be resolved" if unknown else ""
        raise NotThisHostError(f"none of these is this machine; {_described(local)}{also}")
    if len(own) > 1:
        raise NotThisHostError(f"{' and '.join(own)} are all this machine; {remedy}")
    return next(iter(own.items()))


def _check_reachable(host: str, address: str, hosts: Mapping[str, tuple[str, ...]]) -> None:
    others = (found for other, addresses in hosts.items() if other != host for found in addresses)
    if _is_loopback(address) and any(not _is_loopback(other) for other in others):
        meant = "is" if host == address else f"means {address} here (see /etc/hosts),"
        raise NotThisHostError(f"{host} {meant} an address that other hosts cannot reach; write one that they can")


def _own(addresses: tuple[str, ...], local: tuple[str, ...]) -> str | None:
    """Return the address that is this machine's, at best one that others can reach, too."""
    known = {ipaddress.ip_address(address) for address in local}
    own = [address for address in addresses if _is_loopback(address) or ipaddress.ip_address(address) in known]
    return min(own, key=_is_loopback, default=None)


def _described(local: tuple[str, ...]) -> str:
    reachable = [address for address in local if not _is_loopback(address)]
    few = ", ".join(reachable[:_SHOWN]) + (", ..." if len(reachable) > _SHOWN else "")
    return f"it has {few}" if few else "it has only loopback addresses"


def _is_loopback(address: str) -> bool:
    # The whole of 127.0.0.0/8 is this machine, and interfaces list one address of it.
    return ipaddress.ip_address(address).is_loopback


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
