"""A question to several hosts ends when all have answered, or when its time is over."""

from __future__ import annotations

from quaestor_actors.core import inquiry


def test__answers__end_it_when_all_have_come() -> None:
    asked = inquiry.begin(["a1", "a2"], now=10.0, patience_s=1.0)
    assert not asked.is_over(10.9)
    asked = inquiry.answered(asked, "a1", "yes")
    assert not asked.is_over(10.9)
    asked = inquiry.answered(asked, "a2", "no")
    assert asked.is_over(10.0)
    assert asked.answers == {"a1": "yes", "a2": "no"}


def test__time__ends_it_with_what_has_come() -> None:
    asked = inquiry.answered(inquiry.begin(["a1", "a2"], now=10.0, patience_s=1.0), "a1", "yes")
    assert asked.is_over(11.0)
    assert asked.answers == {"a1": "yes"}


def test__second_answer_and_strangers__do_not_count() -> None:
    asked = inquiry.answered(inquiry.begin(["a1"], now=10.0, patience_s=1.0), "a1", "yes")
    assert inquiry.answered(asked, "a1", "no") == asked
    assert inquiry.answered(asked, "a9", "no") == asked


def test__lost_host__is_not_waited_for() -> None:
    asked = inquiry.without(inquiry.begin(["a1", "a2"], now=10.0, patience_s=1.0), "a2")
    assert inquiry.answered(asked, "a1", "yes").is_over(10.0)


def test__nobody_to_ask__is_over_at_once() -> None:
    assert inquiry.begin([], now=10.0, patience_s=1.0).is_over(10.0)
