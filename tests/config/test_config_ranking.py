"""`ranking` and `loadReportMaxAgeSeconds`: defaults, values, and faults with their places."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from quaestor_actors.config import LOAD_BALANCER_FILE, balancer, load_balancer
from quaestor_actors.core.spec import BalancerSpec
from quaestor_actors.errors import ConfigError

AT = "2:12: loadBalancerConfig.ranking: "
BY_PORT = """
class ByPort:
    def rank(self, candidates, *, now):
        return sorted(candidates, key=lambda candidate: (candidate.location.port, candidate.location))
"""

Install = Callable[[str], None]


def read(folder: Path, keys: str) -> BalancerSpec:
    (folder / LOAD_BALANCER_FILE).write_text(f"loadBalancerConfig:\n  {keys}\n")
    spec = load_balancer(folder, environ={}).spec.balancer
    assert spec is not None
    return spec


def complaints(folder: Path, keys: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(folder, keys)
    return [str(fault).removeprefix(f"{folder / LOAD_BALANCER_FILE}:") for fault in caught.value.faults]


@pytest.fixture
def install(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Make a module `rankings_of_a_test` for processes that are started."""
    folder = tmp_path_factory.mktemp("installed")
    monkeypatch.setenv("PYTHONPATH", str(folder))

    def module(text: str) -> None:
        (folder / "rankings_of_a_test.py").write_text(textwrap.dedent(text))

    return module


def test__nothing_given__is_ours(tmp_path: Path) -> None:
    spec = read(tmp_path, "port: 5150")
    assert (spec.ranking, spec.load_report_max_age_s) == ("least_loaded", 60.0)


def test__given__is_taken(tmp_path: Path) -> None:
    spec = read(tmp_path, "{ranking: original, loadReportMaxAgeSeconds: 2.5}")
    assert (spec.ranking, spec.load_report_max_age_s) == ("original", 2.5)


def test__class_of_the_user_s__is_tried_out_elsewhere_and_taken(tmp_path: Path, install: Install) -> None:
    install(f"import sys\nprint('hello')\nsys.stderr.write('talk\\n')\n{BY_PORT}")
    assert read(tmp_path, "ranking: rankings_of_a_test:ByPort").ranking == "rankings_of_a_test:ByPort"


@pytest.mark.parametrize("name", ["''", "a b", "':A'", "'a.b:'", "a:b:c", "../a:B", "-c", "'a.b:C()'"])
def test__not_like_a_name__says_what_is_expected(tmp_path: Path, name: str) -> None:
    expected = f"{AT}expected least_loaded, original, the name of an entry point or package.module:Class, found text "
    assert complaints(tmp_path, f"ranking: {name}") == [f"{expected}'{name.strip(chr(39))}'"]


def test__no_such_ranking__has_its_place_and_a_remedy(tmp_path: Path) -> None:
    assert complaints(tmp_path, "ranking: orignal") == [f"{AT}there is no ranking orignal (did you mean original?)"]
    remedy = "install it beside quaestor-actors, or name its folder in PYTHONPATH"
    assert complaints(tmp_path, "ranking: gone_of_a_test:A") == [f"{AT}there is no module gone_of_a_test; {remedy}"]


def test__broken_module__cannot_hurt_the_reader(tmp_path: Path, install: Install) -> None:
    install("import os\nos._exit(7)")
    ranking = "ranking: rankings_of_a_test:ByPort"
    assert complaints(tmp_path, ranking) == [f"{AT}it ends its process with code 7"]
    install("import sys\nsys.stderr.write('talk\\n')\n1 / 0")
    why = "rankings_of_a_test cannot be imported: ZeroDivisionError: division by zero"
    assert complaints(tmp_path, ranking) == [f"{AT}{why}"]


def test__module_that_hangs__is_given_up(tmp_path: Path, install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balancer, "_RANKING_TRIAL_S", 0.5)
    install("import threading\nthreading.Event().wait()")
    expected = f"{AT}rankings_of_a_test:ByPort takes longer than 0.5 s to be imported and tried"
    assert complaints(tmp_path, "ranking: rankings_of_a_test:ByPort") == [expected]


def test__module_in_the_current_directory_alone__is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rankings_of_a_test.py").write_text(BY_PORT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (line,) = complaints(tmp_path, "ranking: rankings_of_a_test:ByPort")
    assert line.startswith(f"{AT}there is no module rankings_of_a_test; ")


@pytest.mark.parametrize("value", ["0", "-1", ".inf", "soon"])
def test__age_that_is_none__is_a_fault(tmp_path: Path, value: str) -> None:
    (line,) = complaints(tmp_path, f"loadReportMaxAgeSeconds: {value}")
    assert line.startswith("2:28: loadBalancerConfig.loadReportMaxAgeSeconds: expected a")
