"""Keys of locations: one to one, whatever the names, and the same as those of the original."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaestor_actors.core.location import Location
from quaestor_actors.core.location_key import key_of, location_of

ODD = st.text(alphabet="/%25Ffab.:[] é\n", max_size=8)
texts = st.one_of(st.text(), ODD)
names = texts.filter(bool)
locations = st.builds(
    Location,
    scope=texts,
    service_name=names,
    host_name=names,
    port=st.integers(1, 65535),
    use_tls=st.booleans(),
)


@given(location=locations)
def test__location__is_that_of_its_key(location: Location) -> None:
    assert location_of(key_of(location)) == location


@given(location=locations)
def test__slashes_in_names__are_none_of_the_key(location: Location) -> None:
    assert key_of(location).count("/") == 5


@given(one=locations, other=locations)
def test__different_locations__have_different_keys(one: Location, other: Location) -> None:
    assert (key_of(one) == key_of(other)) == (one == other)


ALMOST_KEYS = st.tuples(
    st.sampled_from(["services", "Services", ""]),
    ODD,
    ODD,
    ODD,
    st.sampled_from(["1", "5161", "0", "65536", "05161", "+1", "٣", "1_0", "", " 1"]),
    st.sampled_from(["http", "https", "HTTP", "ftp", "", "http/"]),
).map("/".join)


@given(key=st.one_of(st.text(), st.text().map("services/".__add__), ALMOST_KEYS))
def test__any_text__is_a_key_only_if_it_is_exactly_that_of_its_location(key: str) -> None:
    location = location_of(key)
    assert location is None or key_of(location) == key


@pytest.mark.parametrize(
    ("key", "location"),
    [
        ("services//Worker/10.0.0.7/5161/http", Location(service_name="Worker", host_name="10.0.0.7", port=5161)),
        ("services//Worker/h/443/https", Location(service_name="Worker", host_name="h", port=443, use_tls=True)),
        ("services/x y/Worker/h/65535/http", Location(scope="x y", service_name="Worker", host_name="h", port=65535)),
        ("services//Worker/fe80::1/5161/http", Location(service_name="Worker", host_name="fe80::1", port=5161)),
        ("services/a%2Fb/%25/h/1/http", Location(scope="a/b", service_name="%", host_name="h", port=1)),
    ],
)
def test__key__as_it_is_written(key: str, location: Location) -> None:
    assert key_of(location) == key
    assert location_of(key) == location


@pytest.mark.parametrize(
    "key",
    [
        "",
        "services/",
        "services",
        "services//Worker/h/5161",
        "services//Worker/h/5161/http/",
        "services//Worker/h/5161/http/x",
        "services/a/b/Worker/h/5161/http",
        "services///h/5161/http",
        "services//Worker//5161/http",
        "services//Worker/h//http",
        "services//Worker/h/0/http",
        "services//Worker/h/65536/http",
        "services//Worker/h/99999/http",
        "services//Worker/h/-1/http",
        "services//Worker/h/05161/http",
        "services//Worker/h/ 5161/http",
        "services//Worker/h/5161\n/http",
        "services//Worker/h/٥١٦١/http",
        "services//Worker/h/5161/HTTP",
        "services//Worker/h/5161/grpc",
        "services//50%/h/5161/http",
        "services//a%2fb/h/5161/http",
        "Services//Worker/h/5161/http",
        "/services//Worker/h/5161/http",
        "services//services//Worker/h/5161/http",
    ],
)
def test__garbage__is_no_key(key: str) -> None:
    assert location_of(key) is None
