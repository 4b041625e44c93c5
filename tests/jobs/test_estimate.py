"""What a run will take, by what an image takes and by who else wants the cores."""

from __future__ import annotations

import time
from itertools import count
from tempfile import gettempdir

import pytest

from singleimg.errors import UserError
from singleimg.jobs.estimate import Cores, Estimate, check_disk, check_temporary, measure_cores


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


def test_what_is_on_its_way_to_a_store_has_to_fit_into_the_folder_for_temporary_files():
    check_temporary(1)
    with pytest.raises(UserError) as caught:
        check_temporary(10**18)
    assert str(caught.value).startswith(
        f"The folder for temporary files, {gettempdir()}, needs about 1e+06 TB during this run, "
        "and "
    )
    assert str(caught.value).endswith(
        " are free: make room there, or type TMPDIR=/another/folder before the command."
    )


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


@pytest.mark.parametrize(
    "sizes, workers, cores, start, seconds",
    [
        ([1000] * 5, 1, Cores(1), 3.0, 50),  # no worker, nobody starts
        ([1000], 2, Cores(2), 3.0, 10),  # one chunk: the driver makes it
        ([1000, 1000], 2, Cores(2), 3.0, 13),  # a worker starts, and makes the other
        ([1000, 1000, 1000], 4, Cores(4), 3.0, 13),
        ([1000] * 4, 2, Cores(2), 0.0, 15 + 10),  # three at once on two cores, then one alone
        ([1000] * 4, 2, Cores(2), 3.0, 15 + 3 + 1.5 + 8.5),  # the driver is done before
        ([4000, 1000], 2, Cores(2), 0.0, 40),
        ([100] * 40, 2, Cores(2), 3.0, 4.5 + 19),  # the driver makes chunks until workers do
        ([1000] * 3, 2, Cores(2, rivals=2), 0.0, 30 * (3 + 2) / (2 * 3)),
        ([1000] * 3, 1, Cores(2, rivals=2, alone=0.5), 0.0, 60),
    ],
)
def test_chunks_are_made_in_turn_by_all_that_are_at_work(sizes, workers, cores, start, seconds):
    """10 ms an image; who starts takes its share of the cores as well."""
    effort = Estimate(sum(sizes), 0.01, 0, start=start, cores=cores)
    assert effort.takes(sizes, workers) == pytest.approx(seconds)


def test_threads_take_longer_than_processes_would():
    effort = Estimate(4000, 0.01, 0, together=0.5, cores=Cores(2))
    assert effort.takes([2000, 2000], 2) == pytest.approx(40)


def test_pictures_that_workers_share_come_before_all_else():
    effort = Estimate(4000, 0.01, 0, once=7, cores=Cores(2))
    assert effort.takes([2000, 2000], 2) == pytest.approx(20 + 7)


def test_a_hundred_million_images_are_counted_at_once():
    effort = Estimate(100_000_000, 0.002, 0, start=3.0, cores=Cores(64))
    begin = time.perf_counter()
    assert effort.takes([1000] * 100_000, 64) == pytest.approx(100_000_000 * 0.002 / 64, rel=0.01)
    assert time.perf_counter() - begin < 5


def test_the_bar_is_told_of_workers_that_have_nothing_to_do_at_the_end():
    effort = Estimate(4000, 0.01, 0, cores=Cores(2))
    assert effort.tail([1000] * 4, 2) == pytest.approx(25 / 20, rel=0.03)
    assert effort.tail([10] * 400, 2) == pytest.approx(1, rel=0.03)


def test_a_person_is_told_size_and_time():
    assert Estimate(1, 1, 10**9).describe(3600) == "about 1 GB, 1 h 00 min"
    small = Estimate(1, 1, 1_300_000, disk=4_100_000)
    assert small.describe(3) == "about 1.3 MB (4.1 MB on disk), 3 s"
    parts = Estimate(1, 1, 10**9, disk=1_010_000_000, parts=900_000_000)
    assert parts.describe(3) == "about 1 GB (1.91 GB meanwhile), 3 s"
    few = Estimate(1, 1, 10**9, disk=1_010_000_000, parts=100_000_000)
    assert few.describe(3) == "about 1 GB, 3 s"
