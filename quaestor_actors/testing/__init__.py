"""For tests of whatever works with the cluster's parts: a clock, processes and probes that do what a test says.

Nothing here needs an actor system or gRPC, and nothing here starts a thread or a process. `RankingContract` is in
`quaestor_actors.testing.ranking`, because it needs hypothesis.
"""

from quaestor_actors.testing.clock import FakeClock, FakeTimer
from quaestor_actors.testing.probe import FakeProbe
from quaestor_actors.testing.processes import FakeProcess, FakeProcesses
from quaestor_actors.testing.store_contract import StoreContract

__all__ = ["FakeClock", "FakeProbe", "FakeProcess", "FakeProcesses", "FakeTimer", "StoreContract"]
