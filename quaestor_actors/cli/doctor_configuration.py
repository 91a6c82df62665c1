"""What is wrong around a configuration: ports, secrets, etcd, clocks, limits. It looks and changes nothing."""

from __future__ import annotations

import http.client
import os
import resource
import stat
import time
from collections.abc import Iterator
from dataclasses import asdict
from email.utils import parsedate_to_datetime
from pathlib import Path

import psutil

from quaestor_actors.adapters import ports, processes, runtime_directory
from quaestor_actors.adapters.tls import client_context
from quaestor_actors.core.diagnosis import Finding, Severity, of_clock, of_descriptors
from quaestor_actors.core.location import ClientTls, join_address
from quaestor_actors.core.spec import KEY_VALUE_STORE, ClusterSpec, StoreSpec
from quaestor_actors.errors import OperationError
from quaestor_actors.system.cookie import COOKIE_BYTES, COOKIE_VARIABLE
from quaestor_actors.system.host_endpoint import endpoint_of

ANSWER_TIMEOUT_S = 2.0
HTTP_DATE_S = 1.0
"""How exact the time of an HTTP server's answer is."""


def of_configuration(spec: ClusterSpec, base: Path) -> Iterator[Finding]:
    """Yield what is wrong for a cluster of this specification."""
    directory = base / spec.name
    yield from _of_ports(spec, directory)
    if spec.has_other_hosts:
        yield from _of_cookie(spec, directory)
    yield from _of_secrets(spec)
    is_running = runtime_directory.is_running(directory)
    runs_etcd = any(agent.agent_type == KEY_VALUE_STORE and agent.executable for agent in spec.agents)
    for store in spec.stores:
        # An etcd that the cluster itself runs is there with the cluster.
        if is_running or not runs_etcd:
            yield from _of_store(store)
    members = sum(len(agent.members) for agent in (*spec.agents, *spec.static_agents))
    launcher = runtime_directory.launcher_of(directory)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    where = "this shell"
    if launcher is not None:
        _, most = resource.prlimit(launcher, resource.RLIMIT_NOFILE)
        where = f"launcher pid {launcher}"
    if most != resource.RLIM_INFINITY and (found := of_descriptors(most, members=members, where=where)) is not None:
        yield found


def _of_ports(spec: ClusterSpec, directory: Path) -> Iterator[Finding]:
    wanted = [
        (name, agent.host_name, agent.ports[number - 1])
        for agent in spec.agents
        if agent.executable is not None and agent.ports
        for name, number in agent.members.items()
    ]
    if spec.balancer is not None:
        wanted.append(("the balancer", spec.balancer.host_name, spec.balancer.port))
    if spec.metrics is not None:
        wanted.append(("the metrics", spec.metrics.host, spec.metrics.port))
    # Other hosts may use the same port on other addresses.
    actors_at: str | None = None
    if spec.has_other_hosts:
        endpoint = endpoint_of(spec)
        actors_at = endpoint.interface.address
        wanted.append((f"the actors of {endpoint.name}", actors_at, endpoint.port()))
    own = {process.pid for process in processes.find_tagged(f"{directory}/")}
    admin = runtime_directory.read_admin(directory)
    for who, host, port in wanted:
        if not ports.is_taken(host, port):
            continue
        holder = ports.holder_of(port, address=host if host == actors_at else None)
        if holder.pid is not None and _is_of_cluster(holder.pid, own | ({admin.pid} if admin else set())):
            continue
        yield Finding(
            check="ports",
            severity=Severity.ERROR,
            what=f"port {port} of {who} is taken by {holder}",
            where=join_address(host, port),
            remedy="end that process, or give another port in the configuration",
        )


def _of_cookie(spec: ClusterSpec, directory: Path) -> Iterator[Finding]:
    """Yield why the cookie of several hosts cannot be used; its file has been looked at with the configuration."""
    endpoint = endpoint_of(spec)
    # One in the environment is removed when it is read; a watching command needs it again.
    digits = os.environ.get(COOKIE_VARIABLE)
    try:
        endpoint.cookie(directory)
    except OperationError as error:
        where = endpoint.cookie_file or f"{COOKIE_VARIABLE} in the environment"
        remedy = f"give all hosts the same {COOKIE_BYTES} random bytes"
        yield Finding(check="secrets", severity=Severity.ERROR, what=str(error), where=where, remedy=remedy)
    finally:
        if digits is not None:
            os.environ[COOKIE_VARIABLE] = digits


def _is_of_cluster(pid: int, own: set[int]) -> bool:
    try:
        return bool({pid, os.getsid(pid), *(each.pid for each in psutil.Process(pid).parents())} & own)
    except (psutil.Error, ProcessLookupError):
        return False


def _of_secrets(spec: ClusterSpec) -> Iterator[Finding]:
    # A certificate without a key beside it has the key in its own file.
    found = []
    if spec.balancer is not None:
        found.append((spec.balancer.private_key_file or spec.balancer.certificate, "the balancer's key"))
    found += [(_key_of(agent.tls), f"the key for {agent.agent_type}") for agent in spec.agents]
    for store in spec.stores:
        found += [(store.password_file, "the password for etcd"), (_key_of(store.tls), "the key for etcd")]
    # Several may have the same one.
    for name, what in dict(found).items():
        if name is None:
            continue
        try:
            mode = stat.S_IMODE(Path(name).stat().st_mode)
        except OSError as error:
            yield _secret(f"{what} cannot be read: {error.strerror}", name)
            continue
        if mode & 0o077:
            yield _secret(f"{what} can be read or replaced by others (mode {mode:03o})", name)


def _key_of(tls: ClientTls) -> str | None:
    return tls.client_private_key_file or tls.client_certificate


def _secret(what: str, file: str) -> Finding:
    remedy = f"chmod 600 {file}; its owner must be who runs the cluster"
    return Finding(check="secrets", severity=Severity.ERROR, what=what, where=file, remedy=remedy)


def _of_store(store: StoreSpec) -> Iterator[Finding]:
    for host, port in store.endpoints:
        where = join_address(host, port)
        began = time.time()
        try:
            at = _time_at(store, host, port)
        except (OSError, OperationError, http.client.HTTPException) as error:
            yield Finding(
                check="etcd",
                severity=Severity.ERROR,
                what=f"etcd cannot be reached: {error}",
                where=where,
                remedy="start etcd there, or correct the endpoint, its TLS or the firewall in between",
            )
            continue
        if at is None:
            continue
        took_s = time.time() - began
        middle = began + took_s / 2
        found = of_clock(middle - at, uncertainty_s=took_s / 2 + HTTP_DATE_S, where=where)
        if found is not None:
            yield found


def _time_at(store: StoreSpec, host: str, port: int) -> float | None:
    """Return the clock of an etcd, which its HTTP side tells with each answer."""
    if store.use_tls:
        context = client_context(**asdict(store.tls))
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=ANSWER_TIMEOUT_S, context=context
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=ANSWER_TIMEOUT_S)
    try:
        connection.request("GET", "/version")
        date = connection.getresponse().getheader("Date")
    finally:
        connection.close()
    try:
        return None if date is None else parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
