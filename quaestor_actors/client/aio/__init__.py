"""What an asyncio client of balanced services imports: the same names as in `quaestor_actors.client`, as coroutines."""

from quaestor_actors.client.aio.balanced_channel import balanced_channel
from quaestor_actors.client.aio.balancers import Balancers

__all__ = ["Balancers", "balanced_channel"]
