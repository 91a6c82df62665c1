"""The `quaestor` command and its two older names; each verb is in a module of its own, imported when used."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from quaestor_actors.cli.exit_codes import ExitCode, exit_code
from quaestor_actors.cli.help import example_last
from quaestor_actors.errors import QuaestorError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "cluster": ("quaestor_actors.cli.launch", "cluster", "Run a cluster in the foreground until Ctrl+C."),
    "load-balancer": (
        "quaestor_actors.cli.launch",
        "load_balancer",
        "Run only the balancer, for services that somebody else runs.",
    ),
    "start": ("quaestor_actors.cli.control", "start", "Start members, or put those back that are drained."),
    "stop": ("quaestor_actors.cli.control", "stop", "Stop members; they stay stopped."),
    "restart": ("quaestor_actors.cli.control", "restart", "Stop members in order, and start them again."),
    "drain": ("quaestor_actors.cli.control", "drain", "Take members out of discovery; they stay up."),
    "scale": ("quaestor_actors.cli.scale", "scale", "Change the number of members of a running agent."),
    "plan": ("quaestor_actors.cli.plan", "plan", "Show what the configuration would change in the running cluster."),
    "apply": ("quaestor_actors.cli.apply", "apply", "Read the configuration again, and wait until it is in force."),
    "check": ("quaestor_actors.cli.check", "check", "Check the configuration and start nothing."),
    "install-service": (
        "quaestor_actors.cli.install_service",
        "install_service",
        "Write the unit file with which systemd runs a cluster.",
    ),
    "status": ("quaestor_actors.cli.inspect", "status", "Show the members of a running cluster."),
    "tree": ("quaestor_actors.cli.inspect", "tree", "Show the actors and members of a running cluster."),
    "top": ("quaestor_actors.cli.top", "top", "Watch the members: what is wrong first, and what they take."),
    "hosts": ("quaestor_actors.cli.hosts", "hosts", "Show the hosts of a running cluster."),
    "explain": ("quaestor_actors.cli.explain", "explain", "Say on one screen how a member or an agent is, and why."),
    "events": ("quaestor_actors.cli.events", "events", "Show what has happened, also of a cluster that is down."),
    "logs": ("quaestor_actors.cli.logs", "logs", "Show what members have written."),
    "wait": ("quaestor_actors.cli.wait", "wait", "Wait until members serve, or have stopped."),
    "registry": ("quaestor_actors.cli.registry", "registry", "Show what is registered, follow it, remove an entry."),
    "discover": ("quaestor_actors.cli.discover", "discover", "Ask the balancer where a service is."),
    "health": ("quaestor_actors.cli.health", "health", "Ask a server whether it serves."),
    "load": ("quaestor_actors.cli.load", "load", "Ask a server how busy it is."),
    "chaos": ("quaestor_actors.cli.chaos", "chaos", "Hurt a cluster of its own, and say whether everything held."),
    "doctor": ("quaestor_actors.cli.doctor", "doctor", "Say what is wrong around the clusters of this machine."),
    "schema": ("quaestor_actors.cli.schema", "schema", "Print the JSON schema of a configuration file, for editors."),
    "completion": (
        "quaestor_actors.cli.completion",
        "completion",
        "Print the script with which a shell completes commands.",
    ),
    "version": ("quaestor_actors.cli.version", "version", "Show the versions of what runs here."),
}


OLDEST_PYTHON = (3, 11)
NEWEST_PYTHON = (3, 13)


def _imported(name: str) -> ModuleType:
    """Import a module, and whatever it needs, without looking for garbage meanwhile.

    What an import makes stays. To look through it again and again, and once more at the end, takes a fifth of the time
    of a command such as `status`.
    """
    if name in sys.modules:
        return sys.modules[name]
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command is used, so that help comes at once."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """Return the verbs in the order in which a user meets them."""
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """Import and return one verb."""
        if name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[name]
        command: click.Command = getattr(_imported(module), attribute)
        return example_last(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the verb that is meant; of one that there is not, say which is like it."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            # Only who is mistaken pays for it.
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "; `quaestor --help` lists all of them"
            ctx.fail(f"there is no command {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the verbs, without importing them, and the options."""
        # Only a shell that completes pays for it.
        from click.shell_completion import CompletionItem

        verbs = [
            CompletionItem(name, help=text) for name, (_, _, text) in COMMANDS.items() if name.startswith(incomplete)
        ]
        return [*verbs, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])


def _version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's signature
    if not wanted:
        return
    # Reading the metadata takes a while and only this option needs it.
    metadata = importlib.import_module("importlib.metadata")
    click.echo(f"quaestor {metadata.version('quaestor-actors')}")
    context.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def quaestor() -> None:
    """Keep gRPC services running, healthy and balanced.

    \b
    Try it:
      quaestor cluster -c conf     run the sample: four workers and a balancer
      quaestor status              see them, from another terminal
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped


def _run(command: Callable[..., Any], arguments: Sequence[str]) -> None:
    """Run one command; every error of ours becomes one message and its exit code."""
    if not sys.platform.startswith("linux") or not OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        here = f"{sys.platform}, Python {sys.version_info[0]}.{sys.version_info[1]}"
        click.echo(f"quaestor: needs Linux and Python 3.11 to 3.13, and this is {here}; nothing was started", err=True)
        sys.exit(ExitCode.FAILED)
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal that lacks a character of some name shows its number, as Python does for standard error.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        sys.exit(command(list(arguments), prog_name="quaestor", standalone_mode=False) or ExitCode.OK)
    except QuaestorError as error:
        click.echo(f"quaestor: {error}" if "\n" not in str(error) else str(error), err=True)
        sys.exit(exit_code(error))
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(ExitCode.INTERRUPTED)


def main() -> None:
    """Entry point of `quaestor`."""
    _run(quaestor.main, sys.argv[1:])


def main_cluster() -> None:
    """Entry point of `quaestor-cluster`, the original's name for `quaestor cluster`."""
    _run(quaestor.main, ["cluster", *sys.argv[1:]])


def main_load_balancer() -> None:
    """Entry point of `quaestor-loadbalancer`, the original's name for `quaestor load-balancer`."""
    _run(quaestor.main, ["load-balancer", *sys.argv[1:]])
