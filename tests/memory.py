"""How much memory it takes to assemble a large shard: ``python -m tests.memory webdataset folder``.

Leaves the parts of a shard of 1 GB, of 256-pixel JPEGs by their size, has one process assemble them
and prints how many megabytes that took at most above what it had before.
"""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path

from PIL import Image

from singleimg import SingleImage, compose
from singleimg.config.make import instantiate
from singleimg.jobs.parts import FOLDER, Parts
from singleimg.jobs.producers import Rendered
from singleimg.jobs.progress import FileCounts
from singleimg.jobs.work import Task, Work
from singleimg.jobs.worker import render_chunk
from singleimg.storage.local import LocalStore
from singleimg.storage.manifest import record_place
from singleimg.storage.shards import Shard

IMAGES, BYTES, CHUNK = 66_000, 14_600, 250


def task_of(name: str, folder: Path, shard: Shard) -> Task:
    """The last chunk of a shard that is written into a new folder."""
    folder.mkdir()
    picture = folder.with_name("picture.png")
    Image.new("RGB", (300, 200)).save(picture)
    typed = (f"output={name}", f"output.shard_size={IMAGES}", "save_params=true")
    cfg = compose(f"imgpath={picture}", f"targetpath={folder}", "engine=reference", *typed)
    producer = Rendered(SingleImage.from_config(cfg), instantiate(cfg, "encode"), draws=True)
    output = instantiate(cfg, "output", image_suffix=".jpg")
    counts = folder.with_name(f"{folder.name}-counts")
    counts.mkdir()
    work = Work(str(folder), producer, output, LocalStore(folder), "f", {}, True, 32,
                FileCounts.begin(counts, 1), counts, "key")  # fmt: skip
    return Task(work, shard, list(shard.chunks(CHUNK))[-1], CHUNK, 0)


def leave_parts(task: Task) -> None:
    """Parts of all chunks, of small pictures with noise behind them."""
    work = task.work
    sample = next(work.producer.images(Shard(0, 0, 1)))[1]
    drawn = work.output.drawn(sample, work.producer.columns)
    parts = Parts(work.store.staging / FOLDER, work.key, task.shard)
    pixel = io.BytesIO()
    Image.new("RGB", (8, 8)).save(pixel, "jpeg")  # MDS looks whether it gets a picture
    for chunk in task.shard.chunks(CHUNK):
        images = [(pixel.getvalue() + os.urandom(BYTES), drawn) for _ in range(len(chunk))]
        parts.write(chunk, images)


def memory(name: str) -> float:
    """``VmRSS`` or ``VmHWM`` of this process, megabytes."""
    return int(re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1e3


def main(name: str, folder: Path) -> float:
    """Megabytes above those at rest, of a process that has made a small shard before."""
    small = task_of(name, folder / "small", Shard(0, 0, 2 * CHUNK))
    leave_parts(small)
    render_chunk(small)
    task = task_of(name, folder / "set", Shard(0, 0, IMAGES))
    leave_parts(task)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is that from here on
    before = memory("VmRSS")
    render_chunk(task)
    assert task.work.store.exists(record_place(task.shard))
    return memory("VmHWM") - before


if __name__ == "__main__":
    print(round(main(sys.argv[1], Path(sys.argv[2]))))
