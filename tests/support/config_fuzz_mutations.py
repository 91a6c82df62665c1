"""Ways to spoil a configuration: its values, its structure, what its parts say of each other, and its bytes."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from random import Random
from typing import Any

from support.config_fuzz_documents import TYPES, Pairs, Raw, as_pairs, good_values

from quaestor_actors.config.schema import ActorKeys, ClusterKeys, FloatingKeys, HostKeys, LoadBalancerKeys
from quaestor_actors.config.schema_agent import AgentKeys

Mutation = Callable[[Any, Random], None]
ByteMutation = Callable[[bytes, Random], bytes]

LAUGHS = (
    "[&a [x,x,x,x,x,x,x,x,x], &b [*a,*a,*a,*a,*a,*a,*a,*a], &c [*b,*b,*b,*b,*b,*b,*b,*b], [*c,*c,*c,*c,*c,*c,*c,*c]]"
)

WILD: list[Any] = [
    *(None, True, False, -1, 0, 1, 7, 65536, 2**31, 2**63, 10**30, 10**305, -0.0, 0.5, 1e300),
    *("", " ", "x" * 5000, "\u65e5\u672c" * 40, "e\u0301", "\u202e", "\x1b[31m", "a\nb: c", "\t", "\\", "'", "\ud7ff"),
    *("yes", "no", "{Port}", "{port}", "{}", "%s", "../..", "/dev/zero", "/proc/self/mem", "a/b", "-", "~root", "*"),
    *map(Raw, (".nan", ".inf", "-.inf", "1e999", "1_000", "0o17", "0x1F", "0x" + "f" * 99, "9" * 400, "2020-01-01")),
    *map(
        Raw, ("~", "", "=", "<<", "? a", "- a", "!!python/object/apply:os.system [x]", "!!python/name:os.x a", "!x a")
    ),
    *map(Raw, ("!!int '1'", "!!binary aGk=", "!!set {a}", "&a [*a]", "&a {a: *a}", "*nobody", "{<<: {a: 1}}", LAUGHS)),
    *map(Raw, ("[" * 60 + "]" * 60, "[" * 60, "{a: " * 50 + "1" + "}" * 50, '"\\U0010ffff"', '"\\UFFFFFFFF"')),
    *map(
        Raw, ('"\\ud800"', '"\\0"', '"\\x85"', '"\\L"', "'unclosed", '"unclosed', "[1, 2", "{a: 1", "|\n  text", ">-")
    ),
    *([], [[]], [None], [1, "a", None], list(range(300)), [5161] * 300, Pairs(), Pairs([("a", 1)]), Pairs([([1], 2)])),
]

KINDS = (ClusterKeys, LoadBalancerKeys, AgentKeys, HostKeys, FloatingKeys, ActorKeys)

JUNK = [
    *(
        b"\t",
        b"\r",
        b"\0",
        b"\xef\xbb\xbf",
        b"\xc2\x85",
        b"\xe2\x80\xa8",
        b"\xed\xa0\x80",
        b"\xff",
        b"\x7f",
        b"\x1b[2J",
    ),
    *(
        b": ",
        b"- ",
        b"\n",
        b" ",
        b"&a ",
        b"*a",
        b"!!",
        b"|",
        b"'",
        b'"',
        b"#",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b"@",
        b"`",
    ),
    *(b"%YAML 1.1\n---\n", b"---\n", b"...\n", b"<<: *a\n"),
]

KEYS = [name for kind in KINDS for name in kind.names()]


def _containers(root: Any) -> list[Any]:
    """Return every list and mapping of a document that has something in it."""
    found, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, list) or not node:
            continue
        found.append(node)
        waiting.extend(inner for _, inner in node) if isinstance(node, Pairs) else waiting.extend(node)
    return found


def _agents(root: Any) -> list[Any]:
    for key, inner in root if isinstance(root, Pairs) else ():
        if key == "agents" and isinstance(inner, list) and not isinstance(inner, Pairs):
            return inner
    return []


def _mappings(root: Any) -> list[Any]:
    return [node for node in _containers(root) if isinstance(node, Pairs)]


def _put(node: Any, at: int, value: Any) -> None:
    node[at] = (node[at][0], value) if isinstance(node, Pairs) else value


def _get(node: Any, at: int) -> Any:
    return node[at][1] if isinstance(node, Pairs) else node[at]


def _spot(root: Any, chance: Random) -> tuple[Any, int] | None:
    containers = _containers(root)
    if not containers:
        return None
    node = chance.choice(containers)
    return node, chance.randrange(len(node))


def wild_value(root: Any, chance: Random) -> None:
    """Put something else in a value's place."""
    if (spot := _spot(root, chance)) is not None:
        _put(*spot, chance.choice(WILD))


