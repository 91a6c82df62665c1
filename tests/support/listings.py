"""Lists of every kind, made by hand: what the renderers of the command line are given."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import Any

from quaestor_actors.actors.view import ActorView, AgentView, HostView, LoadView, MemberView, RegistryView, TreeView
from quaestor_actors.adapters.session_usage import Usage
from quaestor_actors.cli.discover import Found, Question, discover_listing
from quaestor_actors.cli.doctor import doctor_listing
from quaestor_actors.cli.events_hosts import HostEvent, host_events_listing
from quaestor_actors.cli.events_rendering import events_listing
from quaestor_actors.cli.explain_rendering import Explained
from quaestor_actors.cli.health import Verdict, health_listing
from quaestor_actors.cli.hosts_rendering import hosts_listing
from quaestor_actors.cli.listing import Listing
from quaestor_actors.cli.load import Load, load_listing
from quaestor_actors.cli.registry_entries import Contents, Entry, LeaseLeft
from quaestor_actors.cli.registry_rendering import contents_listing
from quaestor_actors.cli.render import Shown, status_listing
from quaestor_actors.cli.render_hosts import status_of_hosts
from quaestor_actors.cli.render_plan import plan_listing
from quaestor_actors.cli.render_tree import tree_listing
from quaestor_actors.cli.top_rendering import Machine, Measured, top_listing
from quaestor_actors.cli.version import version_listing
from quaestor_actors.core.diagnosis import Finding, Severity
from quaestor_actors.core.event import Event, EventKind
from quaestor_actors.core.load import LoadReport
from quaestor_actors.core.location import Location
from quaestor_actors.core.owner_record import Owner
from quaestor_actors.core.plan import Action, Plan

NOW = 1_000_000.0


def member(number: int, state: str = "serving", **changes: object) -> MemberView:
    """Return a member of Worker."""
    values: dict[str, object] = {
        "member": f"Worker/{number}",
        "state": state,
        "reason": "cluster start",
        "since": NOW - 9,
        "pid": 4120 + number,
        "host": "localhost",
        "port": 5160 + number,
        "restarts": 0,
        "incarnation": 1,
    }
    return MemberView(**{**values, **changes})  # type: ignore[arg-type]  # the fields' types are mixed


def actor(name: str, parent: str | None, **changes: object) -> ActorView:
    """Return an actor."""
    values: dict[str, object] = {
        "name": name,
        "parent": parent,
        "state": "running",
        "reason": "",
        "since": NOW - 3700,
        "pid": 100,
        "restarts": 0,
    }
    return ActorView(**{**values, **changes})  # type: ignore[arg-type]  # the fields' types are mixed


SHOWN = Shown(
    tree=TreeView(
        cluster="demo",
        agents=(AgentView(agent="Worker", phase="running", reason="", waits_for=()),),
        actors=(
            actor("root", None),
            actor("registry", "root"),
            actor("agent/Worker", "root", restarts=2),
            actor("agent/Worker/prober", "agent/Worker", state="backing_off", pid=None, reason="was killed"),
        ),
        members=(
            member(10),
            member(2, "backing_off", pid=None, port=None, restarts=4, reason="exited with code 1"),
        ),
        balancer_address="127.0.0.1:5150",
    ),
    launcher_pid=99,
    now=NOW,
)
"""The smallest one with something of everything."""

TROUBLED = Shown(
    tree=TreeView(
        cluster="demo",
        agents=(
            AgentView(agent="Worker", phase="running", reason="", waits_for=()),
            AgentView(agent="Report", phase="waiting", reason="", waits_for=("Worker (serving)",)),
        ),
        actors=SHOWN.tree.actors,
        members=(
            member(1, since=NOW - 11_520, restarts=1),
            member(
                2,
                "backing_off",
                pid=None,
                restarts=4,
                incarnation=5,
                reason='restarted: unhealthy: service "Worker" says NOT_SERVING; exited with code 1; last output: '
                "Traceback (most recent call last): no such file: /var/lib/worker/größe\x1b[2J",
            ),
            member(3, "starting", since=NOW - 1, reason="restarted: killed by SIGKILL"),
            member(4, "failed", pid=None, restarts=25, reason="given up after 25 failed starts"),
            member(5, "stopped", pid=None, reason="stopped by hand"),
        ),
        balancer_address="127.0.0.1:5150",
        registry=RegistryView(
            store="etcd at 10.0.0.7:2379",
            state="degraded",
            since=NOW - 12,
            reason="no connection to 10.0.0.7:2379: Connection refused",
            locations=4,
            registered=2,
        ),
    ),
    launcher_pid=None,
    now=NOW,
)
"""With every colour, reasons longer than any terminal, and what would command one."""


def entry(host: str, *, owner: str = "unknown", record: Owner | None = None, **more: Any) -> Entry:
    """Return a registered location of Worker at port 5161, unless said otherwise."""
    lease = more.pop("lease", None)
    place = {"service_name": "Worker", "host_name": host, "port": 5161, **more}
    return Entry(location=Location(**place), owner=owner, record=record, lease=lease)


HELLO = Owner(cluster="hello-world-of-many-machines", host="a1.rack-7.example.net", pid=4121)

CONTENTS = Contents(
    source="etcd at 10.0.0.7:2379",
    entries=(
        entry("10.0.0.7"),
        entry(
            "10.0.0.8",
            owner=f"{HELLO.cluster} on {HELLO.host}",
            record=HELLO,
            lease=LeaseLeft(lease=0x7B, left_s=7.31, ttl_s=10.0),
        ),
        entry("::1", scope="blue", use_tls=True, owner="Worker of demo"),
    ),
    strangers=("services/garbage",),
    has_leases=True,
)

PLAN = Plan(
    actions=(
        Action(subject="demo", verb="change", detail="heartbeat_interval_s, member_max_startup_retries"),
        Action(subject="Worker/1", verb="replace", detail="arguments, environment changed"),
        Action(subject="Worker/5", verb="start", detail="added"),
        Action(
            subject="Report", verb="stop", detail="12 members, no longer configured, and their reason is a long one"
        ),
    )
)


FINDINGS = [
    Finding(
        check="orphans",
        severity=Severity.WARNING,
        what="members of demo run on without a supervisor: pid 4121, 4122",
        where="/run/quaestor/demo",
        remedy="quaestor cluster takes them over; or end them: kill 4121 4122",
    ),
    Finding(
        check="ports",
        severity=Severity.ERROR,
        what="port 5161 of Worker/1 is taken by pid 77 (an\x1b[2Jother)",
        where="localhost:5161",
        remedy="end that process, or give another port in the configuration",
    ),
]


CRASHED = TROUBLED.tree.members[1].reason

EVENTS = (
    Event(at=NOW - 60, kind=EventKind.CLUSTER, subject="demo", before=None, after="running", reason="launched"),
    Event(
        at=NOW - 12.345,
        kind=EventKind.REGISTRY,
        subject="registry",
        before="following",
        after="degraded",
        reason="etcd at 10.0.0.7:2379: no connection to 10.0.0.7:2379: Connection refused",
    ),
    Event(
        at=NOW - 10,
        kind=EventKind.LOCATION,
        subject="Worker at localhost:5162",
        before="offered",
        after="withheld",
        reason="no connection to localhost:5162: closed by the server",
    ),
    Event(
        at=NOW - 9,
        kind=EventKind.MEMBER,
        subject="Worker/2",
        before="starting",
        after="backing_off",
        reason=CRASHED,
        incarnation=5,
        restarts=4,
    ),
    Event(
        at=NOW - 9,
        kind=EventKind.MEMBER,
        subject="Worker/1",
        before="starting",
        after="serving",
        reason="cluster start",
        pid=4121,
        incarnation=1,
        restarts=0,
    ),
)
"""Of every length, with what would command a terminal."""

LIMITED = AgentView(
    agent="Worker",
    phase="running",
    reason="",
    waits_for=(),
    startup_retries=25,
    restart_limit=5,
    restart_period_s=60.0,
    recent_restarts=(NOW - 70, NOW - 30, NOW - 9),
)

EXPLAINED = Explained(
    cluster="demo",
    agent=LIMITED,
    member=member(
        2,
        "backing_off",
        pid=None,
        restarts=4,
        incarnation=5,
        failures=3,
        failed_starts=2,
        failed_checks=1,
        check='service "Worker" says NOT_SERVING',
        deadline=NOW + 7.8,
        reason=CRASHED,
    ),
    members=TROUBLED.tree.members,
    supervisor=actor("agent/Worker", "root", pid=4100, restarts=2),
    started=None,
    events=(EVENTS[3], EVENTS[2]),
    output=("Traceback (most recent call last):", f"no such file: {'/very/long' * 20}\x1b[2J"),
    output_path="/var/log/quaestor/demo/Worker-2.log",
    now=NOW,
)
"""A member that goes on failing."""


def host(name: str, state: str, **changes: object) -> HostView:
    """Return a host with the smallest tree."""
    values: dict[str, object] = {
        "name": name,
        "address": f"10.0.0.{name[1:]}:7071",
        "state": state,
        "since": NOW - 3700,
        "reason": "",
        "tree": SHOWN.tree,
        "tree_at": NOW,
        "is_current": True,
    }
    return HostView(**{**values, **changes})  # type: ignore[arg-type]  # the fields' types are mixed


ON_HOSTS = Shown(
    tree=SHOWN.tree,
    launcher_pid=99,
    now=NOW,
    own_host="a2",
    hosts=(
        host("a1", "joined"),
        host("a2", "here", tree=replace(TROUBLED.tree, members=TROUBLED.tree.members[:3])),
        host("a3", "lost", since=NOW - 12, tree_at=NOW - 14, reason="not heard any more", is_current=False),
        host("a4", "awaited", since=NOW - 60, tree=None, tree_at=None, reason="not heard yet", is_current=False),
        host("a5", "joined", tree_at=NOW - 70, reason="does not answer within 1 s", is_current=False),
    ),
)
"""Hosts in every state, asked at one that is in trouble."""


def load_view(port: int, load: float | None, *, service: str = "Worker") -> LoadView:
    """Return what the balancer knows of a location on localhost."""
    standing = "withheld" if load is None else "offered"
    return LoadView(service=service, address=f"localhost:{port}", standing=standing, load=load)


MEASURED = Measured(
    usages={
        4121: Usage(cpu_percent=12.34, memory_bytes=40_960_000),
        4123: Usage(cpu_percent=None, memory_bytes=3_000_000_000),
    },
    loads={"": (load_view(5161, 0.25), load_view(5161, 0.75, service="Report"), load_view(5163, None))},
    machine=Machine(load_average=5.694, processors=2, memory_percent=61.5),
    trouble=("balancer: does not answer, so no load is known",),
)
"""What the members of `TROUBLED` take."""


def listings() -> dict[str, Listing[Any]]:
    """Return one of each kind, by the name of its JSON schema."""
    ranked = Question(service="Worker", scope="", top=2)
    found = (
        Found(service="Worker", scope="", host="localhost", port=5162, use_tls=False),
        Found(service="Worker", scope="blue", host="fe80::1:2:3:4", port=5161, use_tls=True),
        Found(service="Worker", scope="", host="a-host-with-a-long-name.rack-7.example.net", port=5161, use_tls=None),
    )
    report = LoadReport(
        timestamp_ticks=639_000_000_000_000_000,
        known_load_rate=0.5,
        request_capacity=4,
        current_requests=3,
        server_utilization=0.42,
        server_memory_usage_percent=61.5,
        started_requests=1234,
    )
    verdict = Verdict(address="localhost:5161", service="Worker", status="NOT_SERVING", reason="the server says so")
    return {
        "status": status_listing(TROUBLED),
        "tree": tree_listing(TROUBLED),
        "registry-list": contents_listing(CONTENTS),
        "plan": plan_listing(PLAN, cluster="demo", file="conf/quaestor.cluster.config.yml"),
        "discover": discover_listing(found, balancer="127.0.0.1:5150", question=ranked),
        "health": health_listing(verdict),
        "load": load_listing(Load(address="localhost:5161", service="Worker", scope="", report=report)),
        "events": events_listing(EVENTS, cluster="demo", zone=UTC),
        "doctor": doctor_listing(FINDINGS),
        "version": version_listing(),
        "hosts": hosts_listing(ON_HOSTS),
        "status-of-hosts": status_of_hosts(ON_HOSTS),
        "top": top_listing(TROUBLED, MEASURED),
        "top-of-hosts": top_listing(ON_HOSTS, replace(MEASURED, loads={"a2": MEASURED.loads[""]})),
        "tree-of-hosts": tree_listing(ON_HOSTS),
        "events-of-hosts": host_events_listing(
            [HostEvent(host=f"a{number}", event=event) for number, event in enumerate(EVENTS, start=1)],
            cluster="demo",
            zone=UTC,
            notes=["there are older events on a3 itself"],
        ),
    }
