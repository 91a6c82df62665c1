"""Finds the class of an actor of the user's.

It is loaded in the process of that actor alone. When a configuration is read, a process of its own tries that out
(`python -m quaestor_actors.adapters.actor_class`), so that whoever reads it need not trust the class. The trial
makes no actor: its constructor may open what there is only once.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from functools import reduce
from importlib import import_module
from typing import Any

from quaestor_actors.actor import Actor, required_by
from quaestor_actors.errors import ActorClassError


def load_actor_class(class_name: str, *, folder: str | None, settings: Mapping[str, Any]) -> type[Actor]:
    """Return a class, after a look at whether it can be made with these settings.

    Args:
        class_name: `package.module:Class`.
        folder: where the module is looked for after all other places; None: nowhere else.
        settings: the arguments of its constructor, by name.

    Raises:
        ActorClassError: it cannot be imported, is no actor, or takes other settings.
    """
    module_name, _, attribute = class_name.partition(":")
    if folder is not None and folder not in sys.path:
        # The last place: nothing there stands in for a module that others mean.
        sys.path.append(folder)
    module = _imported(module_name, folder)
    try:
        found = reduce(getattr, attribute.split("."), module)
    except AttributeError as error:
        public = [name for name, value in vars(module).items() if isinstance(value, type) and not name.startswith("_")]
        close = get_close_matches(attribute, public, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ActorClassError(f"{module_name} has no {attribute}{hint}") from error
    if not (isinstance(found, type) and issubclass(found, Actor)):
        raise ActorClassError(f"{class_name} is no class that is derived from quaestor_actors.actor.Actor")
    try:
        inspect.signature(found).bind(**settings)
    except TypeError as error:
        raise ActorClassError(f"{class_name} does not take these settings: {error}") from error
    return found


def _imported(module_name: str, folder: str | None) -> Any:
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            beside = "" if folder is None else "put it beside the configuration, "
            remedy = f"{beside}install it beside quaestor-actors, or name its folder in PYTHONPATH"
            raise ActorClassError(f"there is no module {error.name}; {remedy}") from error
        raise ActorClassError(f"{module_name} cannot be imported: {_brief(error)}") from error
    except (Exception, SystemExit) as error:
        raise ActorClassError(f"{module_name} cannot be imported: {_brief(error)}") from error


def _brief(error: BaseException) -> str:
    first_line = str(error).partition("\n")[0][:200]
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__


def main() -> int:
    """Try out the class that standard input describes; write down, as JSON, what is wrong, or what it requires."""
    asked = json.load(sys.stdin)
    # What the class's module prints is no answer of ours.
    answer = os.dup(sys.stdout.fileno())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    said: dict[str, Any]
    try:
        found = load_actor_class(asked["class"], folder=asked["folder"], settings=asked["settings"])
        said = {"requires": [str(each) for each in required_by(found)]}
    except ActorClassError as error:
        said = {"problem": str(error)}
    os.write(answer, json.dumps(said).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
