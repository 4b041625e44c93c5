"""``run.py`` as a user starts it: its steady rate, one shard made by two workers, its start-up, the
memory of its workers; and a training that reads images as they are rendered.

Nothing is deleted before the last figure is taken: for a minute after a deletion, file systems such
as ext4 look for inodes that were not just freed, and creating a file takes several times as long.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psutil

from tests.conftest import ROOT

FEW, MANY = 10_000, 40_000
EARLY, LATE = 2_000, 50_000
SHARD = 120_000
_STARTS = 3


def measure(photograph: Path, engine_rate: float | None) -> dict[str, float]:
    """All of it: about ten minutes and 6 GB of disk, on two cores."""
    with tempfile.TemporaryDirectory() as folder:
        return _measure(Commands(photograph, Path(folder)), engine_rate)


def _measure(commands: Commands, engine_rate: float | None) -> dict[str, float]:
    figures = {}
    commands.whole_run(100, 1)  # reads what it imports from a cold disk
    for workers in (1, 2):
        seconds = [commands.whole_run(count, workers) for count in (FEW, MANY)]
        figures[f"images/s, {workers} workers"] = (MANY - FEW) / (seconds[1] - seconds[0])
    figures["two workers / one"] = figures["images/s, 2 workers"] / figures["images/s, 1 workers"]
    if engine_rate:
        figures["engine, images/s"] = engine_rate
        for workers in (1, 2):
            rate = figures[f"images/s, {workers} workers"]
            figures[f"rate / (engine x {workers})"] = rate / (workers * engine_rate)
    for count in (SHARD, FEW):
        one_shard = ("augment=paper", "output=webdataset", f"output.shard_size={count}")
        seconds = [commands.whole_run(count, workers, *one_shard) for workers in (1, 2)]
        figures[f"paper, one shard of {count:,}, 1 worker, seconds"] = seconds[0]
        figures[f"paper, one shard of {count:,}, two workers / one"] = seconds[0] / seconds[1]
    figures["paper, 224 px, DataLoader of two workers, images/s"] = loaded(commands.photograph)
    figures["first image, seconds"] = median(commands.first_image() for _ in range(_STARTS))
    for count, memory in commands.worker_memory().items():
        figures[f"private memory of a worker at {count:,} images, MB"] = memory
    return figures


def table(figures: dict[str, float]) -> str:
    """Name and figure, one a line."""
    head = f"\nrun.py, 256 px, script, files written; rates are ({MANY:,} - {FEW:,}) images / time"
    return "\n".join([head, *(f"  {name:50}{value:10.2f}" for name, value in figures.items())])


class Commands:
    """Runs of the command line on one photograph, each with a target of its own in ``folder``."""

    def __init__(self, photograph: Path, folder: Path) -> None:
        self.photograph, self.folder, self._runs = photograph, folder, 0

    @contextmanager
    def running(self, count: int, workers: int, *more: str) -> Iterator[tuple[psutil.Popen, Path]]:
        """A run on its way, and its target; stopped at the end if it still runs."""
        self._runs += 1
        target = self.folder / str(self._runs)
        typed = [f"imgpath={self.photograph}", f"num_imgs={count}", f"threads={workers}"]
        run = psutil.Popen(
            [sys.executable, str(ROOT / "run.py"), *typed, *more, f"targetpath={target}"],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield run, target
        finally:
            for process in [*run.children(recursive=True), run] if run.is_running() else []:
                process.kill()
            run.wait()

    def whole_run(self, count: int, workers: int, *more: str) -> float:
        """Seconds of the command, from its start to its end."""
        begin = time.perf_counter()
        with self.running(count, workers, *more) as (run, _):
            if run.wait():
                raise SystemExit("run.py failed: start it by hand to see why.")
            return time.perf_counter() - begin

    def first_image(self) -> float:
        """Seconds from the command's start to the first image on disk."""
        begin = time.perf_counter()
        with self.running(MANY, 2) as (run, target):
            while run.poll() is None:
                if next(target.glob(".tmp-*/train/*/*/*.jpg"), None):
                    return time.perf_counter() - begin
                time.sleep(0.005)
        raise SystemExit("run.py failed: start it by hand to see why.")

    def worker_memory(self) -> dict[int, float]:
        """USS of the largest worker, MB, when so many images are committed."""
        found: dict[int, float] = {}
        with self.running(LATE + 4_000, 2) as (run, target):
            for count in (EARLY, LATE):
                while len(list(target.glob("manifest/[0-9]*.jsonl"))) * 1000 < count:
                    if run.poll() is not None:
                        raise SystemExit("run.py failed: start it by hand to see why.")
                    time.sleep(0.05)
                found[count] = max(_worker_sizes(run)) / 1e6
        return found


def _worker_sizes(run: psutil.Popen) -> list[int]:
    """USS of the processes that render."""
    workers = (one for one in run.children(recursive=True) if "loky" in " ".join(one.cmdline()))
    workers = (one for one in workers if "resource_tracker" not in " ".join(one.cmdline()))
    return [worker.memory_full_info().uss for worker in workers]


def loaded(photograph: Path, images: int = 20_000) -> float:
    """Images a second that a DataLoader of two workers hands out, after its first 2,000."""
    from torch.utils.data import DataLoader
    from torchvision.transforms.v2.functional import pil_to_tensor

    from singleimg import RenderedDataset

    data = RenderedDataset(photograph, images, pil_to_tensor, augment="paper", img_size=224)
    begin = 0.0
    for number, _ in enumerate(DataLoader(data, batch_size=100, num_workers=2)):
        if number == 19:
            begin = time.perf_counter()
    return (images - 2_000) / (time.perf_counter() - begin)
