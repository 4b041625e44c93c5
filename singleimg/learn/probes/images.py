"""Which images probes are trained, chosen and tested on."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from torch import Tensor
from torch.utils.data import Subset

from singleimg.learn.data.base import Labelled, classes, targets
from singleimg.learn.data.batches import Images, open_images
from singleimg.learn.seeding import numpy_generator


@lru_cache(maxsize=2)
def split_images(data: Labelled, part: str, size: int, limit: int | None) -> tuple[Images, int]:
    """One split of a labelled set, in memory, and its number of classes; read once a process."""
    dataset = data.train() if part == "train" else data.test()
    labels, number = targets(dataset), len(classes(dataset))
    rows = evenly_spaced(len(dataset), limit)
    dataset, labels = Subset(dataset, rows), [labels[row] for row in rows]
    return open_images(dataset, size, workers=0, memory=float("inf"), labels=labels), number


def split(labels: Tensor, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows to fit and rows to hold out: ``share`` of each class, always the same ones."""
    order = numpy_generator(0, "held out").permutation(len(labels))
    ordered = labels.numpy()[order]
    held = []
    for label in np.unique(ordered):
        rows = order[ordered == label]
        held.append(rows[: max(1, round(share * len(rows)))])
    out = np.sort(np.concatenate(held))
    return np.setdiff1d(np.arange(len(labels)), out), out


def evenly_spaced(count: int, limit: int | None) -> list[int]:
    """At most ``limit`` of ``count`` indices, spread evenly over them; None: all."""
    if limit is None or limit >= count:
        return list(range(count))
    return [index * count // limit for index in range(limit)]
