"""What each format costs: ``python -m tests.benchmarks.formats``.

The same images in every format: size and files on disk, seconds to write them, to open them, and
images a second that a ``DataLoader`` reads, shuffled, with two workers; beside them images that are
rendered when asked for. Contestants take turns; figures are medians of several rounds. What was
written lies in the page cache, as far as memory goes, so reading is decoding more than waiting.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any

from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.v2 import PILToTensor

from singleimg import RenderedDataset, SingleImage, StoredDataset
from singleimg.dataset.target import Target
from singleimg.outputs.resolve import described
from singleimg.storage.manifest import Entry, Record, record_text
from singleimg.storage.shards import Shard, Shards
from tests.benchmarks.timing import alternate, ratio
from tests.conftest import ROOT, SHARED

FORMATS = ("folder", "webdataset", "parquet", "lmdb", "mds")
NEEDED = {"parquet": "pyarrow", "lmdb": "lmdb", "mds": "streaming"}
RENDERED = "RenderedDataset"
WORKERS, BATCH = 2, 256
_TURN = 500  # images that one process renders in a turn
_FORK = multiprocessing.get_context("fork")


def main() -> None:
    """Measures what the command line asks for, prints."""
    given = parsed()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        figures = measure(given, Path(name))
    print(table(figures))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line, or these arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photograph", type=Path, default=SHARED / "images" / "ameyoko.jpg")
    parser.add_argument("--folder", type=Path, help="where to write (default: temporary files)")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--pixels", type=int, default=256, help="a side of those")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--million", type=int, default=1_281_167, help="images only listed")
    parser.add_argument("--json", type=Path, help="writes the figures to this file as well")
    given = parser.parse_args(arguments)
    if not given.photograph.exists():
        parser.error(f"{given.photograph} does not exist: type --photograph with one of your own")
    return given


def measure(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All figures; nothing is deleted before the last one is taken (see ``commands``)."""
    names = [name for name in FORMATS if importlib.util.find_spec(NEEDED.get(name, "json"))]
    rows: dict[str, dict[str, float]] = {name: {} for name in (*names, RENDERED)}
    made = write(given, names, folder, rows)
    for name, target in made.items():
        files = [file for file in target.rglob("*") if file.is_file()]
        rows[name]["MB on disk"] = sum(file.stat().st_blocks for file in files) * 512 / 1e6
        rows[name]["files"] = len(files)
    open_all(given, made, rows)
    open_a_million(given, made, folder, rows)
    read(given, made, rows)
    return {
        "photograph": given.photograph.name,
        "images": given.images,
        "pixels": given.pixels,
        "million": given.million,
        "formats": [{"format": name, **row} for name, row in rows.items()],
        "RenderedDataset / engine": beside_the_engine(given, made["folder"]),
    }


def write(given: argparse.Namespace, names: list[str], folder: Path, rows: dict) -> dict[str, Path]:
    """Has each format written by ``run.py``; the targets of the last round.

    Seconds of the whole command, its start and that of two workers included.
    """
    spent: dict[str, list[float]] = {name: [] for name in names}
    for number in range(given.rounds):
        made = {name: folder / f"{name}-{number}" for name in names}
        for name, target in made.items():
            typed = [f"imgpath={given.photograph}", f"num_imgs={given.images}"]
            typed += [f"img_size={given.pixels}", f"output={name}", f"threads={WORKERS}"]
            begin = time.perf_counter()
            subprocess.run(
                [sys.executable, str(ROOT / "run.py"), *typed, f"targetpath={target}"],
                check=True,
                stdout=subprocess.DEVNULL,
                cwd=ROOT,
            )
            spent[name].append(time.perf_counter() - begin)
    for name, seconds in spent.items():
        rows[name]["write, s"] = median(seconds)
    return made


# --- opening -------------------------------------------------------------------------------------


