"""Each kind of fault that `quaestor chaos` does, with a short plan of its own; kills are in tests/cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.chaos_run import carry_out, chaos

from quaestor_actors.chaos.plan import Action, ConfigVariant, Fault, Role, step


def test__full_disk__member_and_its_supervisor_die_meanwhile__nobody_is_doubled(tmp_path: Path) -> None:
    plan = [step(145, number, [Fault.FULL_DISK]) for number in (1, 2)]
    assert [action.role for each in plan for action in each.actions] == [Role.MEMBER, Role.AGENT]
    ended = chaos(tmp_path, "--seed", "145", "--faults", "full-disk", "--steps", "2")
    if any("may not mount" in why for each in ended.verdict["steps"] for why in each["skipped"]):
        pytest.skip("root may not mount a small disk here")
    assert ended.code == 0, ended.out + ended.err
    assert [each["faults"] for each in ended.verdict["steps"]] == [["full-disk"], ["full-disk"]]


def test__no_descriptors__actor_goes_on_or_is_replaced(tmp_path: Path) -> None:
    actors = (Role.BALANCER, Role.AGENT)
    # Somebody has to open something then.
    kill = Action(fault=Fault.KILL, role=Role.MEMBER)
    steps = [(Action(fault=Fault.NO_DESCRIPTORS, role=role, lasts_s=0.5), kill) for role in actors]
    outcome = carry_out(tmp_path, *steps)
    assert outcome.broken == ()
    assert [len(each.done) for each in outcome.steps] == [2] * len(actors)


def test__stolen_port__member_s_reason_names_the_stranger_and_it_comes_back(tmp_path: Path) -> None:
    outcome = carry_out(tmp_path, [Action(fault=Fault.STOLEN_PORT, role=Role.MEMBER, index=1)])
    assert outcome.broken == ()
    assert "take its port" in outcome.steps[0].done[0]


def test__config_replaced_while_read__only_what_is_meant_is_done(tmp_path: Path) -> None:
    variants = range(len(ConfigVariant))
    steps = [[Action(fault=Fault.CONFIG, index=index, lasts_s=1.0, seed=1)] for index in variants]
    outcome = carry_out(tmp_path, *steps)
    assert outcome.broken == ()
    assert [each.faults for each in outcome.steps] == [("config",)] * len(steps)


def test__garbage_on_every_port__changes_nothing_and_clients_are_answered(tmp_path: Path) -> None:
    outcome = carry_out(tmp_path, [Action(fault=Fault.GARBAGE, lasts_s=2.0, seed=1)])
    assert outcome.broken == ()
    assert outcome.answered >= outcome.asked - 1 > 0


def test__slow_peers__on_every_port__change_nothing_and_clients_are_answered(tmp_path: Path) -> None:
    outcome = carry_out(tmp_path, [Action(fault=Fault.SLOW_PEERS, lasts_s=2.5, seed=1)])
    assert outcome.broken == ()
    assert outcome.answered >= outcome.asked - 1 > 0


def test__hung_launcher_and_killed_tree__everything_is_there_once_when_it_goes_on(tmp_path: Path) -> None:
    hang = Action(fault=Fault.HANG, role=Role.LAUNCHER, lasts_s=0.5)
    outcome = carry_out(tmp_path, [hang, Action(fault=Fault.KILL, role=Role.ACTOR_SYSTEM)])
    assert outcome.broken == ()
    assert len(outcome.steps[0].done) == 2
