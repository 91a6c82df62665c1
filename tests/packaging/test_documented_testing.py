"""docs/testing.md: every program on the page runs, with what users have: pytest or unittest, and perhaps hypothesis."""

from __future__ import annotations

import re
import subprocess
import sys
import unittest
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.cluster import ROOT

from quaestor_actors.adapters.store_memory import MemoryStore
from quaestor_actors.core.store import Store
from quaestor_actors.testing.store_contract import KeysContract

PAGE = ROOT / "docs" / "testing.md"
RANKINGS = ROOT / "docs" / "ranking.md"

WITHOUT_HYPOTHESIS = "import sys; sys.modules['hypothesis'] = None; import quaestor_actors.testing"


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


QUICK = """
from hypothesis import settings

settings.register_profile("quick", max_examples=10, derandomize=True, database=None, deadline=None)
settings.load_profile("quick")
"""

CONFTEST, RANKING, HARDER, STORE, FAKES = blocks(PAGE)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Return a folder with `my_package`, whose rankings are those of another page."""
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "stores.py").write_text("from quaestor_actors.adapters.store_memory import MemoryStore as MyStore\n")
    (tmp_path / "conftest.py").write_text(CONFTEST + QUICK)
    return package


def outcomes(folder: Path, text: str) -> dict[str, int]:
    """Return how many cases of a module passed, failed and so on, as pytest says."""
    (folder / "test_mine.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), "test_mine.py"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=100)
    last_line = run.stdout.strip().splitlines()[-1]
    return {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", last_line)}


@pytest.mark.parametrize(
    ("example", "text", "expected"), [(0, RANKING, {"passed": 7, "skipped": 3}), (1, HARDER, {"passed": 10})]
)
def test__ranking__keeps_the_contract(package: Path, example: int, text: str, expected: dict[str, int]) -> None:
    (package / "rankings.py").write_text(blocks(RANKINGS)[example])
    assert outcomes(package.parent, text.replace("max_examples=1000", "max_examples=20")) == expected


def test__store__keeps_the_contract(package: Path) -> None:
    assert outcomes(package.parent, STORE) == {"passed": 26}


def test__contract__is_run_by_unittest_as_well() -> None:
    class ByUnittest(KeysContract, unittest.TestCase):
        shares_data = False
        many_keys = 10

        @asynccontextmanager
        async def open_store(self) -> AsyncIterator[Store]:
            store = MemoryStore()
            yield store
            await store.close()

    suite = unittest.defaultTestLoader.loadTestsFromTestCase(ByUnittest)
    assert suite.countTestCases() >= 14
    result = suite.run(unittest.TestResult())
    assert result.wasSuccessful(), result.failures + result.errors


def test__fakes__do_what_the_page_says() -> None:
    run = python(FAKES)
    assert (run.returncode, run.stderr) == (0, "")


def python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


def test__without_hypothesis__only_rankings_need_it() -> None:
    run = python(f"{WITHOUT_HYPOTHESIS}; import quaestor_actors.testing.store_contract")
    assert (run.returncode, run.stderr) == (0, "")
    run = python(f"{WITHOUT_HYPOTHESIS}; import quaestor_actors.testing.ranking")
    remedy = "ImportError: quaestor_actors.testing.ranking needs hypothesis; pip install hypothesis"
    assert run.stderr.splitlines()[-1] == remedy


def test__contracts__need_no_pytest() -> None:
    program = "import sys; sys.modules['pytest'] = None; import quaestor_actors.testing.{}"
    for module in ("store_contract", "ranking"):
        run = python(program.format(module))
        assert (run.returncode, run.stderr) == (0, "")
