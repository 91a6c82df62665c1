"""A switch between network namespaces that loses what it is told to: in one direction, or by chance.

It is a process of its own, so that nothing that a test does delays a frame. The kernel's own means for this (netem,
iptables) are not on every machine; TAP devices are.

Arguments: a seed, then descriptors of TAP devices. Each line of standard input is a JSON object `{"cut": [[FROM, TO],
...], "loss": PROBABILITY}`, with the numbers of devices; a line in answer says that it holds from now on.
"""

from __future__ import annotations

import json
import os
import random
import selectors
import sys

FRAME_BYTES = 65_536


class FrameSwitch:
    """Passes frames on between devices, to where their destination was heard last, or else to all others."""

    def __init__(self, descriptors: list[int], seed: int) -> None:
        self._descriptors = descriptors
        self._random = random.Random(seed)
        self._ports: dict[bytes, int] = {}
        self._cut: set[tuple[int, int]] = set()
        self._loss = 0.0

    def obey(self, line: str) -> None:
        told = json.loads(line)
        self._cut = {(source, target) for source, target in told["cut"]}
        self._loss = told["loss"]

    def pass_on(self, source: int) -> None:
        """Pass on one frame, or lose it."""
        frame = os.read(self._descriptors[source], FRAME_BYTES)
        self._ports[frame[6:12]] = source
        known = self._ports.get(frame[:6])
        for target in range(len(self._descriptors)) if known is None else (known,):
            if target == source or (source, target) in self._cut or self._random.random() < self._loss:
                continue
            os.write(self._descriptors[target], frame)


def main() -> None:
    descriptors = [int(each) for each in sys.argv[2:]]
    switch = FrameSwitch(descriptors, int(sys.argv[1]))
    with selectors.DefaultSelector() as selector:
        for port, descriptor in enumerate(descriptors):
            selector.register(descriptor, selectors.EVENT_READ, port)
        selector.register(sys.stdin, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.data is not None:
                    switch.pass_on(key.data)
                    continue
                line = sys.stdin.readline()
                if not line:
                    return
                switch.obey(line)
                sys.stdout.write("done\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
