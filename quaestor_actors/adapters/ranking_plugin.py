"""Finds the ranking that the configuration names: one of ours, or a class that the user has installed.

A class of the user's is loaded in the balancer's process alone. When a configuration is read, a process of its
own tries it out (`python -m quaestor_actors.adapters.ranking_plugin NAME`), so that whoever reads it need not
trust it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import reduce
from importlib import import_module
from itertools import permutations
from typing import Any, Final

from quaestor_actors.core.load import LoadReport
from quaestor_actors.core.location import Location
from quaestor_actors.core.ranking import Candidate, KeyedRanking, LeastLoaded, Ranking
from quaestor_actors.core.ranking_original import Original
from quaestor_actors.core.spec import BalancerSpec
from quaestor_actors.core.standing_order import Change, StandingOrder
from quaestor_actors.errors import ConfigError, ConfigFault

ENTRY_POINT_GROUP: Final = "quaestor_actors.rankings"
CONFIG_KEY: Final = "loadBalancerConfig.ranking"

LEAST_LOADED: Final = "least_loaded"
ORIGINAL: Final = "original"
BUILT_IN: Final = (LEAST_LOADED, ORIGINAL)
"""Ours. These names cannot be taken by an entry point."""

_TRIAL: Final = tuple(
    Candidate(
        location=Location(service_name="Worker", host_name=host, port=port),
        report=LoadReport(request_capacity=10, current_requests=requests, known_load_rate=rate),
    )
    for host, port, requests, rate in (("a", 1, 9, 0.1), ("b", 1, 5, None), ("c", 1, 2, 0.5), ("c", 2, 2, 0.5))
)
"""Whoever compares rates where two have one, and else requests, goes round in a circle with the first three; the last
two are equally loaded, which is to be decided, too."""

_log = logging.getLogger(__name__)


def load_ranking(name: str, *, recently_used_timeout_s: float, seed: int = 0) -> Ranking:
    """Return the ranking of this name; one of the user's is tried out.

    Args:
        name: `least_loaded`, `original`, an entry point of the group `quaestor_actors.rankings`, or
            `package.module:Class`. A class of the user's is made without arguments.
        recently_used_timeout_s: For those of ours.
        seed: For `least_loaded`: decides between equal locations.

    Raises:
        ConfigError: There is no such ranking, or it cannot be imported, made or used.
    """
    if name == LEAST_LOADED:
        return LeastLoaded(recently_used_timeout_s=recently_used_timeout_s, seed=seed)
    if name == ORIGINAL:
        return Original(recently_used_timeout_s=recently_used_timeout_s)
    factory = _by_path(name) if ":" in name else _by_entry_point(name)
    try:
        ranking = factory()
    except (Exception, SystemExit) as error:
        raise _unusable(f"{name} cannot be made without arguments: {_brief(error)}") from error
    _try_out(name, ranking)
    usable: Ranking = ranking
    return usable


def ranking_of(spec: BalancerSpec, *, seed: int = 0) -> Ranking:
    """Return the ranking that the specification names; `LeastLoaded` if that cannot be loaded any more.

    It could when the configuration was read. A balancer that came back after a package was removed had better
    answer by another order, and say so in the log, than crash again and again.

    Args:
        spec: Names the ranking.
        seed: For `least_loaded`. Another one for each balancer, so that they do not all begin with the same location.
    """
    timeout_s = spec.recently_used_timeout_s
    try:
        return load_ranking(spec.ranking, recently_used_timeout_s=timeout_s, seed=seed)
    except ConfigError as error:
        _log.error("%s; ranking by least_loaded until the balancer starts anew", error)
        return LeastLoaded(recently_used_timeout_s=timeout_s, seed=seed)


def _by_path(name: str) -> Callable[[], Any]:
    module_name, _, attribute = name.partition(":")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            remedy = "install it beside quaestor-actors, or name its folder in PYTHONPATH"
            raise _unusable(f"there is no module {error.name}; {remedy}") from error
        raise _unusable(f"{module_name} cannot be imported: {_brief(error)}") from error
    except (Exception, SystemExit) as error:
        raise _unusable(f"{module_name} cannot be imported: {_brief(error)}") from error
    try:
        return _callable(name, reduce(getattr, attribute.split("."), module))
    except AttributeError as error:
        public = [each for each, value in vars(module).items() if isinstance(value, type) and not each.startswith("_")]
        raise _unusable(f"{module_name} has no {attribute}{_hint(attribute, public)}") from error


def _by_entry_point(name: str) -> Callable[[], Any]:
    # It brings the e-mail package with it: 2 MB in each actor, for what few configurations need.
    from importlib.metadata import entry_points  # noqa: PLC0415

    installed = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
    if name not in installed:
        known = (*BUILT_IN, *sorted(installed))
        remedy = _hint(name, known) or f" (known are {', '.join(known)}; or write package.module:Class)"
        raise _unusable(f"there is no ranking {name}{remedy}")
    point = installed[name]
    try:
        found = point.load()
    except (Exception, SystemExit) as error:
        raise _unusable(f"the entry point {name} ({point.value}) cannot be loaded: {_brief(error)}") from error
    return _callable(name, found)


def _callable(name: str, found: Any) -> Callable[[], Any]:
    if not callable(found):
        raise _unusable(f"{name} is no class; name a class, or a function without arguments that returns a ranking")
    factory: Callable[[], Any] = found
    return factory


def _try_out(name: str, ranking: Any) -> None:
    if not callable(getattr(ranking, "rank", None)):
        raise _unusable(f"{name} has no method rank(candidates, *, now)")
    try:
        answers = [list(ranking.rank(list(each), now=0.0)) for each in permutations(_TRIAL)]
        if isinstance(ranking, KeyedRanking):
            answers.append(_kept(ranking))
    except (Exception, SystemExit) as error:
        raise _unusable(f"{name} cannot rank four locations: {_brief(error)}") from error
    if any(len(answer) != len(_TRIAL) or any(each not in answer for each in _TRIAL) for answer in answers):
        raise _unusable(f"{name} does not return the candidates that it was given")
    if any(answer != answers[0] for answer in answers):
        raise _unusable(f"{name} is no total order: the same four locations are ranked now so and now otherwise")


def _kept(ranking: KeyedRanking) -> list[Candidate]:
    order = StandingOrder(ranking)
    order.update([Change(candidate.location, candidate) for candidate in _TRIAL], now=0.0)
    return order.best(0, now=0.0)


def _hint(word: str, known: Iterable[str]) -> str:
    close = get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _brief(error: BaseException) -> str:
    first_line = str(error).partition("\n")[0][:200]
    return f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__


def _unusable(message: str) -> ConfigError:
    return ConfigError((ConfigFault(file="", line=0, column=0, path=CONFIG_KEY, message=message),))


def main(arguments: list[str]) -> int:
    """Try out the ranking named by the only argument: 0 if it can be used, else 1 and why on standard error."""
    (name,) = arguments
    try:
        load_ranking(name, recently_used_timeout_s=0.0)
    except ConfigError as error:
        sys.stderr.write(f"\n{error.faults[0].message}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
