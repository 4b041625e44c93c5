"""The first images tell what is paid once, what each takes, and what lies on disk in the end."""

from __future__ import annotations

import copy
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from singleimg.engines.picture import Few
from singleimg.jobs import trial
from singleimg.jobs.estimate import Cores, Estimate
from singleimg.jobs.job import Job, prepare
from singleimg.jobs.producers import Producer
from singleimg.jobs.trial import try_out
from singleimg.storage.shards import Shard
from tests.config.test_checks import loaded


class Clock:
    """Time that goes by only when somebody says so; others leave so many of two cores."""

    def __init__(self) -> None:
        self.now = self.used = 0.0
        self.share, self.cores = 1.0, Cores(2)

    def work(self, seconds: float) -> None:
        """So many seconds of a core, of which this process gets its share."""
        self.used += seconds
        self.now += seconds / self.share


@pytest.fixture
def clock(monkeypatch) -> Clock:
    one = Clock()
    monkeypatch.setattr(time, "perf_counter", lambda: one.now)
    monkeypatch.setattr(time, "process_time", lambda: one.used)
    monkeypatch.setattr(trial, "measure_cores", lambda workers, cores: one.cores)
    return one


class Album:
    """Pictures that take long to decode, and some more to be prepared."""

    kept, room = 8, 1000  # pictures

    def __init__(
        self, clock: Clock, number: int, decode: float, prepare: float, write: float = 0.0
    ) -> None:
        self.number = number
        self.seen: set[int] = set()
        drawn = SimpleNamespace(write=lambda file: clock.work(write))

        @lru_cache(maxsize=self.kept)
        def load(k: int) -> SimpleNamespace:
            clock.work(decode + prepare)
            self.seen.add(k)
            return drawn

        self.load = load

    def __len__(self) -> int:
        return self.number

    def keeps(self, nbytes: float) -> int:
        return self.kept

    def shares(self, nbytes: float, folder: Path) -> int:
        return self.room


class Slow(Producer):
    """Images, each in so many seconds, from an album in turn; each chunk takes some more."""

    columns = None

    def __init__(
        self, clock: Clock, each: float, pictures: Album | None = None, chunk: float = 0.0
    ) -> None:
        self.clock, self.each, self.pictures, self.chunk = clock, each, pictures, chunk
        self.imports = 2.0

    def set_up_process(self) -> None:
        self.clock.work(self.imports)

    def load(self, picture: int) -> int:
        self.pictures.load(picture)
        return 30_000_000

    def few(self, numbers: list[int]) -> Producer:
        if self.pictures is None:
            return self
        some = copy.copy(self)
        some.pictures = Few(self.pictures, numbers)
        return some

    def images(self, shard: Shard) -> Iterator[tuple[bytes, None]]:
        self.clock.work(self.chunk)
        for index in range(shard.start, shard.stop):
            if self.pictures is not None:
                self.pictures.load(index % len(self.pictures))
            self.clock.work(self.each)
            yield b"x" * 1300, None


def tried(picture, tmp_path, producer: Producer, *more: str, num_imgs: int = 10_000) -> Estimate:
    job = replace(job_of(picture, tmp_path, num_imgs, *more), producer=producer)
    return try_out(job, list(job.shards))


def job_of(picture, tmp_path, num_imgs: int, *more: str) -> Job:
    common = [f"imgpath={picture}", f"targetpath={tmp_path / 'set'}", "img_size=32"]
    return prepare(loaded(*common, f"num_imgs={num_imgs}", *more))


def test_what_is_paid_once_is_not_taken_for_the_rate(picture, tmp_path, clock):
    """An 88-megapixel PNG: seconds for the first image, milliseconds for the others."""
    album = Album(clock, 1, decode=5.0, prepare=1.0)
    effort = tried(picture, tmp_path, Slow(clock, 0.005, album), "backend=sequential")
    assert effort.seconds == pytest.approx(50) and effort.once == 0  # it is paid already


def test_few_pictures_that_are_still_to_be_decoded_are_counted_once_each(picture, tmp_path, clock):
    album = Album(clock, 8, decode=0.4, prepare=0.1)
    effort = tried(picture, tmp_path, Slow(clock, 0.002, album), "backend=sequential")
    seen = len(album.seen)
    assert 2 <= seen <= 5 and effort.seconds == pytest.approx(20)
    assert effort.once == pytest.approx((8 - seen) * 0.5, rel=0.1)


def test_of_many_pictures_each_image_may_need_one_that_was_dropped(picture, tmp_path, clock):
    album = Album(clock, 100, decode=0.4, prepare=0.1)
    effort = tried(picture, tmp_path, Slow(clock, 0.002, album), "backend=sequential")
    assert effort.each == pytest.approx(0.002 + 0.92 * 0.5, rel=0.05)
    assert effort.once == pytest.approx((8 - len(album.seen)) * 0.5)


