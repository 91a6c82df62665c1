"""Whatever bytes the files hold: a usable configuration comes out, or located faults, and within a second."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import profiles
from support.config_fuzz import BYTE_STEPS, SEEDS, loading, spoilt, spoilt_bytes

from quaestor_actors.config import CLUSTER_FILE, LOAD_BALANCER_FILE

SOUP = st.binary(max_size=80) | st.text("-:[]{}&*!|>'\"%@`#?, \n\tab<0\\uU", max_size=60).map(str.encode)


@pytest.mark.timeout(profiles.examples(300))
def test__any_spoilt_bytes__are_a_configuration_or_faults() -> None:
    with loading() as folder:

        @settings(max_examples=profiles.examples(2100))
        @given(SEEDS, BYTE_STEPS)
        def check(seed: int, steps: list[tuple[str, int]]) -> None:
            first, second = spoilt(seed, [])
            if seed % 3 == 0:
                second = spoilt_bytes(second, steps)
            else:
                first = spoilt_bytes(first, steps)
            folder.check(first, second, alone=seed % 6 == 0)

        check()
        assert folder.usable * 20 > folder.faults


@pytest.mark.timeout(profiles.examples(300))
def test__any_bytes__are_a_configuration_or_faults() -> None:
    with loading() as folder:

        @settings(max_examples=profiles.examples(400))
        @given(SOUP, st.booleans())
        def check(raw: bytes, alone: bool) -> None:  # noqa: FBT001 - hypothesis hands them over by place
            folder.check(raw, b"agents: " + raw, alone=alone)

        check()


@pytest.mark.parametrize("line_break", ["\x85", "\u2028", "\u2029"])
def test__line_break_of_some_programs_only__is_a_fault_in_the_line_of_editors(line_break: str) -> None:
    with loading() as folder:
        folder.check(f"# one\n# a{line_break}b\nagents: []\n".encode(), b"")
        (fault,) = folder.last_faults
        assert (fault.line, fault.column) == (2, 4)
        assert f'write "\\u{ord(line_break):04X}"' in fault.message


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test__byte_that_is_not_text__is_located_whatever_ends_the_lines(ending: str) -> None:
    with loading() as folder:
        folder.check(f"agents: []{ending}# ".encode() + b"\xff", b"")
        (fault,) = folder.last_faults
        assert (fault.line, fault.column) == (2, 3)


@pytest.mark.parametrize("name", [CLUSTER_FILE, LOAD_BALANCER_FILE])
def test__file_that_was_meant_for_something_else__is_one_fault_of_the_whole(name: str) -> None:
    with loading() as folder:
        folder.check(b"x" * 300_000, b"x" * 300_000, alone=name == LOAD_BALANCER_FILE)
        (fault,) = folder.last_faults
        assert (fault.line, fault.column) == (0, 0)
