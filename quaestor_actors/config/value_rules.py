"""The rules that concern one value alone, as types for the keys of both files.

A rule that is broken says what was expected; `quaestor_actors.config.wording` adds what was found.
"""

from __future__ import annotations

import ipaddress
import re
import resource
import shlex
import signal
from collections.abc import Callable
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator
from pydantic_core import PydanticCustomError, PydanticKnownError

from quaestor_actors.config.yaml_values import shown
from quaestor_actors.core.scaling import MOST_MEMBERS
from quaestor_actors.core.spec import Condition

PLACEHOLDERS: Final = ("{HostName}", "{Port}")

LIMITS: Final = tuple(name.removeprefix("RLIMIT_").lower() for name in dir(resource) if name.startswith("RLIMIT_"))
"""Names of the resource limits that this platform has."""

UNLIMITED: Final = -1
"""The value of a limit that is none, as setrlimit(2) takes it."""

# Longest wait that every timer of the platform can hold: poll() counts milliseconds in 32 bits.
_MAX_SECONDS = 2_000_000
_MAX_HOURS = 1_000_000
_MAX_FRONTENDS = 64
_MAX_PROCESSES = MOST_MEMBERS
_MAX_RETRIES = 1_000_000_000
_MAX_RESTARTS = 100_000
# Sixty-four pauses on, the product is still a number that a float can hold.
_MAX_FACTOR = 1000
_MAX_CHECKS = 1_000_000
_MAX_MEGABYTES = 1_000_000_000
_MAX_FILES = 1000
_MAX_LIMIT = 2**63 - 1
_MAX_UMASK = 0o777
# Below, a short pause of a machine would end its leases; above, a dead host would be handed out for ever.
_MIN_LEASE_SECONDS = 2
_MAX_LEASE_SECONDS = 3600
_BROADCAST = ipaddress.IPv4Address("255.255.255.255")
_ENDPOINT = r"(?:(?P<name>[^\[\]/:\s]+)|\[(?P<ip6>[0-9A-Fa-f:.]+)\]):(?P<port>\d{1,5})"


def _broken(sentence: str) -> PydanticCustomError:
    # Braces would be taken for fields of the template.
    return PydanticCustomError("rule", "{sentence}", {"sentence": sentence})


def _expected(what: str) -> PydanticCustomError:
    """Return the error about a value of which nothing more is to be said than what it should be."""
    return PydanticCustomError("expected", "{what}", {"what": what})


def one_of(words: tuple[str, ...]) -> str:
    """Return the words as a sentence lists them, e.g. `a, b or c`."""
    return " or ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def name_problem(text: str) -> str:
    """Return what is wrong with the name of an agent or a cluster, or empty text. Names become file names."""
    if text.isprintable() and text == text.strip() and re.fullmatch(r"[^./-][^/]{0,59}", text):
        return ""
    rule = "1 to 60 printable characters without `/`, not starting with `.` or `-`"
    return f"expected {rule}, found text '{shown(text)}'"


def _name(text: str) -> str:
    if problem := name_problem(text):
        raise _broken(problem)
    return text


def _port(number: int) -> int:
    if not 1 <= number <= 65535:  # noqa: PLR2004 - the bounds of TCP ports
        raise _broken(f"expected a port from 1 to 65535, found {shown(str(number))}")
    return number


def _host_name(text: str) -> str:
    if not text or not text.isprintable() or re.search(r"[\s/\\]", text):
        raise _broken(f"expected a host name without spaces or slashes, found text '{shown(text)}'")
    if re.fullmatch(r"[^:]+:\d*", text):
        raise _broken(f"expected a host name alone, found text '{shown(text)}'; the port has a key of its own")
    return text


def _host_label(text: str) -> str:
    return _name_of("a host", text)


def _actor_name(text: str) -> str:
    return _name_of("an actor", text)


def _name_of(what: str, text: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9._-]{0,59}", text, re.ASCII):
        rule = "a letter and then letters, digits, `.`, `-` or `_`, 60 at most"
        raise _broken(f"expected the name of {what}, {rule}, found text '{shown(text)}'")
    return text


def _capability(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}", text, re.ASCII):
        rule = "letters, digits, `.`, `-` or `_`, 60 at most"
        raise _broken(f"expected a capability, {rule}, found text '{shown(text)}'")
    return text


