"""Who holds a wait up, and how it is told."""

from __future__ import annotations

from dataclasses import replace

from support.listings import NOW, SHOWN, TROUBLED

from quaestor_actors.cli.wait_rendering import Goal, missing, report, told


def test__all_members__unless_some_are_named() -> None:
    everybody = missing(TROUBLED.tree, [], Goal.SERVING, now=NOW)
    assert [one.who for one in everybody.holding] == ["Worker/2", "Worker/3", "Worker/4", "Worker/5", "Report"]
    assert missing(TROUBLED.tree, ["Worker/1"], Goal.SERVING, now=NOW).holding == ()
    assert [one.who for one in missing(SHOWN.tree, ["Worker"], Goal.SERVING, now=NOW).holding] == ["Worker/2"]


def test__stopped_and_given_up__are_both_an_end() -> None:
    found = missing(TROUBLED.tree, ["Worker"], Goal.STOPPED, now=NOW)
    assert [one.who for one in found.holding] == ["Worker/1", "Worker/2", "Worker/3"]


def test__unknown__is_who_is_neither_there_nor_to_come() -> None:
    found = missing(TROUBLED.tree, ["Worker/9", "Report/1", "Report", "Nobody"], Goal.SERVING, now=NOW)
    assert found.unknown == ("Worker/9", "Nobody")
    assert [one.who for one in found.holding] == ["Report/1", "Report"]


def test__texts__name_who_holds_it_up_and_why() -> None:
    tree = replace(TROUBLED.tree, members=tuple(one for one in TROUBLED.tree.members if one.member != "Worker/2"))
    holding = missing(tree, ["Worker"], Goal.SERVING, now=NOW).holding
    assert told(holding) == "waiting for Worker/3 and 2 more: starting: restarted: killed by SIGKILL"
    assert report(holding, Goal.SERVING, 2.5).splitlines() == [
        "quaestor: after 2.5 s these do not serve:",
        "  Worker/3: starting: restarted: killed by SIGKILL",
        "  Worker/4: failed: given up after 25 failed starts",
        "  Worker/5: stopped: stopped by hand",
    ]
