"""What safety costs: ``python -m tests.benchmarks.commits``.

A commit against the rendering of its shard, finding out what is done, verifying against
``xargs -P`` with ``sha256sum``. Figures are medians of several rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from statistics import median

from singleimg.dataset.recipe import Recipe
from singleimg.dataset.target import Target
from singleimg.encoders.jpeg import JpegEncoder
from singleimg.outputs.folder import FolderOutput
from singleimg.storage.local import LocalStore
from singleimg.storage.manifest import Entry, Record
from singleimg.storage.shards import Shard, Shards
from singleimg.storage.staging import Staging
from tests.benchmarks.contestants import images as make_images
from tests.conftest import ROOT, SHARED

_SHARDS = 1281


def main() -> None:
    """Parses the command line, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photograph", type=Path, default=SHARED / "images" / "ameyoko.jpg")
    parser.add_argument("--folder", type=Path, help="where to write (default: temporary files)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=1000, help="in a shard")
    parser.add_argument("--files", type=int, default=100_000, help="to verify")
    parser.add_argument("--pixels", type=int, default=256, help="a side of those")
    parser.add_argument("--json", type=Path, help="writes the figures to this file as well")
    given = parser.parse_args()
    if not given.photograph.exists():
        parser.error(f"{given.photograph} does not exist: type --photograph with one of your own")
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        for size in (256, 32):
            figures |= commit_cost(given.photograph, folder, size, given.images, given.rounds)
        figures |= finding_out(folder / "done", given.rounds)
        figures |= verifying(given, folder / "files")
    for what, figure in figures.items():
        print(f"{what:66}{figure:9.3f}")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


def commit_cost(
    photograph: Path, folder: Path, size: int, count: int, rounds: int
) -> dict[str, float]:
    """Milliseconds an image of rendering and of committing, durable and not, in turns."""
    made = make_images(photograph, "engine=native", f"img_size={size}")
    output, encoder = FolderOutput(class_name="c"), JpegEncoder(library="simplejpeg")
    spent: dict[str, list[float]] = {"render": [], "write": [], "True": [], "False": []}
    for number in range(2 * rounds):
        durable = number % 2 == 0
        shard = Shard(number, number * count, (number + 1) * count)
        target = folder / str(size)
        target.mkdir(exist_ok=True)
        begin = time.perf_counter()
        data = [encoder.encode(made.render(index)) for index in range(shard.start, shard.stop)]
        rendered = time.perf_counter()
        with Staging(LocalStore(target, durable), shard) as staging:
            writer = output.open(staging, shard)
            for index, one in zip(range(shard.start, shard.stop), data, strict=True):
                writer.write(index, one)
            written = time.perf_counter()
            record = Record(number, shard.start, shard.stop, 0, "", {})
            staging.commit(record, writer.close())
        end = time.perf_counter()
        stages = {"render": rendered - begin, "write": written - rendered}
        for what, seconds in {**stages, str(durable): end - written}.items():
            spent[what].append(1000 * seconds / count)
    render = median(spent["render"])
    return {
        f"{size} px: render and encode, ms an image": render,
        f"{size} px: write files and hash, ms an image": median(spent["write"]),
        f"{size} px: commit, durable, ms an image": median(spent["True"]),
        f"{size} px: commit, not durable, ms an image": median(spent["False"]),
        f"{size} px: durable commit / render": median(spent["True"]) / render,
        f"{size} px: commit, not durable / render": median(spent["False"]) / render,
    }


def finding_out(folder: Path, rounds: int) -> dict[str, float]:
    """Seconds to find out which of 1,281 shards of a thousand images are done."""
    folder.mkdir()
    recipe = Recipe({"seed": 0.0}, {}, {})
    output = FolderOutput(class_name="c")
    for shard in Shards(_SHARDS * 1000, 1000):
        with Staging(LocalStore(folder, False), shard) as staging:
            staging.path(output.place(shard)).mkdir()
            made = Record(shard.number, shard.start, shard.stop, 0, recipe.fingerprint, {})
            digest = sha256(str(shard).encode()).hexdigest()
            place = output.place(shard)
            entries = [
                Entry(index, f"{place}/patch_{index:09d}.jpg", 15_000, digest)
                for index in range(shard.start, shard.stop)
            ]
            staging.commit(made, entries)
    seconds = []
    for _ in range(rounds):
        begin = time.perf_counter()
        target = Target(LocalStore(folder))
        done = target.done(target.look(), Shards(_SHARDS * 1000, 1000), recipe, output)
        seconds.append(time.perf_counter() - begin)
        if len(done) != _SHARDS:
            raise SystemExit(f"{len(done)} of {_SHARDS} shards were found")
    return {f"find out what is done of {_SHARDS:,} shards, s": median(seconds)}


def verifying(given: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Seconds of task=verify and of sha256sum under xargs, in turns, on two processes."""
    run, count = [sys.executable, str(ROOT / "run.py")], given.files
    typed = [f"imgpath={given.photograph}", f"num_imgs={count}", f"img_size={given.pixels}"]
    typed += ["threads=2", f"targetpath={folder}"]
    subprocess.run([*run, *typed], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    verify = [*run, "task=verify", f"targetpath={folder}", "threads=2"]
    sums = f"find '{folder}/train' -type f -print0 | xargs -0 -P 2 -n 500 sha256sum"
    spent: dict[str, list[float]] = {"verify": [], "xargs": []}
    for _ in range(given.rounds):
        for what, command in (("verify", verify), ("xargs", ["sh", "-c", sums])):
            begin = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
            spent[what].append(time.perf_counter() - begin)
    size = sum(os.stat(file).st_size for file in folder.rglob("*.jpg")) / count
    return {
        f"verify {count:,} files of {size / 1000:.1f} kB, the whole command, s": median(
            spent["verify"]
        ),
        "find and xargs -P 2 sha256sum, the same files, s": median(spent["xargs"]),
        "verify / xargs sha256sum": median(
            a / b for a, b in zip(spent["verify"], spent["xargs"], strict=True)
        ),
    }


if __name__ == "__main__":
    main()
