"""`quaestor completion`: the script with which a shell completes verbs, options, members and services."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from quaestor_actors.errors import OperationError

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_QUAESTOR_COMPLETE"
"""In the environment of a command line that a shell completes; click looks for it under this name."""


@click.command(short_help="Print the script with which a shell completes commands.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script with which SHELL completes verbs, options, and names of the running cluster.

    \b
    bash: eval "$(quaestor completion bash)"                          in ~/.bashrc
    zsh:  eval "$(quaestor completion zsh)"                           in ~/.zshrc
    fish: quaestor completion fish > ~/.config/fish/completions/quaestor.fish

    Example: quaestor completion bash
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    kind = get_completion_class(shell)
    if kind is None:
        raise OperationError(f"this version of click completes nothing for {shell}")
    script = kind(context.find_root().command, {}, "quaestor", VARIABLE)
    # Bash's own would start a bash only to see how old it is.
    click.echo(script.source_template % script.source_vars())