def _class_name(text: str) -> str:
    name = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
    if not re.fullmatch(rf"{name}:{name}", text, re.ASCII):
        raise _expected("package.module:Class")
    return text


def _host_address(text: str) -> str:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        raise _expected("an IPv4 address such as 10.0.0.7") from None
    if address.is_unspecified or address.is_multicast or address == _BROADCAST:
        raise _broken(f"{text} is no address of one host; write the one that the other hosts reach it by")
    return text


def _network(text: str) -> str:
    try:
        loose = ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        raise _expected("a network such as 10.0.0.0/24") from None
    try:
        return str(ipaddress.IPv4Network(text))
    except ValueError:
        raise _broken(f"{shown(text)} is an address within a network; did you mean {loose}?") from None


def _endpoint(value: object) -> tuple[str, int]:
    rule = "host:port such as 10.0.0.7:2379 or [::1]:2379, without a scheme"
    if not isinstance(value, str) or (parts := re.fullmatch(_ENDPOINT, value, re.ASCII)) is None:
        raise _expected(rule)
    return _host_name(parts["name"] or parts["ip6"]), _port(int(parts["port"]))


def _user_name(text: str) -> str:
    if not text or not text.isprintable():
        raise _broken(f"expected the name of a user, found text '{shown(text)}'")
    return text


def _file_name(text: str) -> str:
    if not text.strip():
        raise _broken("expected the path of a file, found empty text")
    return text


def _arguments(text: str) -> str:
    try:
        shlex.split(text)
    except ValueError:
        raise _broken("a quote is not closed or a backslash ends the line; arguments split like a shell's") from None
    for found in re.findall(r"\{[A-Za-z_]\w*\}", text):
        if found not in PLACEHOLDERS:
            close = get_close_matches(found.lower(), [known.lower() for known in PLACEHOLDERS], n=1)
            known = [name for name in PLACEHOLDERS if name.lower() in close]
            hint = f"did you mean {known[0]}?" if known else f"known are {', '.join(PLACEHOLDERS)}"
            raise _broken(f"unknown placeholder {shown(found)} ({hint})")
    return text


def _shutdown_action(text: str) -> str:
    if text.lower() not in {"none", "kill"}:
        raise _broken(f"expected None or Kill, found text '{shown(text)}'")
    return text.lower()


def _service_name(text: str) -> str:
    if not text:
        raise _broken("an empty name; leave out serviceNames to check the server as a whole")
    if not text.isprintable() or re.search(r"[\s/]", text):
        raise _broken(f"expected a service name without spaces or slashes, found text '{shown(text)}'")
    return text


def _variable_name(text: str) -> str:
    if not text or not text.isprintable() or re.search(r"[\s=]", text):
        raise _broken(f"'{shown(text)}' cannot name an environment variable")
    return text


def _command(text: str) -> str:
    if not text.strip():
        raise _broken("expected a command, found empty text")
    return _arguments(text)


def _url_path(text: str) -> str:
    if not re.fullmatch(r"/[!-~]*", text):
        rule = "a path that starts with / and has no spaces; other characters are written like %C3%A4"
        raise _broken(f"expected {rule}, found text '{shown(text)}'")
    return text


def _signal_name(text: str) -> str:
    members = signal.Signals.__members__
    by_number = {str(one.value): one.name for one in signal.Signals}
    upper = text.upper()
    name = by_number.get(text) or next((known for known in (upper, f"SIG{upper}") if known in members), None)
    if name is None:
        raise _broken(f"expected a signal such as SIGTERM, found text '{shown(text)}'")
    # Some have two names.
    name = members[name].name
    if name == "SIGSTOP":
        raise _broken("expected a signal that ends a process; SIGSTOP only suspends it")
    return name


def _umask(value: object) -> int:
    # As a bare number 022 is twenty-two in YAML 1.2, and eighteen in YAML 1.1.
    if not isinstance(value, str):
        raise PydanticKnownError("string_type")
    if not re.fullmatch(r"(?:0[oO])?[0-7]{1,5}", value, re.ASCII) or int(value, 8) > _MAX_UMASK:
        raise _expected("an octal number from 000 to 777")
    return int(value, 8)