def wild_key(root: Any, chance: Random) -> None:
    """Put something else in a key's place."""
    if mappings := _mappings(root):
        node = chance.choice(mappings)
        at = chance.randrange(len(node))
        node[at] = (chance.choice([*WILD, *KEYS]), node[at][1])


def other_case(root: Any, chance: Random) -> None:
    """Write a key in another case, or with a slip."""
    if mappings := _mappings(root):
        node = chance.choice(mappings)
        at = chance.randrange(len(node))
        key, value = node[at]
        if isinstance(key, str) and len(key) > 1 and not isinstance(key, Raw):
            slip = chance.randrange(len(key) - 1)
            swapped = key[:slip] + key[slip + 1] + key[slip] + key[slip + 2 :]
            node[at] = (chance.choice([key.upper(), key.lower(), key.swapcase(), swapped, key + "s"]), value)


def another_key(root: Any, chance: Random) -> None:
    """Add a key that there is, with a value that is good or at least for another key."""
    if mappings := _mappings(root):
        node = chance.choice(mappings)
        kind = chance.choice((AgentKeys, AgentKeys, AgentKeys, ClusterKeys, LoadBalancerKeys))
        good = good_values(kind)
        name = chance.choice(list(good))
        source = name if chance.random() < 0.8 else chance.choice(list(good))
        if good[source]:
            node.insert(chance.randrange(len(node) + 1), (name, as_pairs(chance.choice(good[source]))))


def twice(root: Any, chance: Random) -> None:
    """Have an item or a key a second time."""
    if (spot := _spot(root, chance)) is not None:
        node, at = spot
        node.append(node[at])


def gone(root: Any, chance: Random) -> None:
    """Leave something out."""
    if (spot := _spot(root, chance)) is not None:
        node, at = spot
        del node[at]


def swapped(root: Any, chance: Random) -> None:
    """Exchange two values of the document; none within the other."""
    one, other = _spot(root, chance), _spot(root, chance)
    if one is None or other is None:
        return
    first, second = _get(*one), _get(*other)
    if any(node is one[0] for node in _containers(second)) or any(node is other[0] for node in _containers(first)):
        return
    _put(*one, second)
    _put(*other, first)


def deeper(root: Any, chance: Random) -> None:
    """Put a value into a list or a mapping."""
    if (spot := _spot(root, chance)) is not None:
        value = _get(*spot)
        _put(*spot, chance.choice([[value], Pairs([("a", value)]), [value, value]]))


def flatter(root: Any, chance: Random) -> None:
    """Put an inner value in the place of what it is in."""
    if (spot := _spot(root, chance)) is not None:
        value = _get(*spot)
        if isinstance(value, list) and value:
            _put(*spot, _get(value, chance.randrange(len(value))))


def links(root: Any, chance: Random) -> None:
    """Let agents wait for each other, for themselves or for nobody there is."""
    agents = [agent for agent in _agents(root) if isinstance(agent, Pairs)]
    for agent in agents:
        targets = chance.sample(TYPES, chance.randrange(3))
        if chance.random() < 0.3:
            agent.append(
                ("dependsOn", Pairs((target, chance.choice(["started", "completed", "x"])) for target in targets))
            )
        else:
            agent.append(("dependsOn", targets))


