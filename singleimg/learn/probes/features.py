"""The maps after each convolution of a frozen trunk, pooled for a probe and laid flat."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from singleimg.learn.data.batches import Images
from singleimg.learn.data.crops import centre
from singleimg.learn.networks.base import Network, Trunk
from singleimg.system.bars import counted

_CHUNK = 250  # images a pass


class FeatureExtractor(nn.Module):
    """Images in, for each layer a B×D tensor out: after the activation, pooled, flat.

    layers: which convolutions, 0 …; None: all. pool: in place of the network's own before a probe.
    """

    def __init__(
        self,
        trunk: Trunk,
        network: Network,
        layers: list[int] | None = None,
        pool: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.trunk = trunk.eval().requires_grad_(False)
        shapes = trunk.shapes(network.size)
        self.chosen = list(range(len(shapes))) if layers is None else layers
        self.pools = nn.ModuleList(
            pool or network.probe_pool(k, *shape) for k, shape in enumerate(shapes)
        )
        self.sizes = [self._size(k, *shapes[k]) for k in self.chosen]

    def _size(self, layer: int, channels: int, side: int) -> int:
        return self.pools[layer](torch.zeros(1, channels, side, side)).numel()

    @torch.no_grad()
    def forward(self, images: Tensor) -> list[Tensor]:
        """Of ``float`` B×3×S×S of 0 … 1."""
        maps = self.trunk.layers(images)
        return [self.pools[k](maps[k]).flatten(1) for k in self.chosen]


def extract(
    extractor: FeatureExtractor,
    images: Images,
    size: int,
    device: torch.device,
    mirrored: bool = False,
) -> list[Tensor]:
    """The features of all images by layer: ``float32`` V×N×D each, on the processor.

    V is 1, or with ``mirrored`` 2: those of each image and of its mirror image.
    """
    views = 1 + mirrored
    features = [torch.empty(views, len(images), width) for width in extractor.sizes]
    batches = [
        np.arange(first, min(first + _CHUNK, len(images)))
        for first in range(0, len(images), _CHUNK)
    ]
    passes = zip(batches, images.batches(batches), strict=True)
    for indices, pixels in counted(passes, len(batches), "batch", "features"):
        batch = centre(pixels.to(device).float() / 255, size)
        rows = slice(int(indices[0]), int(indices[-1]) + 1)
        for view in range(views):
            seen = batch.flip(3) if view else batch
            for kept, values in zip(features, extractor(seen), strict=True):
                kept[view, rows] = values.cpu()
    return features
