"""From any thread to the one that watches."""

from __future__ import annotations

import select
import threading

from quaestor_actors.adapters.mailbox import Mailbox


def test__items__come_in_order_and_make_the_descriptor_readable() -> None:
    mailbox: Mailbox[int] = Mailbox()
    assert mailbox.drain() == []
    mailbox.post(1)
    mailbox.post(2)
    assert select.select([mailbox.fd], [], [], 0)[0]
    assert mailbox.drain() == [1, 2]
    assert not select.select([mailbox.fd], [], [], 0)[0]
    mailbox.close()


def test__many_threads__lose_nothing() -> None:
    mailbox: Mailbox[int] = Mailbox()
    threads = [
        threading.Thread(target=lambda first=first: [mailbox.post(first + n) for n in range(500)])
        for first in range(0, 4000, 500)
    ]
    for thread in threads:
        thread.start()
    taken: list[int] = []
    while len(taken) < 4000:
        assert select.select([mailbox.fd], [], [], 10)[0]
        taken.extend(mailbox.drain())
    assert sorted(taken) == list(range(4000))
    mailbox.close()
