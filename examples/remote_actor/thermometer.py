"""An actor of one's own: it runs on each host that has the capability `sensor`, and answers from there."""

from __future__ import annotations

from quaestor_actors.actor import Actor, Sender, requires

PERIOD_S = 10.0


@requires("sensor")
class Thermometer(Actor):
    """Measures from time to time, and tells the last temperature to whoever asks for it."""

    def __init__(self, celsius: float) -> None:
        """Take the settings of the configuration, by name."""
        self._room = celsius
        self._last = celsius
        self._measured = 0
        self.on_wake("measure")

    def receive(self, message: object, sender: Sender) -> None:
        """Answer. What is not understood is an error: it ends this actor, and the next one begins anew."""
        match message:
            case "celsius":
                self.reply(self._last)
            case "how often":
                self.reply(self._measured)
            case _:
                raise ValueError(f"{sender.name or 'somebody'} wants {message!r}")

    def on_wake(self, key: str) -> None:
        """Measure, as arranged."""
        self._measured += 1
        self._last = self._room + (self._measured % 3) / 10
        self.wake_in(PERIOD_S, key)
