"""The ports that a cluster is to listen on, looked at before anything is started."""

from __future__ import annotations

from quaestor_actors.adapters import ports
from quaestor_actors.adapters.metrics_server import taken
from quaestor_actors.core.spec import ClusterSpec
from quaestor_actors.errors import ConflictError
from quaestor_actors.system.charges import comes_free
from quaestor_actors.system.host_endpoint import HostEndpoint


def check_doors(spec: ClusterSpec, endpoint: HostEndpoint, patience_s: float) -> None:
    """Check that nobody else has the ports of the actors, of the balancer and of the metrics.

    Args:
        spec: of the cluster.
        endpoint: how this machine takes part in it.
        patience_s: how long a predecessor may still have them.

    Raises:
        ConflictError: somebody else has one.
        OperationError: the address of the actors is none of this machine.
    """
    endpoint.check_port(patience_s)
    balancer = spec.balancer
    if balancer is not None and not comes_free(balancer.host_name, balancer.port, patience_s):
        raise ConflictError(
            f"the balancer's port {balancer.port} is taken by {ports.holder_of(balancer.port)}: end that "
            "process, or set another port in quaestor.loadbalancer.config.yml"
        )
    metrics = spec.metrics
    if metrics is not None and not comes_free(metrics.host, metrics.port, patience_s):
        raise ConflictError(taken(metrics.host, metrics.port))
