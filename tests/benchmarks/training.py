"""What an update costs, and of what: ``python -m tests.benchmarks.training``.

Methods on the thin ``cifar_conv4``, one core, an update each in turn: updates a second, and the
share of an update that views (of RotNet: crop and flip) take. Each sees as many images: 64 pairs of
views, or 32 images in four rotations. Then how long 50,000 patches of 32 px take to be rendered
with ``augment=paper``, and their share of a training of 18,000 updates. Figures are medians.
"""

from __future__ import annotations

import argparse
import json
import time
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from typing import Any

import torch

import singleimg
from singleimg.config.make import instantiate
from singleimg.learn.data.inputs import describe_inputs
from singleimg.learn.methods.base import Method
from singleimg.learn.methods.train_state import TrainState
from singleimg.system.malloc import keep_freed_memory
from tests.conftest import SHARED

METHODS = {"rotnet": 32, "simclr": 64, "vicreg": 64, "byol": 64, "dino": 64}  # images an update
IMAGES, UPDATES = 50_000, 18_000  # of the training whose rendering is looked at
WARM_UP = 3  # updates before the clock starts


class Alone:
    """As a Fabric of one processor answers."""

    device = torch.device("cpu")
    world_size, global_rank, is_global_zero = 1, 0, True

    def autocast(self) -> Any:
        """Nothing to do."""
        return nullcontext()


def main() -> None:
    """Measures what the command line asks for, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photograph", type=Path, default=SHARED / "images" / "animals.png")
    parser.add_argument("--updates", type=int, default=100, help="of each method")
    parser.add_argument("--images", type=int, default=5_000, help="that are rendered")
    parser.add_argument("--json", type=Path, help="writes the figures to this file as well")
    given = parser.parse_args()
    if not given.photograph.exists():
        parser.error(f"{given.photograph} does not exist: type --photograph with one of your own")
    torch.set_num_threads(1)
    keep_freed_memory()  # as a training does
    figures = measure(given)
    print(table(figures))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


def composed(photograph: Path, method: str, images: int) -> Any:
    """The configuration of a training on patches of this photograph."""
    return singleimg.compose(
        "task=pretrain", f"method={method}", "network=cifar_conv4", "augment=paper", "img_size=32",
        f"imgpath={photograph}", f"num_imgs={images}",
    )  # fmt: skip


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Seconds of views and of the whole update of each method, and of rendering an image."""
    inputs = describe_inputs(composed(given.photograph, "rotnet", given.images))
    begin = time.perf_counter()
    pixels = inputs.open(workers=1, memory=8).pixels
    rendering = (time.perf_counter() - begin) / len(pixels)
    runs = {name: Run(given.photograph, name, pixels) for name in METHODS}
    for number in range(WARM_UP + given.updates):
        for run in runs.values():
            run.update(keep=number >= WARM_UP)
    methods = {
        name: {
            "views": median(run.views),
            "update": median(run.updates),
            "share": median(a / b for a, b in zip(run.views, run.updates, strict=True)),
        }
        for name, run in runs.items()
    }
    return {"rendering": rendering, "methods": methods}


class Run:
    """A method that is trained, and what its updates took, seconds."""

    def __init__(self, photograph: Path, name: str, pixels: torch.Tensor) -> None:
        cfg = composed(photograph, name, len(pixels))
        torch.manual_seed(0)
        self.method: Method = instantiate(cfg, "method")
        self.method.build(instantiate(cfg, "network"), len(pixels), 0)
        self.method.train()
        self.state = TrainState(Alone(), 0, None)
        self.images, self.pixels = METHODS[name], pixels
        self.views: list[float] = []
        self.updates: list[float] = []

    def update(self, keep: bool) -> None:
        """The next one, as the loop makes it, with the learning rate of the middle."""
        begin = time.perf_counter()
        self.method.schedule(0.5)
        indices = torch.arange(self.images) + self.state.step * self.images
        images = self.pixels[indices % len(self.pixels)].float() / 255
        before = time.perf_counter()
        images = self.method.augment(images, 32, self.state.generator("augment"))
        after = time.perf_counter()
        labels = torch.zeros(self.images, dtype=torch.int64)
        self.method.update(images, indices, labels, self.state)
        self.state.step += 1
        if keep:
            self.views.append(after - before)
            self.updates.append(time.perf_counter() - begin)


def table(figures: dict[str, Any]) -> str:
    """In Markdown, a row a method."""
    rendering = figures["rendering"]
    lines = [
        f"{IMAGES:,} patches of 32 px are rendered in {IMAGES * rendering:.1f} s of one core "
        f"({1 / rendering:,.0f} images/s).",
        "",
        "| `method=` | images seen an update | updates/s | views, ms | views, share of an update | "
        f"rendering, share of {UPDATES:,} updates |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, row in figures["methods"].items():
        once, rest = IMAGES * rendering, UPDATES * row["update"]
        seen = METHODS[name] * (4 if name == "rotnet" else 2)
        lines.append(
            f"| `{name}` | {seen} | {1 / row['update']:.1f} | {1000 * row['views']:.1f} | "
            f"{row['share']:.1%} | {once / (once + rest):.1%} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