def _limit_name(text: str) -> str:
    if text.lower() in LIMITS:
        return text.lower()
    close = get_close_matches(text.lower()[:100], LIMITS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(LIMITS)}"
    raise _broken(f"unknown limit ({hint})")


def _limit(value: object) -> int:
    if isinstance(value, str) and value.lower() == "unlimited":
        return UNLIMITED
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_LIMIT:
        raise _expected("a whole number not below 0, or unlimited")
    return value


def _conditions(value: object) -> object:
    """Turn a list of agents into the mapping that it stands for."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, tuple):
        raise PydanticCustomError("agents_type", "a mapping or a list")
    if not all(isinstance(item, str) for item in value):
        raise _broken("a list holds agent types alone; conditions go into a mapping, {KeyValueStore: started}")
    return dict.fromkeys(value, "serving")


def _word_of(kind: type[StrEnum]) -> Callable[[object], StrEnum]:
    words = tuple(member.value for member in kind)

    def word(value: object) -> StrEnum:
        if not isinstance(value, str) or value.lower() not in words:
            raise _expected(one_of(words))
        return kind(value.lower())

    return word


def word_of(kind: type[StrEnum]) -> PlainValidator:
    """Return the rule for one of an enumeration's words; they compare case-insensitively."""
    return PlainValidator(_word_of(kind))


Seconds = Annotated[float, Field(ge=0, le=_MAX_SECONDS, allow_inf_nan=False)]
Period = Annotated[float, Field(gt=0, le=_MAX_SECONDS, allow_inf_nan=False)]
LeaseSeconds = Annotated[float, Field(ge=_MIN_LEASE_SECONDS, le=_MAX_LEASE_SECONDS, allow_inf_nan=False)]
Hours = Annotated[float, Field(ge=0, le=_MAX_HOURS, allow_inf_nan=False)]
Factor = Annotated[float, Field(ge=1, le=_MAX_FACTOR, allow_inf_nan=False)]
Part = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Megabytes = Annotated[int, Field(ge=0, le=_MAX_MEGABYTES)]
FileCount = Annotated[int, Field(ge=0, le=_MAX_FILES)]
ProcessCount = Annotated[int, Field(ge=0, le=_MAX_PROCESSES)]
FrontendCount = Annotated[int, Field(ge=1, le=_MAX_FRONTENDS)]
SomeProcesses = Annotated[int, Field(ge=1, le=_MAX_PROCESSES)]
Retries = Annotated[int, Field(ge=0, le=_MAX_RETRIES)]
Restarts = Annotated[int, Field(ge=0, le=_MAX_RESTARTS)]
Checks = Annotated[int, Field(ge=1, le=_MAX_CHECKS)]
Port = Annotated[int, AfterValidator(_port)]
HostName = Annotated[str, AfterValidator(_host_name)]
HostLabel = Annotated[str, AfterValidator(_host_label)]
ActorName = Annotated[str, AfterValidator(_actor_name)]
Capability = Annotated[str, AfterValidator(_capability)]
ClassName = Annotated[str, AfterValidator(_class_name)]
"""Says nothing about whether there is such a class."""
HostAddress = Annotated[str, AfterValidator(_host_address)]
Network = Annotated[str, AfterValidator(_network)]
Endpoint = Annotated[tuple[str, int], PlainValidator(_endpoint)]
UserName = Annotated[str, AfterValidator(_user_name)]
FileName = Annotated[str, AfterValidator(_file_name)]
Name = Annotated[str, AfterValidator(_name)]
Arguments = Annotated[str, AfterValidator(_arguments)]
Command = Annotated[str, AfterValidator(_command)]
UrlPath = Annotated[str, AfterValidator(_url_path)]
ServiceName = Annotated[str, AfterValidator(_service_name)]
VariableName = Annotated[str, AfterValidator(_variable_name)]
SignalName = Annotated[str, AfterValidator(_signal_name)]
Umask = Annotated[int, PlainValidator(_umask)]
LimitName = Annotated[str, AfterValidator(_limit_name)]
Limit = Annotated[int, PlainValidator(_limit)]
ShutdownWord = Annotated[str, AfterValidator(_shutdown_action)]
ConditionWord = Annotated[Condition, word_of(Condition)]
Conditions = Annotated[dict[str, ConditionWord], BeforeValidator(_conditions)]
