"""Measures what the pages show and writes it there: ``python -m tests.benchmarks.readme``.

What stands in a page between ``<!-- measured: NAME -->`` and ``<!-- /measured -->`` is replaced by
the table of that name; pictures are drawn anew. Do it on an idle machine: about ten minutes.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image

from singleimg.engines.raster.library import load
from tests.benchmarks import formats, throughput
from tests.conftest import ROOT, SHARED
from tests.in_process import run_script

FRONT = (("script", 32), ("script", 256), ("paper", 256), ("strong", 256))  # rows of the README
WIDTH = 1248  # pixels, of a picture
MARKED = re.compile(r"(<!-- measured: ([\w-]+) -->\n).*?(<!-- /measured -->)", re.DOTALL)


def main() -> None:
    """Parses the command line; measures, draws and writes what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photograph", type=Path, default=SHARED / "images" / "ameyoko.jpg")
    parser.add_argument("--only", nargs="+", choices=[*TABLES, *PICTURES], help="all, if left out")
    parser.add_argument("--images", type=int, default=400, help="a turn")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contestant")
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout whose pages change")
    given = parser.parse_args()
    if not given.photograph.exists():
        parser.error(f"{given.photograph} does not exist: type --photograph with one of your own")
    for name in given.only or [*PICTURES, *TABLES]:
        if name in PICTURES:
            PICTURES[name](given.root / name)
        else:
            table = f"{TABLES[name](given)}\n\n{conditions(given)}\n"
            for page in pages(given.root):
                put(page, name, table)
        print(f"{name} is up to date", flush=True)


def pages(root: Path) -> Iterator[Path]:
    """The pages that may hold tables."""
    yield root / "README.md"
    yield from sorted((root / "docs").rglob("*.md"))


def put(page: Path, name: str, table: str) -> None:
    """Replaces the table ``name`` of a page, wherever it stands there."""
    before = page.read_text(encoding="utf-8")
    after = MARKED.sub(
        lambda found: f"{found[1]}{table}{found[3]}" if found[2] == name else found[0], before
    )
    if after != before:
        page.write_text(after, encoding="utf-8")


def conditions(given: argparse.Namespace) -> str:
    """When and on what the figures were measured."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())  # of Linux
    return (
        f"Measured on {datetime.date.today()} by `python -m tests.benchmarks.readme` with the "
        f"{load().kernel} kernel: "
        f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}; a photograph of {_size(given.photograph)} "
        f"pixels; medians of {given.rounds} rounds."
    )


def _size(photograph: Path) -> str:
    with Image.open(photograph) as picture:
        return f"{picture.width} × {picture.height}"


def front(given: argparse.Namespace) -> str:
    """Four rows: images a second of one core, and how many times as long others take."""
    lines = [
        "| `augment=` | px | images/s, one core | published script, repaired | "
        "`engine=reference` (Pillow, torchvision) | Albumentations |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for preset, size in FRONT:
        rows = {row["contestant"]: row for row in throughput.compare(given, preset, size)}
        others = (rows.get(name) for name in throughput.AGAINST[:3])
        against = [f"{row['native is faster by']:.1f}×" if row else "–" for row in others]
        rate = 1000 / rows[throughput.FAST]["ms"]
        lines.append(f"| `{preset}` | {size} | {rate:,.0f} | {' | '.join(against)} |")
    return "\n".join(lines)


def every_size(given: argparse.Namespace) -> str:
    """All presets and sizes."""
    given = argparse.Namespace(**vars(given), sizes=throughput.SIZES, presets=throughput.PRESETS)
    return throughput.summary(throughput.engines(given))


def every_format(given: argparse.Namespace) -> str:
    """Writing and reading in each format."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--photograph", str(given.photograph), "--rounds", str(given.rounds)]
        return formats.table(formats.measure(formats.parsed(arguments), Path(folder)))


def preview(file: Path) -> None:
    """The first images of ``augment=strong``, and where in a picture of ours they lie."""
    with tempfile.TemporaryDirectory() as folder:
        typed = ("task=preview", "image=dead_leaves", "augment=strong")
        done = run_script(ROOT / "run.py", typed, Path(folder), {})
        if done.returncode:
            raise SystemExit(done.stderr)
        (drawn,) = Path(folder).glob("outputs/previews/*.png")
        picture = Image.open(drawn).convert("RGB")
        picture.thumbnail((WIDTH, WIDTH), Image.Resampling.LANCZOS)
        picture.save(file, quality=85)


TABLES: dict[str, Callable[[argparse.Namespace], str]] = {
    "speed": front,
    "throughput": every_size,
    "formats": every_format,
}
PICTURES: dict[str, Callable[[Path], None]] = {"docs/preview.jpg": preview}

if __name__ == "__main__":
    main()