def open_all(given: argparse.Namespace, made: dict[str, Path], rows: dict) -> None:
    """Seconds to open a dataset, and to have the first image of it, which reads a record."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in made}
    for _ in range(given.rounds):
        for name, target in made.items():
            spent[name].append(in_a_fresh_process(_open_and_read, target))
    for name, pairs in spent.items():
        opened, first = (median(one) for one in zip(*pairs, strict=True))
        rows[name] |= {"open, ms": 1000 * opened, "open and first image, ms": 1000 * first}


def open_a_million(
    given: argparse.Namespace, made: dict[str, Path], folder: Path, rows: dict
) -> None:
    """Seconds to open a dataset of which all records are there, and no image is."""
    for name, target in made.items():
        listed = folder / f"{name}-listed"
        list_only(target, listed, given.million)
        seconds = [in_a_fresh_process(_open, listed) for _ in range(given.rounds)]
        rows[name]["open a million, ms"] = 1000 * median(seconds)


def list_only(target: Path, listed: Path, images: int) -> None:
    """Writes what would lie beside the images of a dataset like ``target``, of so many images."""
    old = Target.at(str(target))
    recipe, summary = old.recipe(), old.summary()
    output = described(recipe.layout)
    (listed / "manifest").mkdir(parents=True)
    (listed / "recipe.json").write_text(recipe.text())
    for shard in Shards(images, output.shard_size):
        record = Record(
            shard.number, shard.start, shard.stop, 0, recipe.fingerprint, recipe.made_with
        )
        text = record_text(record, _entries(output, shard))
        (listed / f"manifest/{shard.name}.jsonl").write_text(text)
    (listed / "dataset.json").write_text(json.dumps({**summary, "images": images}))


def _entries(output: Any, shard: Shard, size: int = 16_000) -> Iterator[Entry]:
    """Entries as long as real ones, in the shape that the ``output`` gives them."""
    place, digest = output.place(shard), sha256(shard.name.encode()).hexdigest()
    alone = {"folder": getattr(output, "file", None), "lmdb": "train.lmdb/{:09d}".format}
    path = alone.get(output.name)
    if path is None:
        yield Entry(None, place, len(shard) * size, digest)
    for index in range(shard.start, shard.stop):
        if path is not None:
            yield Entry(index, path(index), size, digest)
        else:
            yield Entry(index, place, size, digest, (index - shard.start) * size)


def in_a_fresh_process(function: Callable[[Path], Any], target: Path) -> Any:
    """What ``function`` gives in a process that has imported all and opened nothing yet."""
    with _FORK.Pool(1) as pool:
        return pool.apply(function, (target,))


def _open(target: Path) -> float:
    begin = time.perf_counter()
    StoredDataset(target)
    return time.perf_counter() - begin


def _open_and_read(target: Path) -> tuple[float, float]:
    begin = time.perf_counter()
    dataset = StoredDataset(target)
    opened = time.perf_counter()
    dataset[0]
    return opened - begin, time.perf_counter() - begin


# --- reading -------------------------------------------------------------------------------------


def read(given: argparse.Namespace, made: dict[str, Path], rows: dict) -> None:
    """Images a second of whole epochs, from their first batch asked for to their last one had."""
    datasets: dict[str, Dataset] = {
        name: StoredDataset(target, PILToTensor()) for name, target in made.items()
    }
    datasets[RENDERED] = RenderedDataset(made["folder"], transform=PILToTensor())
    rates: dict[str, list[float]] = {name: [] for name in datasets}
    for _ in range(given.rounds):
        for name, dataset in datasets.items():
            rates[name].append(given.images / _epoch(dataset, given.images))
    for name, found in rates.items():
        rows[name]["images/s read"] = median(found)


def _epoch(dataset: Dataset, images: int) -> float:
    loader = DataLoader(
        dataset,
        batch_size=BATCH,
        shuffle=True,
        num_workers=WORKERS,
        multiprocessing_context=_FORK,
    )
    begin, seen = time.perf_counter(), 0
    for batch, _ in loader:
        seen += len(batch)
    if seen != images:
        raise SystemExit(f"{seen:,} of {images:,} images were read")
    return time.perf_counter() - begin


def beside_the_engine(given: argparse.Namespace, target: Path) -> float:
    """Throughput of a RenderedDataset in one process, as a part of the engine's own."""
    images, dataset = SingleImage.open(target), RenderedDataset(target)
    images.set_up_process()
    spent = alternate(
        {"engine": images.render, RENDERED: lambda index: dataset[index % len(dataset)]},
        min(_TURN, given.images // 10),
        given.rounds,
    )
    return ratio(spent["engine"], spent[RENDERED])


# --- printing ------------------------------------------------------------------------------------

COLUMNS = {
    "MB on disk": "{:,.0f}",
    "files": "{:,.0f}",
    "write, s": "{:.1f}",
    "open, ms": "{:.1f}",
    "open and first image, ms": "{:.1f}",
    "images/s read": "{:,.0f}",
    "open a million, ms": "{:.1f}",
}


def table(figures: dict[str, Any]) -> str:
    """The figures in Markdown."""
    heads = [head.replace("a million", f"{figures['million']:,}") for head in COLUMNS]
    lines = [
        f"{figures['images']:,} images of {figures['pixels']} px: run.py with {WORKERS} workers, "
        f"the whole command; then a DataLoader with {WORKERS} workers, shuffled",
        "",
        f"| format | {' | '.join(heads)} |",
        "|---" + "|---:" * len(COLUMNS) + "|",
    ]
    for row in figures["formats"]:
        cells = [text.format(row[key]) if key in row else "–" for key, text in COLUMNS.items()]
        lines.append(f"| {row['format']} | {' | '.join(cells)} |")
    part = figures["RenderedDataset / engine"]
    lines += ["", f"RenderedDataset in one process: {part:.3f} of the engine's own throughput"]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
