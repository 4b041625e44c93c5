"""How well a method answers its own question: on the images that it learned from, and on others."""

from __future__ import annotations

import numpy as np
import torch

from singleimg.learn.data.batches import Images
from singleimg.learn.data.crops import centre
from singleimg.learn.methods.base import Method

MOST = 10_000  # images that are looked at, spread evenly
_CHUNK = 250  # images a pass


@torch.no_grad()
def pretext_accuracy(
    method: Method, images: Images, size: int, device: torch.device
) -> float | None:
    """The share of right answers, 0 … 1, in eval mode and without the method's own crops.

    None where the method has no question with a right answer.
    """
    method = method.to(device).eval()
    rows = np.linspace(0, len(images) - 1, min(MOST, len(images))).round().astype(np.int64)
    batches = np.array_split(rows, -(-len(rows) // _CHUNK))
    right = asked = 0
    for pixels in images.batches(batches):
        answers = method.pretext(centre(pixels.to(device).float() / 255, size))
        if answers is None:
            return None
        scores, labels = answers
        right += int((scores.argmax(1) == labels).sum())
        asked += len(labels)
    return right / asked
