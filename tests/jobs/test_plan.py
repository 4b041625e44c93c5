"""Chunks of shards: as many as keep all workers busy, and no larger than fits in memory."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from singleimg.backends.joblib import JoblibBackend
from singleimg.jobs.estimate import Estimate
from singleimg.jobs.plan import CHUNK, Plan
from singleimg.outputs.folder import FolderOutput
from singleimg.outputs.none import NoOutput
from singleimg.outputs.webdataset import WebDatasetOutput
from singleimg.storage.shards import Shard, Shards

TAR = WebDatasetOutput()


def plan(num_imgs: int, shard: int, workers: int, each: float = 0.01, size: int = 15_000,
         output=TAR, start: float = 1.0, from_seconds: float | None = None) -> Plan:  # fmt: skip
    does = Estimate(num_imgs, each, num_imgs * size, num_imgs * size, start=start)
    backend = JoblibBackend("loky", from_seconds)
    return Plan.of(Shards(num_imgs, shard)[:], output, backend, workers, does)


def test_one_worker_makes_whole_shards():
    one = plan(25_000, 10_000, workers=1)
    assert [(len(task.chunk), task.chunk == task.shard) for task in one.tasks(None)] == [
        (10_000, True), (10_000, True), (5000, True)
    ]  # fmt: skip


def test_several_make_chunks_of_one_shard():
    one = plan(10_100, 10_000, workers=2)
    tasks = list(one.tasks(None))
    assert len(one) == len(tasks) == 41 and one.workers == 2
    assert [task.slot for task in tasks] == list(range(41))
    assert tasks[0].chunk == Shard(0, 0, CHUNK) and tasks[0].shard == Shard(0, 0, 10_000)
    assert tasks[40].chunk == tasks[40].shard == Shard(1, 10_000, 10_100)
    assert [one.shard_of(slot).number for slot in (0, 39, 40)] == [0, 0, 1]
    assert [task.slot for task in one.tasks(None, one.shards[1:])] == [40]


def test_a_part_of_large_images_fits_in_memory():
    assert plan(1000, 1000, workers=2, size=1_000_000).size == 15
    assert plan(1000, 1000, workers=2, size=100_000_000).size == 1


@pytest.mark.parametrize(
    "seconds, start, from_seconds, workers",
    [(2.4, 1, None, 1), (2.6, 1, None, 4), (12, 5, None, 1), (13, 5, None, 4),
     (9, 1, 10, 1), (11, 100, 10, 4), (0.1, 100, 0, 4)],
)  # fmt: skip
def test_workers_are_worth_their_start(seconds, start, from_seconds, workers):
    each = seconds / 1000
    one = plan(1000, 1000, 4, each=each, start=start, from_seconds=from_seconds)
    assert one.workers == workers


def test_no_more_workers_than_chunks():
    assert plan(400, 1000, workers=8).workers == 2


def effort(num_imgs: int) -> Estimate:
    """10 ms an image, of which 1 ms is the writing into the shard."""
    return Estimate(num_imgs, 0.01, num_imgs * 15_000, num_imgs * 16_000, writing=0.001)


def test_assembling_is_a_piece_of_work_of_its_own():
    one = plan(700, 600, workers=2)
    assert one.pieces(effort(700)) == pytest.approx([225, 225, 90, 60, 100])
    folder = plan(700, 600, workers=2, output=FolderOutput(class_name="c"))
    assert folder.pieces(effort(700)) == [250, 250, 100, 100]
    assert plan(700, 600, workers=1).pieces(effort(700)) == [600, 100]


@pytest.mark.parametrize("num_imgs, shard", [(100_000_000, 1000), (100_000_000, 100_000)])
def test_the_time_of_very_many_is_told_by_fewer_larger_pieces(num_imgs, shard):
    one, does = plan(num_imgs, shard, workers=64), effort(num_imgs)
    pieces = one.pieces(does)
    assert len(one) == 400_000 and len(pieces) <= 50_000
    assert sum(pieces) == pytest.approx(num_imgs)
    assert max(pieces) < 4 * num_imgs / len(pieces)


@pytest.mark.parametrize("workers, early", [(1, 0.0), (2, 0.1), (5, 0.4), (64, 0.9)])
def test_the_last_shard_is_assembled_early_so_that_all_end_together(workers, early):
    does = effort(25_000)  # a tenth is the writing
    one = Plan.of(Shards(25_000, 10_000)[:], TAR, JoblibBackend("loky", 0), workers, does)
    shares = {task.shard.number: task.early for task in one.tasks(SimpleNamespace())}
    assert shares == {0: 0.0, 1: 0.0, 2: pytest.approx(early)}


def test_parts_of_the_shard_that_is_assembled_and_of_that_after_it_take_room():
    assert plan(100_000, 10_000, workers=2).parts(effort(100_000)) == 20_000 * 16_000
    assert plan(100_000, 10_000, workers=16).parts(effort(100_000)) == 60_000 * 16_000
    assert plan(5000, 10_000, workers=2).parts(effort(5000)) == 5000 * 16_000
    for output in (FolderOutput(class_name="c"), NoOutput()):
        assert plan(5000, 1000, workers=2, output=output).parts(effort(5000)) == 0
    assert plan(5000, 10_000, workers=1).parts(effort(5000)) == 0


def test_a_hundred_million_images_are_cut_when_asked_for():
    one = plan(100_000_000, 10_000, workers=2)
    assert len(one) == 400_000 and next(one.tasks(SimpleNamespace())).slot == 0
