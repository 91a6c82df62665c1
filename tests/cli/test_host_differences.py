"""In what the hosts of a cluster differ, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quaestor_actors.actors.view import HostView, TreeView
from quaestor_actors.cli.host_differences import APPLY, difference_lines


def host(name: str, configuration: str = "c1", version: str = "0.1.0", *scaled: str) -> HostView:
    tree = TreeView(
        cluster="shop",
        actors=(),
        agents=(),
        members=(),
        balancer_address=None,
        configuration=configuration,
        version=version,
        scaled=scaled,
    )
    return HostView(name=name, address="", state="joined", since=0.0, reason="", tree=tree, is_current=True)


@pytest.mark.parametrize(
    ("hosts", "lines"),
    [
        ([], ()),
        ([host("a1"), host("a2"), host("a3")], ()),
        ([host("a1"), host("a2", "c2"), host("a3")], (f"a2 has another configuration than a1 and a3: {APPLY}",)),
        ([host("a1", "c2"), host("a2"), host("a3")], (f"a1 has another configuration than a2 and a3: {APPLY}",)),
        ([host("a1"), host("a2", "c2")], (f"a1 and a2 have different configurations: {APPLY}",)),
        (
            [host("a1"), host("a2", "c2"), host("a3"), host("a4", "c2"), host("a5")],
            (f"a2 and a4 have another configuration than a1, a3 and a5: {APPLY}",),
        ),
        (
            [host("a1"), host("a2", "c1", "0.2.0"), host("a3")],
            ("a1 and a3 run quaestor 0.1.0; a2 runs quaestor 0.2.0",),
        ),
        (
            [host("a1"), host("a2", "c1", "0.1.0", "Cron", "Worker")],
            ("a2 has another number of Cron and Worker than its configuration says, as scaled by hand",),
        ),
        # One of a version that does not say it.
        ([host("a1"), host("a2", "", ""), host("a3")], ()),
        # One that does not answer has been told of elsewhere.
        ([host("a1"), replace(host("a2", "c2"), is_current=False)], ()),
        ([host("a1"), replace(host("a2"), tree=None)], ()),
    ],
)
def test__difference_lines(hosts: list[HostView], lines: tuple[str, ...]) -> None:
    assert difference_lines(hosts) == lines
