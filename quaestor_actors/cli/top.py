"""`quaestor top`: watch the members, those first that need somebody, with what they take."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from quaestor_actors.actors.hosts_messages import EVERY_HOST
from quaestor_actors.actors.root_messages import LoadsReply, LoadsRequest
from quaestor_actors.actors.view import LoadView
from quaestor_actors.adapters.proc_stat import read
from quaestor_actors.adapters.session_usage import UsageMeter
from quaestor_actors.cli.asking import ask_root, running_cluster
from quaestor_actors.cli.inspect import fetch_tree
from quaestor_actors.cli.keyboard import Keyboard
from quaestor_actors.cli.listing import Listing
from quaestor_actors.cli.options import Seconds, cluster_option
from quaestor_actors.cli.output import Output, output_options_of_constants
from quaestor_actors.cli.render import Shown
from quaestor_actors.cli.top_rendering import Machine, Measured, Order, TopRow, top_listing
from quaestor_actors.cli.watching import watch
from quaestor_actors.errors import NotRunningError

FIRST_PERIOD_S = 0.5
"""Between the two measurements of processor time that the first page needs."""
LOADS_TIMEOUT_S = 1.0

KEYS = {"w": Order.WRONG, "c": Order.CPU, "m": Order.MEMORY, "l": Order.LOAD}


@click.command(short_help="Watch the members: what is wrong first, and what they take.")
@click.option(
    "-n",
    "--interval",
    "every_s",
    type=Seconds(min=0.1, max=86400),
    default=2.0,
    show_default=True,
    metavar="S",
    help="Seconds between two looks.",
)
@click.option("--once", is_flag=True, help="Show one page and end.")
@cluster_option
@output_options_of_constants
def top(name: str | None, every_s: float, output: Output, *, once: bool) -> None:
    """Watch the members of a running cluster: those first that do not serve, then by the processor time they take.

    CPU% is of one processor, of a member with all processes that it has started; it and MEM are known of this host
    alone. LOAD is what the balancer ranks a member by: 0 idle, 1 full. In a terminal it goes on until q or Ctrl+C,
    which end the command and never the cluster; w, c, m and l put them in order by what is wrong, CPU, memory, load.
    Elsewhere, in the forms json, yaml and tsv, or with --once it shows one page.

    Example: quaestor top -n 5
    """
    view = TopView(name)
    if once or not (output.form.is_for_people and output.screen().is_terminal):
        output.show(view.look)
        return
    with Keyboard(view.press, keys=view.keys) as keyboard:
        watch(view.look, output.form, interval_s=every_s, screen=output.screen, pause=keyboard)


class TopView:
    """Looks at a cluster again and again, and remembers in which order that is to be shown."""

    def __init__(self, name: str | None) -> None:
        """Begin with what is wrong.

        Args:
            name: of the cluster; None: the one that runs.
        """
        self._name = name
        self._order = Order.WRONG
        self._meter = UsageMeter()
        self._is_first = True

    def press(self, key: str) -> bool:
        """Take a key; return whether there is something else to show."""
        if key == "q":
            raise click.exceptions.Exit(0)
        self._order = KEYS.get(key, self._order)
        return key in KEYS

    def keys(self) -> str:
        """Return what is shown first, and which keys change that."""
        return f"by {self._order.value}; keys: w wrong, c CPU, m memory, l load, q end"

    def look(self) -> Listing[TopRow]:
        """Ask the cluster, and measure its members.

        Raises:
            NotRunningError: no such cluster runs, or it does not answer.
        """
        shown = fetch_tree(self._name)
        pids = _pids_here(shown)
        if self._is_first:
            self._is_first = False
            self._meter.measure(pids)
            time.sleep(FIRST_PERIOD_S)
        loads, trouble = _loads(running_cluster(self._name), has_hosts=bool(shown.hosts))
        measured = Measured(usages=self._meter.measure(pids), loads=loads, machine=_machine(), trouble=trouble)
        return top_listing(shown, measured, self._order)


def _pids_here(shown: Shown) -> list[int]:
    return [member.pid for member in shown.tree.members if member.pid is not None]


def _loads(directory: Path, *, has_hosts: bool) -> tuple[dict[str, tuple[LoadView, ...]], tuple[str, ...]]:
    """Return what balancers know, by host, and what could not be found out."""
    try:
        if not has_hosts:
            reply = ask_root(
                directory, lambda number: LoadsRequest(request_id=number), LoadsReply, timeout_s=LOADS_TIMEOUT_S
            )
            return {"": reply.loads}, ()
        from quaestor_actors.cli.asking_hosts import ask_hosts

        answers = ask_hosts(directory, [(EVERY_HOST, LoadsRequest(request_id=""))]).answers
        return {host: reply.loads for host, reply in answers if isinstance(reply, LoadsReply)}, ()
    except NotRunningError:
        return {}, ("balancer: does not answer, so no load is known",)


def _machine() -> Machine:
    return Machine(load_average=os.getloadavg()[0], processors=os.cpu_count() or 1, memory_percent=_memory_percent())


def _memory_percent() -> float | None:
    lines = (line.split() for line in read("/proc/meminfo").decode().splitlines())
    known = {words[0]: int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}
    total, available = known.get("MemTotal:"), known.get("MemAvailable:")
    return 100 * (1 - available / total) if total and available is not None else None
