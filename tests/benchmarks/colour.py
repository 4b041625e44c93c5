"""How alike colours are: ``python -m tests.benchmarks.colour photograph.jpg …``.

Each colour operation of docs/raster.md, as its oracle computes it, against what torchvision makes
of Pillow images: the share of equal levels, the share of those more than one apart, the largest
difference, and how much brighter the oracle is on average. On crops of the photographs and on
random colours.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import numpy as np
from PIL import Image
from torchvision.transforms.v2 import functional

from singleimg.engines.raster.colour import operations
from singleimg.transforms.torchvision import ColorJitterLaw
from tests.engines.raster.oracle import colour as oracle

SIDE, CROPS = 200, 90
NAMES = ("brightness", "contrast", "saturation", "hue")
LAWS = {
    "brightness, 0.6 … 1.4": ColorJitterLaw(brightness=0.4),
    "brightness, 0.2 … 1.8": ColorJitterLaw(brightness=0.8),
    "contrast, 0.6 … 1.4": ColorJitterLaw(contrast=0.4),
    "contrast, 0.2 … 1.8": ColorJitterLaw(contrast=0.8),
    "saturation, 0.6 … 1.4": ColorJitterLaw(saturation=0.4),
    "saturation, 0.2 … 1.8": ColorJitterLaw(saturation=0.8),
    "hue, any turn": ColorJitterLaw(hue=0.5),
    "all four, 0.4, 0.4, 0.4, 0.1": ColorJitterLaw(0.4, 0.4, 0.4, 0.1),
}


def crops(paths: Iterable[str], rng: np.random.Generator) -> list[np.ndarray]:
    """CROPS of each photograph, SIDE pixels square."""
    found = []
    for path in paths:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        for _ in range(CROPS):
            top, left = (int(rng.integers(length - SIDE + 1)) for length in pixels.shape[:2])
            found.append(pixels[top : top + SIDE, left : left + SIDE])
    return found


def compare(law: ColorJitterLaw, images: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Differences of all levels, oracle less Pillow."""
    count = len(images)
    columns = {"fn_idx": rng.permuted(np.tile(np.arange(4), (count, 1)), axis=1)}
    for name in NAMES:
        bounds = getattr(law, name)
        columns[f"{name}_factor"] = bounds and rng.uniform(*bounds, count)
    found = []
    for k, made in enumerate(operations(law, columns, count)):
        theirs = Image.fromarray(images[k])
        for name in (NAMES[place] for place in columns["fn_idx"][k]):
            factor = columns[f"{name}_factor"]
            if factor is not None:
                theirs = getattr(functional, f"adjust_{name}")(theirs, float(factor[k]))
        found.append(oracle.colour(images[k], made).astype(int) - np.asarray(theirs))
    return np.stack(found)


def main(paths: list[str]) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (CROPS, SIDE, SIDE, 3), dtype=np.uint8)
    pictures = {"photographs": crops(paths, rng), "random colours": list(noise)}
    print(f"{'':32}{'':16}{'equal':>10}{'over 1':>10}{'largest':>10}{'brighter':>10}")
    for title, law in LAWS.items():
        for kind, images in pictures.items():
            if images:
                d = compare(law, images, rng)
                over = np.mean(abs(d) > 1)
                print(
                    f"{title:32}{kind:16}{np.mean(d == 0):10.3%}{over:10.3%}"
                    f"{abs(d).max():10}{d.mean():+10.4f}",
                    flush=True,
                )


if __name__ == "__main__":
    main(sys.argv[1:])
