"""What goes from one host to another that runs another version: the rule of docs/architecture.md, held to."""

from __future__ import annotations

import base64
import dataclasses
import pickle
import types
import typing
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from support.golden import expect_golden
from thespian.actors import ActorAddress

from quaestor_actors.actors import records_messages, root_messages, status_messages, user_actor_messages, view
from quaestor_actors.actors.agent_messages import Command
from quaestor_actors.adapters.member_output import OutputPosition
from quaestor_actors.core import crossing
from quaestor_actors.core.crossing import Crossing, restored, trouble_with
from quaestor_actors.core.event import Event, EventKind
from quaestor_actors.core.finding import Standing, Trouble
from quaestor_actors.core.plan import Plan
from quaestor_actors.core.scaling import Unscalable
from quaestor_actors.system.sealing import RejectedFrameError
from quaestor_actors.system.transport import _unpickled

GOLDEN = Path(__file__).parent / "golden"
RECORDED = GOLDEN / "crossing-1.txt"
"""Messages as version 1 has written them, pickled, each with what `example` gives: what its hosts send.

Whatever changes, these stay.
"""

QUESTIONS = (
    status_messages.StatusRequest,
    status_messages.StatusReply,
    root_messages.CommandRequest,
    root_messages.CommandReply,
    root_messages.ScaleRequest,
    root_messages.ScaleReply,
    root_messages.LoadsRequest,
    root_messages.LoadsReply,
    records_messages.EventsRequest,
    records_messages.EventsReply,
    records_messages.OutputRequest,
    records_messages.OutputReply,
    user_actor_messages.FindHere,
    user_actor_messages.Located,
    user_actor_messages.Letter,
    user_actor_messages.Answer,
    user_actor_messages.Refused,
)
"""What roots and actors of different hosts say to each other; whatever is in them goes with them."""

NAMES = {
    **vars(view),
    "Command": Command,
    "OutputPosition": OutputPosition,
    "Event": Event,
    "Plan": Plan,
    "Unscalable": Unscalable,
    "Standing": Standing,
    "Trouble": Trouble,
    "ActorAddress": ActorAddress,
}
"""What annotations of the messages may name, for type checkers only."""


def hints(kind: type[Crossing]) -> dict[str, Any]:
    return typing.get_type_hints(kind, localns=NAMES)


def named(hint: Any) -> Iterator[Any]:
    """Yield the classes that an annotation names."""
    if typing.get_args(hint):
        for each in typing.get_args(hint):
            yield from named(each)
    elif isinstance(hint, type) and hint not in {type(None), types.EllipsisType}:
        yield hint


def parts(kind: type[Any], found: dict[type[Any], None] | None = None) -> dict[type[Any], None]:
    """Return a class, and all those that what it holds may be of."""
    found = {} if found is None else found
    if kind not in found:
        found[kind] = None
        for hint in hints(kind).values() if dataclasses.is_dataclass(kind) else ():
            for each in named(hint):
                parts(each, found)
    return found


ALL = list(dict.fromkeys(each for kind in QUESTIONS for each in parts(kind)))
MESSAGES: list[type[Crossing]] = [each for each in ALL if dataclasses.is_dataclass(each)]
DEFAULTS = [
    (kind, field.name)
    for kind in MESSAGES
    for field in dataclasses.fields(kind)
    if field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
]


def example(hint: Any) -> Any:
    """Return something that fits an annotation, never a default."""
    if typing.get_origin(hint) is tuple:
        each, *rest = typing.get_args(hint)
        return tuple(example(one) for one in ([each] if rest == [...] else [each, *rest]))
    kinds = [each for each in typing.get_args(hint) or (hint,) if each is not type(None)]
    kind = kinds[0]
    if dataclasses.is_dataclass(kind):
        return kind(**{name: example(each) for name, each in hints(kind).items()})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return list(kind)[-1]
    if typing.get_origin(kind) is tuple:
        return example(kind)
    return {str: "text", int: 7, float: 1.5, bool: True, bytes: b"octets", ActorAddress: ActorAddress(None)}[kind]


def loaded(pickled: bytes) -> Any:
    return pickle.loads(pickled)  # noqa: S301 - our own


def said(message: Crossing) -> dict[str, Any]:
    _, (_, fields) = message.__reduce__()
    return fields


