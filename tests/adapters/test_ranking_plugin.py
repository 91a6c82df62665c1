"""Rankings by name: ours, entry points and dotted paths; and what is said of those that cannot be used."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from quaestor_actors.adapters.ranking_plugin import load_ranking, ranking_of
from quaestor_actors.core.load import LoadReport
from quaestor_actors.core.location import Location
from quaestor_actors.core.ranking import Candidate, LeastLoaded, Ranking
from quaestor_actors.core.ranking_original import Original
from quaestor_actors.core.spec import BalancerSpec
from quaestor_actors.errors import ConfigError

BY_PORT = """
class ByPort:
    def rank(self, candidates, *, now):
        return sorted(candidates, key=lambda candidate: (candidate.location.port, candidate.location))
"""

CIRCLE = """
from functools import cmp_to_key

@cmp_to_key
def by_pairs(one, other):
    a, b = one.report, other.report
    if a.known_load_rate is not None and b.known_load_rate is not None:
        return -1 if a.known_load_rate < b.known_load_rate else 1
    return a.current_requests - b.current_requests

"""

DOCUMENT = Path(__file__).parents[2] / "docs" / "ranking.md"

Write = Callable[..., str]


def load(name: str) -> Ranking:
    return load_ranking(name, recently_used_timeout_s=3.0)


def complaint(name: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(name)
    (fault,) = caught.value.faults
    assert fault.path == "loadBalancerConfig.ranking"
    return fault.message


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a module that can be imported until the test ends, and return its name."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def module(text: str, *, name: str = "rankings_of_a_test", entry_point: str = "") -> str:
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
        if entry_point:
            metadata = tmp_path / f"{name}-1.0.dist-info"
            metadata.mkdir()
            (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            (metadata / "entry_points.txt").write_text(f"[quaestor_actors.rankings]\n{entry_point}\n")
        return name

    yield module
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test__ours__are_made_with_the_timeout() -> None:
    assert load("least_loaded") == LeastLoaded(recently_used_timeout_s=3.0)
    assert load("original") == Original(recently_used_timeout_s=3.0)


def test__ranking_of__seed__is_the_default_s() -> None:
    assert ranking_of(BalancerSpec(), seed=3) == LeastLoaded(recently_used_timeout_s=5.0, seed=3)
    assert ranking_of(BalancerSpec(ranking="original"), seed=3) == Original(recently_used_timeout_s=5.0)


def test__dotted_path__class_or_function_or_part_of_a_class(write: Write) -> None:
    text = f"{BY_PORT}\ndef make():\n    return ByPort()\nclass Outer:\n    Inner = ByPort\n"
    name = write(text)
    for attribute in ("ByPort", "make", "Outer.Inner"):
        assert type(load(f"{name}:{attribute}")).__name__ == "ByPort"


def test__entry_point__by_its_name(write: Write) -> None:
    write(BY_PORT, entry_point="by-port = rankings_of_a_test:ByPort")
    assert type(load("by-port")).__name__ == "ByPort"


def test__keyed_ranking__of_the_user_s(write: Write) -> None:
    name = write("""
        from quaestor_actors.core.ranking import KeyedRanking

        class ByPort(KeyedRanking):
            def key(self, candidate, *, host_load, now):
                return (candidate.location.port,)
    """)
    assert type(load(f"{name}:ByPort")).__name__ == "ByPort"


def test__documented_examples__rank_by_requests(write: Write) -> None:
    busy, idle = (
        Candidate(
            location=Location(service_name="Worker", host_name="a", port=port),
            report=LoadReport(request_capacity=9, current_requests=requests),
        )
        for port, requests in ((1, 5), (2, 0))
    )
    examples = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 2
    for number, example in enumerate(examples):
        name = write(example, name=f"documented_{number}")
        assert list(load(f"{name}:FewestRequests").rank([busy, idle], now=0.0)) == [idle, busy]


def test__unknown_name__says_what_there_is(write: Write) -> None:
    write(BY_PORT, entry_point="by-port = rankings_of_a_test:ByPort")
    assert complaint("orignal") == "there is no ranking orignal (did you mean original?)"
    known = "known are least_loaded, original, by-port; or write package.module:Class"
    assert complaint("fastest") == f"there is no ranking fastest ({known})"


def test__no_such_module_or_class__says_the_remedy(write: Write) -> None:
    name = write(BY_PORT)
    remedy = "install it beside quaestor-actors, or name its folder in PYTHONPATH"
    assert complaint("gone_of_a_test:ByPort") == f"there is no module gone_of_a_test; {remedy}"
    assert complaint("gone_of_a_test.inner:ByPort") == f"there is no module gone_of_a_test; {remedy}"
    assert complaint(f"{name}:ByPart") == f"{name} has no ByPart (did you mean ByPort?)"


def test__broken_module__says_why(write: Write) -> None:
    name = write("import a_module_that_is_not_there")
    missing = "ModuleNotFoundError: No module named 'a_module_that_is_not_there'"
    assert complaint(f"{name}:ByPort") == f"{name} cannot be imported: {missing}"
    assert complaint(f"{write('1 / 0', name='divides')}:A") == (
        "divides cannot be imported: ZeroDivisionError: division by zero"
    )
    assert complaint(f"{write('raise SystemExit', name='leaves')}:A") == "leaves cannot be imported: SystemExit"


def test__broken_entry_point__says_why(write: Write) -> None:
    write(BY_PORT, entry_point="by-port = rankings_of_a_test:Gone")
    expected = "the entry point by-port (rankings_of_a_test:Gone) cannot be loaded: AttributeError: "
    assert complaint("by-port").startswith(expected)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("A = 5", "M:A is no class; name a class, or a function without arguments that returns a ranking"),
        (
            "class A:\n    def __init__(self, x): pass",
            "M:A cannot be made without arguments: TypeError: A.__init__() missing 1 required positional argument: 'x'",
        ),
        ("class A: pass", "M:A has no method rank(candidates, *, now)"),
        (
            "class A:\n    def rank(self, candidates): return candidates",
            "M:A cannot rank four locations: TypeError: A.rank() got an unexpected keyword argument 'now'",
        ),
        (
            "class A:\n    def rank(self, candidates, *, now): return []",
            "M:A does not return the candidates that it was given",
        ),
        (
            "class A:\n    def rank(self, candidates, *, now): return candidates",
            "M:A is no total order: the same four locations are ranked now so and now otherwise",
        ),
        (
            f"{CIRCLE}class A:\n    def rank(self, candidates, *, now): return sorted(candidates, key=by_pairs)",
            "M:A is no total order: the same four locations are ranked now so and now otherwise",
        ),
        (
            "class A:\n    def rank(self, candidates, *, now): raise RuntimeError('not today')",
            "M:A cannot rank four locations: RuntimeError: not today",
        ),
        (
            "from quaestor_actors.core.ranking import KeyedRanking\nclass A(KeyedRanking): pass",
            "M:A cannot be made without arguments: TypeError: Can't instantiate abstract class A",
        ),
    ],
)
def test__no_ranking__says_what_is_wrong(write: Write, body: str, expected: str) -> None:
    name = write(body)
    assert complaint(f"{name}:A").replace(name, "M").startswith(expected)


def test__ranking_of__what_cannot_be_loaded_any_more__is_replaced_and_said(caplog: pytest.LogCaptureFixture) -> None:
    spec = BalancerSpec(ranking="gone_of_a_test:A", recently_used_timeout_s=2.0)
    with caplog.at_level(logging.ERROR):
        assert ranking_of(spec) == LeastLoaded(recently_used_timeout_s=2.0)
    (line,) = caplog.messages
    assert line.startswith("loadBalancerConfig.ranking: there is no module gone_of_a_test; ")
    assert line.endswith("; ranking by least_loaded until the balancer starts anew")


def test__ranking_of__what_can_be_loaded__is_used_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    assert ranking_of(BalancerSpec(ranking="original")) == Original(recently_used_timeout_s=5.0)
    assert not caplog.messages


@pytest.mark.parametrize(("name", "code", "said"), [("original", 0, ""), ("orignal", 1, "(did you mean original?)\n")])
def test__as_a_program__tells_by_its_code_and_last_line(name: str, code: int, said: str) -> None:
    command = [sys.executable, "-P", "-m", "quaestor_actors.adapters.ranking_plugin", name]
    trial = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (trial.returncode, trial.stdout) == (code, "")
    assert trial.stderr.endswith(said)
