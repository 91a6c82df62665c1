"""Whatever structure the files have: a usable configuration comes out, or located faults, and within a second."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from support import profiles
from support.config_fuzz import SEEDS, STEPS, loading, spoilt
from support.config_fuzz_documents import documents, good_values, written
from support.config_fuzz_mutations import KEYS, KINDS

from quaestor_actors.config import yaml_document
from quaestor_actors.config.report import MAX_FAULTS

AGENT = b"clusterConfig: {name: a}\nagents: [{agentType: A, executablePath: /bin/sh, %b}]"
AGENTS = b"clusterConfig: {name: a}\nagents: %b"


@pytest.mark.timeout(profiles.examples(300))
def test__any_structure__is_a_configuration_or_faults() -> None:
    with loading() as folder:

        @settings(max_examples=profiles.examples(2500))
        @given(SEEDS, STEPS)
        def check(seed: int, steps: list[tuple[str, int]]) -> None:
            folder.check(*spoilt(seed, steps), alone=seed % 4 == 0)

        check()
        # Neither is nearly everything refused at the first look, nor hardly anything wrong.
        assert folder.usable * 20 > folder.faults
        assert folder.faults * 5 > folder.usable


def test__every_key__has_a_value_to_be_tried_with() -> None:
    for kind in KINDS:
        assert all(good_values(kind).values()), "the pool of the fuzzer lacks a value for a new key"


def test__documents_to_start_from__are_mostly_usable() -> None:
    with loading() as folder:
        for seed in range(100):
            chance = Random(seed)
            first, second = (written(tree, chance).encode() for tree in documents(chance))
            folder.check(first, second)
        assert folder.usable > 25
    assert len(KEYS) > 50


@pytest.mark.parametrize(
    "agents",
    [
        b"[{agentType: A, executablePath: sh}, {agentType: A, executablePath: sh, dependsOn: [A]}]",
        (
            b"[{agentType: A, executablePath: sh}, {agentType: A, executablePath: sh, dependsOn: [B]},"
            b" {agentType: B, executablePath: sh, dependsOn: [A]}]"
        ),
    ],
)
def test__circle_through_the_second_of_two_agents_of_one_type__is_faults(agents: bytes) -> None:
    with loading() as folder:
        folder.check(AGENTS % agents, b"")
        assert folder.faults == 1


@pytest.mark.parametrize(
    "content",
    [
        AGENTS % (b"[" + b"a," * 4000 + b"]"),
        AGENTS % (b"[" + b"{a: 1}," * 1500 + b"]"),
        AGENT % (b"environmentVariables: {" + b"".join(b"a%d: []," % number for number in range(3000)) + b"}"),
        AGENT % (b"dependsOn: [" + b"".join(b"a%d," % number for number in range(4000)) + b"]"),
        AGENT % (b"ports: [" + b"5161," * 4000 + b"]"),
        b"".join(b"a%d: 1\n" % number for number in range(3000)),
    ],
    ids=["items", "agents", "variables", "links", "ports", "keys"],
)
def test__many_faults__are_told_after_a_moment_and_not_all(content: bytes) -> None:
    with loading() as folder:
        folder.check(content, b"")
        assert len(folder.last_faults) == MAX_FAULTS + 1
        assert folder.last_faults[0].message == f"more than {MAX_FAULTS} faults"


def test__certificate_that_is_some_large_file__is_a_fault_and_is_not_read(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.touch()
    os.truncate(large, 2**34)
    with loading() as folder:
        folder.check(AGENT % f"useTLS: true, caCertificateFile: {large}".encode(), b"")
        (fault,) = folder.last_faults
        assert "larger than 4 MiB" in fault.message


def test__password_file_that_is_some_large_file__is_not_read_to_its_end(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b"x" * 10)
    large.chmod(0o600)
    os.truncate(large, 2**34)
    with loading() as folder:
        agent = f"{{agentType: KeyValueStore, processCount: 0, storeUser: a, storePasswordFile: {large}}}"
        folder.check(AGENTS % f"[{agent}]".encode(), b"")
        assert folder.usable == 1


def test__more_values_than_any_configuration_has__are_refused_before_all_are_read() -> None:
    with pytest.MonkeyPatch.context() as patch, loading() as folder:
        patch.setattr(yaml_document, "MAX_EXPANDED_NODES", 500)
        folder.check(AGENTS % (b"[" + b"a," * 3000 + b"}"), b"")
        # What is wrong behind that is not seen any more.
        (fault,) = folder.last_faults
        assert "more than 500 values" in fault.message
