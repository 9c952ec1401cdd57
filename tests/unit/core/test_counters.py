"""seen = kept + dropped, at every moment anybody can look."""

from __future__ import annotations

import threading

from engine.core.counters import Counters, Tally


def test_reasons_add_up() -> None:
    tally = Tally()
    tally.add(seen=5, kept=3, dropped={"ring_full": 2}, lag_ms=1.5)
    tally.add(seen=1, kept=0, dropped={"ring_full": 1, "over_long": 0})
    assert tally.read() == Counters(6, 3, {"ring_full": 3}, 1.5)
    assert tally.read().balanced


def test_an_unbalanced_batch_shows() -> None:
    tally = Tally()
    tally.add(seen=5, kept=3)
    assert not tally.read().balanced


def test_every_reading_taken_while_others_write_balances() -> None:
    tally = Tally()
    done = threading.Event()

    def write() -> None:
        for _ in range(5_000):
            tally.add(seen=3, kept=2, dropped={"x": 1})

    def watch() -> None:
        while not done.is_set():
            unbalanced.extend([] if tally.read().balanced else [1])

    unbalanced: list[int] = []
    watcher = threading.Thread(target=watch)
    watcher.start()
    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    done.set()
    watcher.join()
    assert not unbalanced
    assert tally.read().seen == 30_000


def test_what_a_reader_missed_moves_from_kept_to_dropped() -> None:
    counters = Counters(10, 9, {"ring_full": 1}).after_reader_missed(4)
    assert counters.kept == 5
    assert counters.dropped == {"ring_full": 1, "reader_behind": 4}
    assert counters.balanced
