"""`actors` of a cluster: what is read, where they run, and faults with their places."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.cluster import ROOT
from support.config_hosts import COOKIE, THREE, be

from quaestor_actors.config import CLUSTER_FILE, LoadedCluster, actors, load_cluster
from quaestor_actors.core.restart import Intensity, RestartType
from quaestor_actors.core.spec import ActorSpec
from quaestor_actors.core.user_actor import actors_here, hosts_of
from quaestor_actors.errors import ConfigError

ABLE = (
    "{a1: {address: 10.0.0.1}, a2: {address: 10.0.0.2, capabilities: [camera, gpu]}, "
    "a3: {address: 10.0.0.3, capabilities: [gpu, disk, gpu]}}"
)
NAME_RULE = "expected the name of an actor, a letter and then letters, digits, `.`, `-` or `_`, 60 at most"
NOBODY_WARPS = "no host has the capability warp (known are camera, disk, gpu)"
REMEDY = "put it beside the configuration, install it beside quaestor-actors, or name its folder in PYTHONPATH"
MODULE = """
import sys
from quaestor_actors.actor import Actor, requires
print("talk")
sys.stderr.write("talk\\n")

class Plain(Actor):
    def __init__(self, path: str = "", limit: int = 1) -> None: ...

@requires("camera")
class Seeing(Actor): ...

@requires("gpu", "camera")
class Both(Seeing): ...

@requires("warp")
class Warping(Actor): ...

class Needy(Actor):
    def __init__(self, path: str) -> None: ...

