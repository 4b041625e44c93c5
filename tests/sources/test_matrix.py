"""Pictures are what other programs say they are: every container, depth, layout and compression.

The decoders are libvips, and tifffile with imagecodecs; neither is behind ours.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from singleimg.errors import UserError
from singleimg.sources.file import File

for module in ("pyvips", "tifffile", "imagecodecs", "pillow_heif", "pi_heif"):
    pytest.importorskip(module, reason=f"{module} is not installed")

from tests.sources import decoders  # noqa: E402

SUFFIXES = {"tiff": ".tif", "jpeg": ".jpg"}
MANY = 300  # kinds of files, at least


def agrees(found: np.ndarray, others: list[np.ndarray], cell: decoders.Cell) -> bool:
    """Whether a picture is what the others say, as far as they say the same."""
    apart = [np.abs(found - other) for other in others]
    between = np.abs(others[0] - others[-1])
    if cell.lossless:
        return min(one.max() for one in apart) <= cell.within and all(
            (one - between).max() <= 2 for one in apart
        )
    near = min(apart, key=np.mean)
    if cell.truth is not None:  # from what was written it is as far as the writer's own losses
        return near.mean() <= 3 and near.max() <= 12
    return (
        near.mean() <= 1
        and np.mean(near <= 4) >= 0.999
        and all(one.mean() <= between.mean() + 2 for one in apart)
    )


def judged(cell: decoders.Cell, folder: Path) -> str:
    """``same``, ``refused: …``, or what is wrong."""
    name = "".join(letter if letter.isalnum() else "-" for letter in cell.name)
    kind = cell.name.partition(" ")[0]
    path = folder / f"{name}{SUFFIXES.get(kind, f'.{kind}')}"
    cell.write(path)
    others = []
    for decode in (decoders.by_vips, decoders.by_codecs)[: 1 if cell.tagged else 2]:
        try:
            others.append(decode(path))
        except Exception as error:
            others.append(f"{decode.__name__} cannot read it: {error}")
    read = [one for one in (*others, cell.truth) if isinstance(one, np.ndarray)]
    try:
        found = File(path).load(0).astype(float)
    except UserError as error:
        return f"refused: {error}"
    if not read:
        return f"nobody else reads it: {others}"
    if all(one.shape == found.shape for one in read) and agrees(found, read, cell):
        return "same"
    apart = [
        float(np.abs(found - one).max()) if one.shape == found.shape else one.shape for one in read
    ]
    return f"WRONG: {apart} from the others, which are {np.abs(read[0] - read[-1]).max()} apart"


def test_no_picture_is_silently_another_one(tmp_path):
    found = {cell.name: judged(cell, tmp_path) for cell in decoders.cells()}
    for name, verdict in found.items():
        if verdict != "same":
            print(f"{name}: {verdict}")
    same = sum(verdict == "same" for verdict in found.values())
    refused = sum(verdict.startswith("refused") for verdict in found.values())
    print(f"{len(found)} kinds of files: {same} the same, {refused} refused")
    assert same + refused == len(found) >= MANY
