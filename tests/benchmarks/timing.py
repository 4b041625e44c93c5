"""Fair timing of several contestants in one process: they alternate, and medians are taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median

WARM_UP = 20  # images before the clock starts


def alternate(
    contestants: Mapping[str, Callable[[int], object]], images: int, rounds: int
) -> dict[str, list[float]]:
    """Milliseconds per image of each contestant in each round; in a round each has its turn.

    Slow ones make fewer images a turn: as many as fit into a second or so.
    """
    turn = {}
    for name, make in contestants.items():
        begin = time.perf_counter()
        for i in range(WARM_UP):
            make(i)
            if time.perf_counter() - begin > 2:
                break
        one = (time.perf_counter() - begin) / (i + 1)
        turn[name] = max(3, min(images, int(1.5 / one)))
    spent: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name, make in contestants.items():
            first = number * turn[name]
            begin = time.perf_counter()
            for i in range(first, first + turn[name]):
                make(i)
            spent[name].append(1000 * (time.perf_counter() - begin) / turn[name])
    return spent


def ratio(slow: list[float], fast: list[float]) -> float:
    """How many times as long the one takes: the median over rounds of the round's own ratio."""
    return median(a / b for a, b in zip(slow, fast, strict=True))
