"""What people and machines read of the registry."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from quaestor_actors.actors.view import RegistrationView
from quaestor_actors.cli.forms import Form, rendered
from quaestor_actors.cli.registry_entries import (
    Change,
    ChangeKind,
    Contents,
    Entry,
    LeaseLeft,
    differences,
    in_order,
    of_view,
)
from quaestor_actors.cli.registry_rendering import (
    change_json,
    change_text,
    contents_listing,
    strangers_text,
)
from quaestor_actors.cli.table import printable
from quaestor_actors.core.location import Location
from quaestor_actors.core.owner_record import Owner


def contents_text(contents: Contents) -> str:
    return rendered(contents_listing(contents), Form.TABLE)


def contents_json(contents: Contents) -> str:
    return rendered(contents_listing(contents), Form.JSON)


AT = datetime(2026, 11, 21, 11, 15, 3, tzinfo=UTC)
HELLO = Owner(cluster="hello", host="a1", pid=4121)


def entry(host: str, port: int = 5161, *, owner: str = "unknown", **location: object) -> Entry:
    place: dict[str, object] = {"service_name": "Worker", "host_name": host, "port": port, **location}
    return Entry(location=Location(**place), owner=owner)  # type: ignore[arg-type]  # the fields' types are mixed


KEPT = Entry(
    location=Location(service_name="Worker", host_name="10.0.0.8", port=5161),
    owner="hello on a1",
    record=HELLO,
    lease=LeaseLeft(lease=0x7B, left_s=7.31, ttl_s=10.0),
)


def contents(*entries: Entry, has_leases: bool = True) -> Contents:
    return Contents(source="etcd at 10.0.0.7:2379", entries=entries, has_leases=has_leases)


def test__table__owner_and_lease_of_each() -> None:
    assert contents_text(contents(entry("10.0.0.7"), KEPT)) == (
        "SERVICE  ADDRESS        OWNER                  LEASE\n"
        "Worker   10.0.0.7:5161  unknown                none\n"
        "Worker   10.0.0.8:5161  hello on a1, pid 4121  7.3s left of 10s"
    )


def test__table__scope_and_tls_only_where_there_are_any() -> None:
    scoped = entry("::1", scope="blue", use_tls=True)
    assert contents_text(contents(entry("10.0.0.7"), scoped)) == (
        "SERVICE  ADDRESS        TLS  SCOPE  OWNER    LEASE\n"
        "Worker   10.0.0.7:5161  no   -      unknown  none\n"
        "Worker   [::1]:5161     yes  blue   unknown  none"
    )


def test__table_of_a_running_cluster__says_of_leases_what_it_knows() -> None:
    view = RegistrationView(
        scope="", service="Worker", host="a", port=1, use_tls=False, owner="Worker of hello", lease_left_s=None
    )
    other = RegistrationView(
        scope="", service="Worker", host="b", port=1, use_tls=False, owner="other on b1", lease_left_s=4.0
    )
    assert contents_text(contents(of_view(view), has_leases=False)) == (
        "SERVICE  ADDRESS  OWNER\nWorker   a:1      Worker of hello"
    )
    assert contents_text(contents(of_view(view), of_view(other), has_leases=False)) == (
        "SERVICE  ADDRESS  OWNER            LEASE\n"
        "Worker   a:1      Worker of hello  -\n"
        "Worker   b:1      other on b1      4s left"
    )


def test__order__service_host_and_port_as_a_number() -> None:
    first = entry("a", 9, service_name="Api")
    assert in_order([entry("b", 1), entry("a", 10), entry("a", 9), first]) == (
        first,
        entry("a", 9),
        entry("a", 10),
        entry("b", 1),
    )


def test__json__has_a_version_and_stable_fields() -> None:
    document = json.loads(contents_json(contents(entry("10.0.0.7"), KEPT)))
    assert set(document) == {"schemaVersion", "source", "has_leases", "registrations", "strangers"}
    assert document["schemaVersion"] == 1
    assert document["registrations"][0]["owner_record"] is None
    assert document["registrations"][0]["lease"] is None
    assert document["registrations"][1] == {
        "key": "services//Worker/10.0.0.8/5161/http",
        "scope": "",
        "service": "Worker",
        "host": "10.0.0.8",
        "port": 5161,
        "use_tls": False,
        "owner": "hello on a1",
        "owner_record": {"cluster": "hello", "host": "a1", "pid": 4121},
        "lease": {"id": "000000000000007b", "left_s": 7.31, "ttl_s": 10.0},
    }


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (("services/x",), "1 key is no location, e.g. services/x"),
        (("services/x", "services/y"), "2 keys are no locations, e.g. services/x"),
    ],
)
def test__strangers__are_counted(keys: tuple[str, ...], text: str) -> None:
    assert strangers_text(keys) == text


def test__what_strangers_wrote__does_not_command_the_terminal() -> None:
    hostile = entry("a\nb", service_name="\x1b[2JWorker", scope="\x9b1m", owner="me\x07")
    for text in (
        contents_text(contents(hostile)),
        change_text(Change(kind=ChangeKind.ADDED, entry=hostile), AT),
        strangers_text(("services/\x1b]0;x\x07",)),
    ):
        assert all(line.isprintable() for line in text.splitlines())
    assert len(contents_text(contents(hostile)).splitlines()) == 2
    assert printable("Wörker\x1b") == "Wörker\\x1b"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (ChangeKind.ADDED, "11:15:03 + Worker at 10.0.0.8:5161 by hello on a1"),
        (ChangeKind.REMOVED, "11:15:03 - Worker at 10.0.0.8:5161 by hello on a1"),
        (ChangeKind.CHANGED, "11:15:03 ~ Worker at 10.0.0.8:5161 by hello on a1"),
    ],
)
def test__change__is_one_line(kind: ChangeKind, text: str) -> None:
    assert change_text(Change(kind=kind, entry=KEPT), AT) == text


def test__change__says_scope_and_tls() -> None:
    change = Change(kind=ChangeKind.ADDED, entry=entry("a", scope="blue", use_tls=True, owner="x"))
    assert change_text(change, AT) == "11:15:03 + Worker at a:5161 (TLS, scope blue) by x"


def test__change__as_a_line_of_json() -> None:
    line = change_json(Change(kind=ChangeKind.REMOVED, entry=KEPT), AT)
    assert "\n" not in line
    document = json.loads(line)
    assert document["schemaVersion"] == 1
    assert document["time"] == "2026-11-21T11:15:03.000+00:00"
    assert document["change"] == "removed"
    assert document["key"] == KEPT.key


def test__differences__what_is_gone_first_then_what_is_new_or_somebody_elses() -> None:
    gone, kept, taken, new = entry("a"), entry("b"), entry("c", owner="x"), entry("d")
    taken_over = entry("c", owner="y")
    before = {each.key: each for each in (kept, taken, gone)}
    after = {each.key: each for each in (new, taken_over, kept)}
    assert differences(before, after) == [
        Change(kind=ChangeKind.REMOVED, entry=gone),
        Change(kind=ChangeKind.CHANGED, entry=taken_over),
        Change(kind=ChangeKind.ADDED, entry=new),
    ]
    assert differences(after, after) == []
