"""The keys of both files: their types, their defaults, and the rules that concern one value alone.

These models live only between YAML and the frozen specs of `quaestor_actors.core.spec`. Every key has a
default: that a required one is missing is found by the checks, which know its place.
"""

from __future__ import annotations

import re
import shlex
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from quaestor_actors.config.yaml_values import shown

PLACEHOLDERS = ("{HostName}", "{Port}")

# Longest wait that every timer of the platform can hold: poll() counts milliseconds in 32 bits.
_MAX_SECONDS = 2_000_000
_MAX_HOURS = 1_000_000
_MAX_PROCESSES = 10_000
_MAX_RETRIES = 1_000_000_000


def _broken(sentence: str) -> PydanticCustomError:
    # Braces would be taken for fields of the template.
    return PydanticCustomError("rule", "{sentence}", {"sentence": sentence})


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


Seconds = Annotated[float, Field(ge=0, le=_MAX_SECONDS, allow_inf_nan=False)]
Period = Annotated[float, Field(gt=0, le=_MAX_SECONDS, allow_inf_nan=False)]
Port = Annotated[int, AfterValidator(_port)]
HostName = Annotated[str, AfterValidator(_host_name)]
FileName = Annotated[str, AfterValidator(_file_name)]
Name = Annotated[str, AfterValidator(_name)]


class Keys(BaseModel):
    """The keys of one mapping in a file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the keys as they are written in a file."""
        return tuple(str(info.alias) for info in cls.model_fields.values())

    def written(self) -> dict[str, Any]:
        """Return what the file says, by the keys' written names, without defaults."""
        return self.model_dump(by_alias=True, exclude_unset=True)


class ClusterKeys(Keys):
    """`clusterConfig`."""

    name: Name | None = None
    heart_beat_interval_seconds: Period = 30.0
    member_response_time_out_seconds: Period = 5.0
    member_max_shutdown_time_seconds: Seconds = 45.0
    member_max_startup_retries: Annotated[int, Field(ge=0, le=_MAX_RETRIES)] = 25


class AgentKeys(Keys):
    """One of `agents`, in either file."""

    agent_type: Name | None = None
    executable_path: FileName | None = None
    command_line_arguments: Annotated[str, AfterValidator(_arguments)] = ""
    environment_variables: dict[Annotated[str, AfterValidator(_variable_name)], str] = Field(default_factory=dict)
    process_count: Annotated[int, Field(ge=0, le=_MAX_PROCESSES)] = 1
    ports: tuple[Port, ...] = ()
    host_name: HostName = "localhost"
    use_tls: Annotated[bool, Field(alias="useTLS")] = False
    client_certificate: FileName | None = None
    service_names: tuple[Annotated[str, AfterValidator(_service_name)], ...] = ()
    startup_wait_seconds: Period = 8.0
    recycling_interval_hours: Annotated[float, Field(ge=0, le=_MAX_HOURS, allow_inf_nan=False)] = 0.0
    exclude_from_service_registry: bool = False
    cluster_shutdown_action: Annotated[str, AfterValidator(_shutdown_action)] = "none"


class LoadBalancerKeys(Keys):
    """`loadBalancerConfig`."""

    host_name: HostName = "localhost"
    port: Port = 5150
    certificate: FileName | None = None
    private_key_file: FileName | None = None
    enforce_mutual_tls: bool = False
    service_response_timeout_seconds: Period = 2.0
    recently_used_timeout_seconds: Seconds = 5.0