Stranger = dict
number = 7
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with classes beside the configuration, on the host 10.0.0.2."""
    be(monkeypatch, "10.0.0.2")
    (tmp_path / "parts.py").write_text(MODULE)
    return tmp_path


def load(folder: Path, actors: str, *, hosts: str | None = ABLE, agents: str = " []") -> LoadedCluster:
    """Load a cluster whose actors are in line 3."""
    of_hosts = "" if hosts is None else f"  hosts: {hosts}\n"
    text = f"clusterConfig:\n  name: c\n  actors: {actors}\n{of_hosts}agents:\n{agents}\n"
    (folder / CLUSTER_FILE).write_text(text)
    return load_cluster(folder, environ=COOKIE)


def complaints(folder: Path, actors: str, *, hosts: str | None = ABLE, agents: str = " []") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, actors, hosts=hosts, agents=agents)
    assert {fault.line for fault in caught.value.faults} == {3}
    return [f"{fault.path}: {fault.message}".removeprefix("clusterConfig.actors.") for fault in caught.value.faults]


def of_class(name: str, keys: str = "") -> str:
    return f"{{T: {{class: 'parts:{name}'{keys}}}}}"


def test__nothing_given__one_machine(folder: Path) -> None:
    spec = load(folder, of_class("Plain"), hosts=None).spec
    assert spec.actors == (ActorSpec(name="T", class_name="parts:Plain", folder=str(folder)),)
    assert list(actors_here(spec)) == ["T"]


def test__everything_given(folder: Path) -> None:
    keys = ", settings: {path: '07', limit: 0x10}, hosts: [A2, a3], requires: [gpu], restart: Transient, intensity: 3"
    (actor,) = load(folder, of_class("Plain", f"{keys}, periodSeconds: 9, essential: true")).spec.actors
    assert actor == ActorSpec(
        name="T",
        class_name="parts:Plain",
        folder=str(folder),
        settings={"path": "07", "limit": 16},
        hosts=("a2", "a3"),
        requires=("gpu",),
        restart=RestartType.TRANSIENT,
        intensity=Intensity(limit=3, period_s=9.0),
        essential=True,
    )


def test__settings__are_what_yaml_has(folder: Path) -> None:
    (folder / "parts.py").write_text(
        "from quaestor_actors.actor import Actor\nclass Any(Actor):\n    def __init__(self, **settings): ..."
    )
    keys = ", settings: {a: [1, 2.5, x, [true]], b: {c: null, D: {e: ''}}, B: no}"
    (actor,) = load(folder, of_class("Any", keys)).spec.actors
    assert actor.settings == {"a": [1, 2.5, "x", [True]], "b": {"c": None, "D": {"e": ""}}, "B": "no"}
    assert "2.5" not in repr(actor)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{T: }", "T: expected a mapping, found nothing"),
        ("{T: {}}", "T.class: missing; name it as package.module:Class"),
        ("{T: {class: m}}", "T.class: expected package.module:Class, found text 'm'"),
        (of_class("Plain", ", clas: m"), "T.clas: unknown key (did you mean class?)"),
        (
            "{T/1: {class: 'm:T'}}",
            f"T/1: {NAME_RULE}, found text 'T/1'",
        ),
        (
            of_class("Plain", ", periodSeconds: 5"),
            "T.periodSeconds: needs intensity, the number of restarts within it",
        ),
        (of_class("Plain", ", settings: [1]"), "T.settings: expected a mapping, found a list"),
        (
            of_class("Plain", ", settings: {path: {a: 1, a: 2}}"),
            "T.settings.path.a: the key is there already",
        ),
        (
            of_class("Plain", ", settings: {limit: .nan}"),
            "T.settings.limit: expected a finite number, found the number .nan",
        ),
        (of_class("Plain", ", hosts: []"), "T.hosts: names no host; remove it for all of them"),
        (
            of_class("Plain", ", hosts: [a2, b2]"),
            "T.hosts[1]: there is no host b2 (known are a1, a2, a3)",
        ),
        (
            of_class("Plain", ", requires: [gpu, camrea]"),
            "T.requires[1]: no host has the capability camrea (did you mean camera?)",
        ),
        (
            of_class("Plain", ", requires: [warp]"),
            f"T.requires[0]: {NOBODY_WARPS}",
        ),
        (
            of_class("Plain", ", requires: [camera, disk]"),
            "T.requires: no host has all of camera, disk",
        ),
        (
            of_class("Plain", ", requires: [camera], hosts: [a2, a3]"),
            "T.hosts: a3 has not the capability camera, which is required",
        ),
        (
            of_class("Plain", ", requires: ['a b']"),
            "T.requires[0]: expected a capability, letters, digits, `.`, `-` or `_`, 60 at most, found text 'a b'",
        ),
        # Only the class itself can say these.
        (
            of_class("Plian"),
            "T.class: parts has no Plian (did you mean Plain?)",
        ),
        (
            of_class("Needy"),
            "T.class: parts:Needy does not take these settings: missing a required argument: 'path'",
        ),
        (
            of_class("Plain", ", settings: {paht: x}"),
            "T.class: parts:Plain does not take these settings: got an unexpected keyword argument 'paht'",
        ),
        (
            of_class("Stranger"),
            "T.class: parts:Stranger is no class that is derived from quaestor_actors.actor.Actor",
        ),
        (
            "{T: {class: 'gone:T'}}",
            f"T.class: there is no module gone; {REMEDY}",
        ),
        (
            of_class("Warping"),
            f"T.class: parts:Warping requires a capability: {NOBODY_WARPS}",
        ),
        (
            of_class("Seeing", ", hosts: [a2, a3]"),
            "T.class: parts:Seeing requires camera: a3 has not the capability camera, which is required",
        ),
    ],
)
def test__what_is_wrong__has_its_place_and_a_remedy(folder: Path, text: str, expected: str) -> None:
    assert complaints(folder, text) == [expected]


def test__name__no_agent_has_it(folder: Path) -> None:
    agents = "- {agentType: t, executablePath: /bin/sh}"
    assert complaints(folder, of_class("Plain"), agents=agents) == [
        "T: an agent is called T; commands and events could not tell them apart"
    ]


def test__one_machine__names_no_hosts_and_has_what_a_class_requires(folder: Path) -> None:
    assert complaints(folder, of_class("Plain", ", hosts: [a1], requires: [x]"), hosts=None) == [
        "T.hosts: clusterConfig has no hosts; name them there, or remove this",
        "T.requires: clusterConfig has no hosts; name them there, or remove this",
    ]
    spec = load(folder, of_class("Warping"), hosts=None).spec
    assert list(actors_here(spec)) == ["T"]


@pytest.mark.parametrize(
    ("name", "keys", "expected"),
    [
        ("Plain", "", ("a1", "a2", "a3")),
        ("Plain", ", requires: [gpu]", ("a2", "a3")),
        ("Seeing", "", ("a2",)),
        ("Both", "", ("a2",)),
        ("Seeing", ", requires: [gpu]", ("a2",)),
    ],
)
def test__hosts__are_those_that_have_what_file_and_class_require(
    folder: Path, name: str, keys: str, expected: tuple[str, ...]
) -> None:
    spec = load(folder, of_class(name, keys)).spec
    assert hosts_of(spec.actors[0], spec.hosts) == expected


@pytest.mark.parametrize("keys", ["hosts: [a1]", "requires: [disk]"])
def test__elsewhere__its_class_need_not_be_here(folder: Path, keys: str) -> None:
    spec = load(folder, f"{{T: {{class: 'gone:T', {keys}}}}}").spec
    assert (len(spec.actors), actors_here(spec)) == (1, {})


def test__no_host_has_any_capability(folder: Path) -> None:
    assert complaints(folder, of_class("Plain", ", requires: [x]"), hosts=THREE) == [
        "T.requires[0]: no host has the capability x (none has any)"
    ]


def test__broken_module__cannot_hurt_the_reader(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "parts.py").write_text("import os\nos._exit(7)")
    at = "T.class: "
    assert complaints(folder, of_class("Plain")) == [
        f"{at}parts:Plain ends its process with code 7 when it is imported"
    ]
    (folder / "parts.py").write_text("1 / 0")
    assert complaints(folder, of_class("Plain")) == [
        f"{at}parts cannot be imported: ZeroDivisionError: division by zero"
    ]
    monkeypatch.setattr(actors, "_TRIAL_S", 0.5)
    (folder / "parts.py").write_text("import threading\nthreading.Event().wait()")
    assert complaints(folder, of_class("Plain")) == [f"{at}parts:Plain takes longer than 0.5 s to be imported"]


def test__module_beside_the_configuration__stands_in_for_no_other(folder: Path) -> None:
    (folder / "colorsys.py").write_text("1 / 0")
    (folder / "parts.py").write_text(f"import colorsys\n{MODULE}")
    assert load(folder, of_class("Plain")).spec.actors


def test__temporary__has_no_limit(folder: Path) -> None:
    (warning,) = load(folder, of_class("Plain", ", restart: temporary, intensity: 3"), hosts=None).warnings
    assert warning.endswith("actors.T.intensity: has no effect; an actor with restart temporary is not restarted")


def test__page__its_class_fits_its_configuration(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "actors.md").read_text()
    (program, _), (configuration,) = (
        re.findall(rf"^```{kind}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL) for kind in ("python", "yaml")
    )
    (folder / "sensors.py").write_text(f"{program}\n\nclass Siren(Actor): ...\n")
    (folder / CLUSTER_FILE).write_text(configuration)
    for address, expected in {"10.0.0.7": ["Siren"], "10.0.0.8": ["Thermometer"]}.items():
        be(monkeypatch, address)
        assert list(actors_here(load_cluster(folder, environ=COOKIE).spec)) == expected
