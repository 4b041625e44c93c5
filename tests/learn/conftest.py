"""What an update works with, without Lightning: one device, this process."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from singleimg.learn.data.batches import InMemory
from singleimg.learn.methods.train_state import TrainState


class Alone:
    """As a Fabric of one processor answers."""

    device = torch.device("cpu")
    world_size, global_rank, is_global_zero = 1, 0, True

    def autocast(self) -> Any:
        return nullcontext()

    def barrier(self) -> None:
        pass

    def broadcast(self, value: Any) -> Any:
        return value


@pytest.fixture
def state() -> TrainState:
    """Update 0 of a run of seed 0."""
    return TrainState(Alone(), 0, None)


@pytest.fixture(scope="session")
def pictures() -> InMemory:
    """Sixteen pictures of 32 px that no flip or turn leaves as they are: 8 classes of two."""
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    pixels = torch.zeros(16, 3, 32, 32)
    for k in range(16):
        pixels[k, 0] = rows * 8 * (k % 2) + 40
        pixels[k, 1] = columns * (1 + k // 2)
        pixels[k, 2] = 30 * (k // 2)
        pixels[k, :, :6, 4:20] = 255  # a bar at the top
    labels = torch.arange(16) // 2
    return InMemory(pixels.clamp(0, 255).byte(), labels)


@pytest.fixture(scope="session")
def labelled(pictures: InMemory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of eight of these pictures, as ``data=imagefolder`` reads them."""
    folder = tmp_path_factory.mktemp("labelled")
    for number, pixels in enumerate(pictures.pixels):
        for split in ("train", "test"):
            file = folder / split / ("even", "odd")[number % 2] / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(file)
    return folder