@pytest.mark.parametrize("num_imgs", [20, 50, 1000])
def test_of_few_images_not_every_picture_is_asked_for(picture, tmp_path, clock, num_imgs):
    """As often as images take a picture at random that none of them took before."""
    monte_carlo, rng = [], np.random.default_rng(0)
    for _ in range(200):
        kept, misses = {}, 0
        for k in rng.integers(100, size=num_imgs).tolist():
            misses += k not in kept
            kept.pop(k, None)
            kept[k] = None
            if len(kept) > Album.kept:
                del kept[next(iter(kept))]
        monte_carlo.append(misses)
    album = Album(clock, 100, decode=0.4, prepare=0.1)
    typed = "backend=sequential"
    effort = tried(picture, tmp_path, Slow(clock, 0.002, album), typed, num_imgs=num_imgs)
    decoding = effort.each * num_imgs + effort.once - 0.002 * num_imgs
    expected = np.mean(monte_carlo) * 0.5
    assert decoding == pytest.approx(expected, abs=0.1 * expected + 0.5 * len(album.seen))


def test_workers_share_what_the_driver_decodes(picture, tmp_path, clock):
    album = Album(clock, 100, decode=0.4, prepare=0.1, write=0.2)
    effort = tried(picture, tmp_path, Slow(clock, 0.02, album), "threads=2")
    assert effort.once == pytest.approx(100 * (0.4 + 0.1 + 0.2))
    assert effort.each == pytest.approx(0.02, rel=0.05)


def test_a_worker_takes_as_long_to_start_as_this_process_did(picture, tmp_path, clock):
    effort = tried(picture, tmp_path, Slow(clock, 0.02), "threads=2")
    assert 2 < effort.start < 3 and effort.pause(1) == 0
    assert effort.pause(2) == pytest.approx(1.5 * effort.start)  # beside the driver, on two cores


def test_what_is_paid_for_each_chunk_is_not_taken_for_that_of_an_image(picture, tmp_path, clock):
    """Images are drawn and planned 250 at once: for one alone that takes longer than to render."""
    slow = Slow(clock, 0.0005, chunk=0.001)
    effort = tried(picture, tmp_path, slow, "backend=sequential")
    assert effort.each == pytest.approx(0.0005, rel=0.05)


def test_what_is_imported_for_a_late_image_is_paid_once(picture, tmp_path, clock):
    class Late(Slow):
        def images(self, shard: Shard) -> Iterator[tuple[bytes, None]]:
            for made in super().images(shard):
                if self.clock.now > 2.1 and self.imports:
                    self.clock.work(self.imports)
                    self.imports = 0
                yield made

    effort = tried(picture, tmp_path, Late(clock, 0.002), "backend=sequential")
    assert effort.each == pytest.approx(0.002)


def test_on_a_busy_machine_it_takes_longer(picture, tmp_path, clock):
    """Two programs that never wait: one process gets two thirds of a core, two get one core."""
    clock.share, clock.cores = 2 / 3, Cores(2, rivals=2)
    effort = tried(picture, tmp_path, Slow(clock, 0.02), "threads=2")
    assert effort.each == pytest.approx(0.02)
    assert effort.takes([1000] * 10, 2) == pytest.approx(10_000 * 0.02, rel=0.1)


class Uneven(Slow):
    """One image of ten takes 100 times as long."""

    def images(self, shard: Shard) -> Iterator[tuple[bytes, None]]:
        for index, made in enumerate(super().images(shard), shard.start):
            self.clock.work(0.2 if index % 10 == 9 else 0)
            yield made


@pytest.mark.parametrize("num_imgs", [1_000, 10_000, 100_000])
def test_images_whose_cost_differs_are_averaged_over_many(picture, tmp_path, clock, num_imgs):
    """For a few per cent of the time that they will take, where that is longer than a second."""
    effort = tried(picture, tmp_path, Uneven(clock, 0.002), "backend=sequential", num_imgs=num_imgs)
    assert effort.each == pytest.approx(0.022, rel=0.4)
    assert clock.now - 2 < 0.1 * 0.022 * num_imgs + 1.5  # its imports took two


def test_images_that_are_alike_are_few(picture, tmp_path, clock):
    tried(picture, tmp_path, Slow(clock, 0.01), "backend=sequential", num_imgs=1_000_000)
    assert clock.now - 2 < 0.5


def test_what_the_first_writing_imports_is_paid_once(picture, tmp_path, clock, monkeypatch):
    """pyarrow, say: half a second, by 256 images two milliseconds each."""
    imports, render_chunk = iter([0.5]), trial.render_chunk

    def slow(task) -> None:
        clock.work(next(imports, 0))
        render_chunk(task)

    monkeypatch.setattr(trial, "render_chunk", slow)
    effort = tried(picture, tmp_path, Slow(clock, 0.002), "backend=sequential")
    assert effort.each == pytest.approx(0.002)


@pytest.mark.parametrize("output", ["folder", "webdataset", "parquet", "lmdb"])
@pytest.mark.parametrize("more", [(), ("save_params=true",)], ids=["", "draws"])
def test_the_size_that_is_said_is_the_size_that_is_made(picture, tmp_path, run, output, more):
    """On disk as ``du`` counts it, and of the images as ``dataset.json`` does."""
    typed = ["img_size=64", f"output={output}", *more]
    job = job_of(picture, tmp_path, 400, *typed)
    effort = try_out(job, list(job.shards))
    run(f"imgpath={picture}", f"targetpath={tmp_path / 'set'}", "num_imgs=400", *typed)
    du = subprocess.run(["du", "-sB1", tmp_path / "set"], capture_output=True, text=True)
    assert effort.disk == pytest.approx(int(du.stdout.split()[0]), rel=0.1)
    made = json.loads((tmp_path / "set" / "dataset.json").read_text())
    assert effort.bytes == pytest.approx(made["bytes"], rel=0.2)
