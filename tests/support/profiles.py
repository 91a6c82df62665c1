"""How hard hypothesis tries: `ci`, the same every time and within minutes, or `nightly`, at random and for hours.

`mutants` is `ci` for whom it is enough that something fails.

Chosen by the environment variable QUAESTOR_PROFILE. docs/testing.md says which command runs what.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis.internal.conjecture import providers

PROFILE = os.environ.get("QUAESTOR_PROFILE", "ci")

NIGHTLY_FACTOR = 20


def examples(count: int) -> int:
    """Return how many examples a test that takes `count` of them in CI takes now."""
    return count * NIGHTLY_FACTOR if PROFILE == "nightly" else count


def load() -> None:
    """Put the chosen profile into force for all tests."""
    settings.register_profile("ci", derandomize=True, database=None, deadline=None, print_blob=True)
    settings.register_profile("mutants", settings.get_profile("ci"), phases=[Phase.explicit, Phase.generate])
    # Large drawn structures are what it is for.
    settings.register_profile(
        "nightly",
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
        max_examples=examples(100),
    )
    settings.load_profile(PROFILE)
    if PROFILE != "nightly":
        # Hypothesis also draws what it finds written in the modules that are imported by then: not the same every time.
        providers.is_local_module_file = lambda _path: False  # type: ignore[assignment]  # not that it looks elsewhere
