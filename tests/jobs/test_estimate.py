"""What a run will take, by what an image takes and by who else wants the cores."""

from __future__ import annotations

import time
from itertools import count

import pytest

from singleimg.errors import UserError
from singleimg.jobs.estimate import Cores, Estimate, check_disk, measure_cores


def test_what_cannot_fit_is_refused(tmp_path):
    with pytest.raises(UserError) as caught:
        check_disk(tmp_path / "not" / "there", 10**18)
    assert str(caught.value).startswith(
        f"targetpath={tmp_path}/not/there needs about 1e+06 TB and "
    )
    assert str(caught.value).endswith(
        " are free: type a smaller num_imgs, or a targetpath on another disk."
    )
    assert check_disk(tmp_path, 1) > 0


@pytest.mark.parametrize(
    "rivals, workers, given",
    [(0, 1, 1), (0, 2, 2), (0, 8, 2), (2, 2, 1), (1, 2, 4 / 3)],
)
def test_two_cores_are_shared_fairly(rivals, workers, given):
    """With nobody else; with two programs that never wait, and with one of them."""
    assert Cores(2, rivals).given(workers) == pytest.approx(given)


@pytest.mark.parametrize(
    "workers, cores, got",
    [(2, 2, 2.0), (2, 2, 1.0), (2, 2, 0.3), (4, 2, 2.0), (4, 16, 4.0), (16, 16, 5.0), (8, 4, 4.0)],
)
def test_others_are_seen_by_what_threads_of_ours_got(monkeypatch, workers, cores, got):
    now = count(step=0.001)
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    monkeypatch.setattr(time, "process_time", lambda: got * next(now))
    found = measure_cores(workers, cores, 0.3)
    assert found.given(workers) == pytest.approx(got, rel=0.1)


def simulated(sizes: list[int], workers: int, cores: int, each: float, pause: float) -> float:
    """Seconds, by going from one finished shard to the next: the driver makes the first one."""
    if workers == 1:
        return sum(sizes) * each
    now, lanes, waiting = 0.0, [sizes[0] * each], [size * each for size in sizes[1:]]
    driver = 1  # the first lane, until it is done
    while lanes or waiting:
        starting = workers if now < pause else 0
        while waiting and not starting and len(lanes) < workers + driver:
            lanes.append(waiting.pop(0))
        # Processes that start want the cores too.
        share = min(1.0, cores / (len(lanes) + starting))
        steps = [left / share for left in lanes] + [pause - now] * bool(starting)
        step = min(steps)
        driver = driver and lanes[0] > step * share + 1e-9
        lanes = [left - step * share for left in lanes if left > step * share + 1e-9]
        now += step
    return now


@pytest.mark.parametrize("workers, cores", [(1, 2), (2, 2), (4, 4), (16, 16)])
@pytest.mark.parametrize("shards, size", [(1, 20_000), (2, 10_000), (20, 1000), (35, 1000)])
def test_it_takes_what_a_simulation_takes(workers, cores, shards, size):
    effort = Estimate(shards * size, 0.002, 0, start=3.0, cores=Cores(cores))
    sizes = [size] * shards
    taken = simulated(sizes, workers, cores, 0.002, effort.pause(workers))
    assert effort.takes(sizes, workers) == pytest.approx(taken, rel=0.25)


def test_a_person_is_told_size_and_time():
    assert Estimate(1, 1, 10**9).describe(3600) == "about 1 GB, 1 h 00 min"
    small = Estimate(1, 1, 1_300_000, disk=4_100_000)
    assert small.describe(3) == "about 1.3 MB (4.1 MB on disk), 3 s"