def agrees(found: Any, expected: Any) -> bool:
    """Return whether they are equal, but for fields that have a default and may be younger than what was recorded."""
    if isinstance(found, tuple):
        return all(agrees(one, other) for one, other in zip(found, expected, strict=True))
    if not isinstance(found, Crossing):
        return bool(found == expected)
    fields = {field.name: (getattr(found, field.name), field.default) for field in dataclasses.fields(found)}
    return all(value == default or agrees(value, getattr(expected, name)) for name, (value, default) in fields.items())


def on_the_wire(kind: type[Crossing], fields: dict[str, Any]) -> bytes:
    """Return what a host sends that has these fields."""

    class Sent:
        def __reduce__(self) -> tuple[Any, Any]:
            return restored, (kind, fields)

    return pickle.dumps(Sent())


def test__everything_that_goes_to_another_host__travels_by_name() -> None:
    plain = (str, int, float, bool, bytes, ActorAddress)
    assert [each for each in ALL if not issubclass(each, (*plain, Enum, Crossing))] == []


def test__what_crosses__has_changed_only_by_the_rule() -> None:
    """If it fails: a new field needs a default, and then write the list anew; for all else see docs/architecture.md."""
    lines = [f"protocol {crossing.OLDEST} to {crossing.NEWEST}"]
    for kind in sorted(MESSAGES, key=lambda each: each.__qualname__):
        lines.append(f"{kind.__module__}.{kind.__qualname__}")
        for field in dataclasses.fields(kind):
            needed = "" if (kind, field.name) in DEFAULTS else ", needed"
            lines.append(f"    {field.name}: {field.type}{needed}")
    lines += [f"{kind.__module__}.{kind.__qualname__}: {', '.join(kind)}" for kind in (Command, EventKind, Trouble)]
    expect_golden(GOLDEN / "crossing.txt", "\n".join(lines))


@pytest.mark.parametrize("line", RECORDED.read_text().splitlines(), ids=lambda line: line.split()[0])
def test__what_version_1_has_sent__is_understood(line: str) -> None:
    name, recorded = line.split()
    found = loaded(base64.b64decode(recorded))
    assert type(found).__name__ == name
    assert agrees(found, example(type(found)))


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test__message__arrives_as_it_was_sent(kind: type[Crossing]) -> None:
    message = example(kind)
    assert loaded(pickle.dumps(message)) == message


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test__message_of_the_next_version__is_understood_without_its_new_field(kind: type[Crossing]) -> None:
    message = example(kind)
    assert loaded(on_the_wire(kind, {"first_of_all": ("new",), **said(message)})) == message


@pytest.mark.parametrize(("kind", "name"), DEFAULTS, ids=lambda value: getattr(value, "__name__", value))
def test__message_of_the_version_before__has_the_default_of_a_field_that_it_lacks(
    kind: type[Crossing], name: str
) -> None:
    fields = said(example(kind))
    del fields[name]
    found = loaded(on_the_wire(kind, fields))
    default = next(each for each in dataclasses.fields(kind) if each.name == name).default
    assert said(found) == {**fields, name: default}


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (
            pickle.dumps((ActorAddress(None), example(status_messages.StatusRequest))).replace(
                b"StatusRequest", b"StatusQuestio"
            ),
            "a message that is not known here (AttributeError)",
        ),
        (
            on_the_wire(status_messages.StatusReply, {"request_id": "1"}),
            "a message that is not known here (TypeError)",
        ),
    ],
    ids=["another class", "a field that is needed"],
)
def test__message_that_cannot_be_understood__is_refused_in_a_line(payload: bytes, why: str) -> None:
    with pytest.raises(RejectedFrameError) as refused:
        _unpickled(payload)
    assert str(refused.value) == why


@pytest.mark.parametrize(
    ("spoken", "trouble"),
    [
        (None, ""),
        ((1, 1), ""),
        ((1, 2), ""),
        ((2, 2), "speaks version 2 of the messages between hosts, this one 1"),
        ((2, 3), "speaks versions 2 to 3 of the messages between hosts, this one 1"),
        ("nonsense", ""),
    ],
)
def test__host_of_another_version(spoken: object, trouble: str) -> None:
    assert trouble_with(spoken) == trouble


def test__host_that_speaks_only_what_came_before__is_not_talked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crossing, "OLDEST", 2)
    monkeypatch.setattr(crossing, "NEWEST", 3)
    expected = "speaks version 1 of the messages between hosts, this one 2 to 3"
    assert (trouble_with(None), trouble_with((1, 1)), trouble_with((1, 2))) == (expected, expected, "")
