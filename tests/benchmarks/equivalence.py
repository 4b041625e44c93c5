"""How alike: ``python -m tests.benchmarks.equivalence``.

Renders the same draws with ``native`` and with ``reference`` and prints, for each preset, size and
source, the peak signal-to-noise ratio between the two before encoding, and how much brighter
``native`` is on average. Half a level of that is Pillow's: its affine and its colour steps cut
fractions off where ours round.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed

from tests.benchmarks.contestants import images_of
from tests.conftest import SHARED

SIZES = (32, 64, 256)
PRESETS = ("script", "paper", "weak", "strong", "none")
# What is asked of each cell: dB, of the first percentile by size; levels; and dB below what the
# engine had before the raster.
MEDIAN, MEDIAN_JITTERED, FIRST_PERCENTILE = 47.0, 45.0, {256: 40.0, 64: 39.0, 32: 38.0}
BRIGHTER, BELOW = 0.3, 0.5
BEFORE = {
    (row["source"], row["preset"], row["size"]): row
    for row in json.loads(Path(__file__).with_name("before_raster.json").read_text())["equivalence"]
}


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two ``uint8`` images, dB; 99 for equal ones."""
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return 10 * math.log10(255**2 / error) if error else 99.0


def compare(source: str, preset: str, size: int, count: int, *more: str) -> dict:
    """One row: ``count`` images of ``preset`` at ``size`` px from a source (an override)."""
    torch.set_num_threads(1)
    typed = [source, f"augment={preset}", f"img_size={size}", *more]
    reference, native = (images_of(*typed, f"engine={name}") for name in ("reference", "native"))
    found, jittered, brighter = [], [], []
    for index in range(1 if preset == "none" else count):
        draws = reference.draw_many([index])
        [sample] = draws.samples
        shown, ours = (next(one.render_drawn(draws)) for one in (reference, native))
        found.append(psnr(shown, ours))
        brighter.append(ours.mean() - shown.mean())
        jittered.append("ColorJitter" in json.dumps(sample.record()))
    return {
        "source": Path(source.partition("=")[2]).stem,
        "preset": " ".join([preset, *more]),
        "size": size,
        "images": len(found),
        **_medians(np.array(found), np.array(jittered)),
        "1st percentile": float(np.percentile(found, 1)),
        "worst": min(found),
        "brighter": float(np.mean(brighter)),
    }


def _medians(found: np.ndarray, jittered: np.ndarray) -> dict[str, float | None]:
    parts = {"median": found[~jittered], "median, jittered": found[jittered]}
    return {name: float(np.median(part)) if part.size else None for name, part in parts.items()}


def short(row: dict) -> list[str]:
    """In what a row falls short of what is asked of it."""
    least = {
        "median": MEDIAN, "median, jittered": MEDIAN_JITTERED,
        "1st percentile": FIRST_PERCENTILE[row["size"]],
    }  # fmt: skip
    known = {name: least[name] for name in least if row[name] is not None}
    parts = [name for name, bound in known.items() if row[name] < bound]
    return [*parts, "brighter"] if abs(row["brighter"]) > BRIGHTER else parts


def worse(row: dict) -> list[str]:
    """What was higher before the raster, of the same draws."""
    before = BEFORE.get((row["source"], row["preset"], row["size"]), {})
    names = ("median", "median, jittered", "1st percentile")
    known = [name for name in names if before.get(name) is not None and row[name] is not None]
    return [f"{name}: was {before[name]}" for name in known if row[name] < before[name] - BELOW]


COLUMNS = ("source", "preset", "size", "images", "median", "median, jittered", "1st percentile",
           "worst", "brighter")  # fmt: skip


def table(rows: list[dict]) -> str:
    """The rows in Markdown."""
    lines = [f"| {' | '.join(COLUMNS)} | |", "|---" * (len(COLUMNS) + 1) + "|"]
    for row in rows:
        cells = [_cell(row[name]) for name in COLUMNS]
        lines.append(f"| {' | '.join(cells)} | {'; '.join([*short(row), *worse(row)])} |")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return (
        f"{value:.2f}"
        if isinstance(value, float) and abs(value) < 1
        else (f"{value:.1f}" if isinstance(value, float) else str(value))
    )


def sources() -> list[str]:
    """The picture that ships with us, and the paper's two where they lie beside the project."""
    files = [SHARED / "images" / name for name in ("ameyoko.jpg", "animals.png")]
    return ["image=dead_leaves", *(f"imgpath={file}" for file in files if file.exists())]


def main() -> None:
    """Parses the command line, measures on all cores, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--presets", nargs="+", default=PRESETS)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    cells = [
        (source, preset, size)
        for preset in given.presets
        for source in sources()
        for size in given.sizes
    ]
    compared = Parallel(n_jobs=-1, return_as="generator")(
        delayed(compare)(*cell, given.images) for cell in cells
    )
    rows = []
    for row in compared:
        rows.append(row)
        print(table([row]).splitlines()[-1], flush=True)
    print(f"\n{table(rows)}")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
