"""What is written down while training: CSV, TensorBoard, pictures."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

UPDATES, EPOCHS, PICTURES, BOARD = "updates.csv", "epochs.csv", "pictures", "tensorboard"
_FILTER = 48  # pixels, about the side of a filter that is shown


class Journal:
    """The files of one run, from update ``step`` on: what stands in them beyond it is dropped.

    So that after a crash the curve goes on where the checkpoint is, once.
    """

    def __init__(self, folder: Path, step: int, board: bool) -> None:
        self.folder, self._step = folder, step
        for name in (UPDATES, EPOCHS):
            _cut(folder / name, step)
        self._board = None
        if board:
            # An extra that cannot write below every name: the CSV files say the same.
            with suppress(ModuleNotFoundError, UnicodeEncodeError):
                from torch.utils.tensorboard import SummaryWriter

                self._board = SummaryWriter(str(folder / BOARD), purge_step=step or None)

    def update(self, step: int, values: Mapping[str, float]) -> None:
        """One line of ``updates.csv``; ``values`` always have the same names."""
        self._write(UPDATES, step, values)

    def epoch(self, step: int, values: Mapping[str, float]) -> None:
        """One line of ``epochs.csv``."""
        self._write(EPOCHS, step, values)

    def picture(self, name: str, step: int, epoch: int, images: Tensor) -> None:
        """``pictures/<name>-<epoch>.png``: a grid of ``float`` N×3×S×S of 0 … 1."""
        picture = tile_images(images)
        file = self.folder / PICTURES / f"{name}-{epoch:04d}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(file)
        if self._board:
            self._board.add_image(name, picture, step, dataformats="HWC")

    def close(self) -> None:
        """Waits for TensorBoard's writer."""
        if self._board:
            self._board.close()

    def _write(self, name: str, step: int, values: Mapping[str, float]) -> None:
        file = self.folder / name
        new = not file.exists()
        with file.open("a", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            if new:
                writer.writerow(["step", *values])
            writer.writerow([step, *(f"{value:.6g}" for value in values.values())])
        if self._board:
            for key, value in values.items():
                self._board.add_scalar(f"{Path(name).stem}/{key}", value, step)


def read(file: Path) -> list[dict[str, float]]:
    """The lines of a CSV file of a journal."""
    with file.open(encoding="utf-8", newline="") as stream:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(stream)]


def _cut(file: Path, step: int) -> None:
    if not file.exists():
        return
    with file.open(encoding="utf-8", newline="") as stream:
        head, *rows = list(csv.reader(stream)) or [[]]
    whole = [row for row in rows if len(row) == len(head) and int(row[0]) <= step]
    temporary = file.with_name(f".tmp-{file.name}")
    with temporary.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([head, *whole])
    os.replace(temporary, file)
    if not whole:
        file.unlink()


def tile_images(images: Tensor, across: int = 8, gap: int = 1) -> np.ndarray:
    """A grid of ``float`` N×3×H×W of 0 … 1 with white lines between: ``uint8``."""
    levels = (images.detach().float().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1)
    count, height, width, _ = levels.shape
    down = -(-count // across)
    grid = np.full((down * (height + gap) - gap, across * (width + gap) - gap, 3), 255, np.uint8)
    for place, image in enumerate(levels.cpu().numpy()):
        top, left = place // across * (height + gap), place % across * (width + gap)
        grid[top : top + height, left : left + width] = image
    return grid


def stretch_filters(filters: Tensor) -> Tensor:
    """Filters N×C×H×W as images of 0 … 1, each to its own range, enlarged to about 48 pixels."""
    flat = filters.detach().float()
    flat = flat if flat.shape[1] == 3 else flat.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    low, high = flat.amin((1, 2, 3), keepdim=True), flat.amax((1, 2, 3), keepdim=True)
    images = (flat - low) / (high - low).clamp(min=1e-12)
    times = max(1, _FILTER // images.shape[-1])
    return images.repeat_interleave(times, 2).repeat_interleave(times, 3)