def same_type(root: Any, chance: Random) -> None:
    """Give agents the same types, or special ones."""
    for agent in _agents(root):
        if isinstance(agent, Pairs) and chance.random() < 0.5:
            agent[:] = [("agentType", chance.choice(TYPES)), *(pair for pair in agent if pair[0] != "agentType")]


def numbers(root: Any, chance: Random) -> None:
    """Let ports and processes be of different numbers, and ports of several agents be the same."""
    for agent in _agents(root):
        if isinstance(agent, Pairs):
            ports = [chance.choice([5150, 5161, 5162, 2379, 2380, 65535]) for _ in range(chance.randrange(4))]
            agent += [("ports", ports), ("processCount", chance.choice([0, 1, 2, 3, 250]))]


def hosts(root: Any, chance: Random) -> None:
    """Let an etcd be of several hosts, some of which there are."""
    known = ["127.0.0.1", "127.0.0.2", "localhost", "LOCALHOST", "192.0.2.1", "::1", "somebody", "a:1", "."]
    for agent in _agents(root):
        if isinstance(agent, Pairs):
            agent.append(("hosts", chance.sample(known, chance.randrange(4))))
            agent.append(("hostName", chance.choice(known)))


def named_agents(root: Any, chance: Random) -> None:
    """Write the agents as a mapping."""
    agents = _agents(root)
    if agents:
        at = next(at for at, pair in enumerate(root) if pair[0] == "agents")
        root[at] = ("agents", Pairs((chance.choice(TYPES), agent) for agent in agents))


MUTATIONS: dict[str, Mutation] = {
    each.__name__: each
    for each in (
        *(wild_value, wild_key, other_case, another_key, twice, gone, swapped, deeper, flatter),
        *(links, same_type, numbers, hosts, named_agents),
    )
}


def truncated(raw: bytes, chance: Random) -> bytes:
    """Let the file end anywhere."""
    return raw[: chance.randrange(len(raw) + 1)]


def with_junk(raw: bytes, chance: Random) -> bytes:
    """Insert a few bytes, random or ones that mean something."""
    junk = chance.choice([*JUNK, *(chance.randbytes(chance.randrange(1, 6)) for _ in range(5))])
    at = chance.randrange(len(raw) + 1)
    return raw[:at] + junk + raw[at:]


def without_some(raw: bytes, chance: Random) -> bytes:
    """Leave a few bytes out."""
    at = chance.randrange(len(raw) + 1)
    return raw[:at] + raw[at + chance.randrange(1, 20) :]


def flipped(raw: bytes, chance: Random) -> bytes:
    """Flip a bit."""
    at = chance.randrange(len(raw) + 1)
    return raw[:at] + bytes(byte ^ 1 << chance.randrange(8) for byte in raw[at : at + 1]) + raw[at + 1 :]


def repeated(raw: bytes, chance: Random) -> bytes:
    """Have a piece several times."""
    at = chance.randrange(len(raw) + 1)
    return raw[:at] + raw[at : at + chance.randrange(1, 60)] * chance.randrange(2, 30) + raw[at:]


def indented(raw: bytes, chance: Random) -> bytes:
    """Indent a line otherwise, with spaces or a tab."""
    lines = raw.split(b"\n")
    at = chance.randrange(len(lines))
    lines[at] = chance.choice([b" ", b"   ", b"\t", b"  \t"]) + lines[at].lstrip(b" " if at % 2 else b"")
    return b"\n".join(lines)


def other_lines(raw: bytes, chance: Random) -> bytes:
    """End lines as other systems do."""
    return raw.replace(b"\n", chance.choice([b"\r\n", b"\r", b"\n\r", b"\n\n"]))


def other_encoding(raw: bytes, chance: Random) -> bytes:
    """Write the file in another encoding, or with a mark of its own."""
    text = raw.decode("utf-8", errors="replace")
    kind = chance.choice(["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "latin-1", "twice"])
    return codecs.BOM_UTF8 * 2 + raw if kind == "twice" else text.encode(kind, errors="replace")


BYTE_MUTATIONS: dict[str, ByteMutation] = {
    each.__name__: each
    for each in (truncated, with_junk, without_some, flipped, repeated, indented, other_lines, other_encoding)
}
