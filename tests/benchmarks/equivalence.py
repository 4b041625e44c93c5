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
from torchvision.transforms.v2 import functional as F

from singleimg import SingleImage
from singleimg.drawing.pipeline import Sample
from tests.benchmarks.contestants import images_of
from tests.conftest import SHARED

SIZES = (32, 64, 256)
PRESETS = ("script", "paper", "weak", "strong", "none")
# What is asked of each cell: dB.
MEDIAN, MEDIAN_JITTERED, FIRST_PERCENTILE = 45.0, 43.0, {256: 38.0, 64: 34.0, 32: 31.0}
BRIGHTER = 0.75  # levels


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two ``uint8`` images, dB; 99 for equal ones."""
    error = np.mean((a.astype(np.float64) - b) ** 2)
    return 10 * math.log10(255**2 / error) if error else 99.0


def compare(source: str, preset: str, size: int, count: int, *more: str) -> dict:
    """One row: ``count`` images of ``preset`` at ``size`` px from a source (an override)."""
    torch.set_num_threads(1)
    typed = [source, f"augment={preset}", f"img_size={size}", *more]
    reference, native = (images_of(*typed, f"engine={name}") for name in ("reference", "native"))
    found, jittered, brighter, tensors = [], [], [], []
    for index in range(1 if preset == "none" else count):
        draws = reference.draw_many([index])
        [sample] = draws.samples
        shown, ours = (one.render_drawn(draws)[0] for one in (reference, native))
        found.append(psnr(shown, ours))
        brighter.append(ours.mean() - shown.mean())
        jittered.append("ColorJitter" in json.dumps(sample.record()))
        if preset == "script" and not more:
            tensors.append(psnr(shown, tensor_path(reference, sample, size)))
    return {
        "source": Path(source.partition("=")[2]).stem,
        "preset": " ".join([preset, *more]),
        "size": size,
        "images": len(found),
        **_medians(np.array(found), np.array(jittered)),
        "1st percentile": float(np.percentile(found, 1)),
        "worst": min(found),
        "tensor path, 1st percentile": float(np.percentile(tensors, 1)) if tensors else None,
        "brighter": float(np.mean(brighter)),
    }


def _medians(found: np.ndarray, jittered: np.ndarray) -> dict[str, float | None]:
    parts = {"median": found[~jittered], "median, jittered": found[jittered]}
    return {name: float(np.median(part)) if part.size else None for name, part in parts.items()}


def tensor_path(images: SingleImage, sample: Sample, size: int) -> np.ndarray:
    """The published steps for the same draws, by torchvision's functionals on tensors."""
    crop, jitter = sample.params
    whole = torch.from_numpy(images.pictures.load(sample.source).pixels.copy()).permute(2, 0, 1)
    box = [crop[key] for key in ("top", "left", "height", "width")]
    modes = F.InterpolationMode
    canvas = F.resized_crop(whole, *box, [int(math.sqrt(2) * size)] * 2, modes.BICUBIC, True)
    shear = [crop["shear"], 0.0]
    turned = F.affine(canvas, crop["angle"], [0, 0], 1.0, shear, modes.BILINEAR, [0.0])
    image = F.center_crop(turned, [size, size])
    steps = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
    names = ("brightness_factor", "contrast_factor", "saturation_factor", "hue_factor")
    for one in jitter["transforms"]:
        for place in one["params"]["fn_idx"]:
            image = steps[place](image, one["params"][names[place]])
    return image.permute(1, 2, 0).numpy()


def good(row: dict) -> bool:
    """Whether a row meets what is asked of it."""
    least = FIRST_PERCENTILE[row["size"]]
    if row["tensor path, 1st percentile"] is not None:
        least = min(least, row["tensor path, 1st percentile"])
    return (
        (row["median"] is None or row["median"] >= MEDIAN)
        and (row["median, jittered"] is None or row["median, jittered"] >= MEDIAN_JITTERED)
        and row["1st percentile"] >= least
        and abs(row["brighter"]) <= BRIGHTER
    )


COLUMNS = ("source", "preset", "size", "images", "median", "median, jittered", "1st percentile",
           "worst", "tensor path, 1st percentile", "brighter")  # fmt: skip


def table(rows: list[dict]) -> str:
    """The rows in Markdown."""
    lines = [f"| {' | '.join(COLUMNS)} | |", "|---" * (len(COLUMNS) + 1) + "|"]
    for row in rows:
        cells = [_cell(row[name]) for name in COLUMNS]
        lines.append(f"| {' | '.join(cells)} | {'' if good(row) else 'falls short'} |")
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
