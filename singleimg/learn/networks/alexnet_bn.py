"""AlexNet with BatchNorm, in the widths of each method's own recipe: for images of 224 px."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from singleimg.errors import UserError
from singleimg.learn.networks.base import Layer, Network, Top, Trunk, stages

CONVOLUTIONS = 5


@dataclass(frozen=True)
class AlexNetBN(Network):
    """Five convolutions 11/4, 5, 3, 3, 3, max-pooling 3/2 after the first, second and last.

    widths: channels of each. groups: of convolutions 2, 4 and 5 (1, or 2 as in BiGAN's encoder).
    first_norm: BatchNorm after the first convolution too. hidden: sizes of the fully connected
    layers. dropout: before each of them, 0: none. fc_norm: BatchNorm after each. pools: before the
    probe of each layer, either the side of an adaptive max-pooling, or kernel, stride and padding.
    sobel: see only the gradients of grey levels.

    Source: FeatureLearningRotNet/architectures/AlexNet.py, deepcluster/models/alexnet.py, and
    ``alexnet_group_padpool`` of jeffdonahue/bigan, without the padding of its pools.
    """

    widths: Sequence[int] = (96, 256, 384, 384, 256)
    pools: Sequence[int | Sequence[int]] = ((6, 6, 3), (4, 4, 0), (3, 3, 1), (3, 3, 1), (2, 2, 0))
    hidden: Sequence[int] = (4096, 4096)
    dropout: float = 0.0
    fc_norm: bool = False
    groups: int = 1
    first_norm: bool = True
    sobel: bool = False
    size: int = 224
    crop: str = "resized"  # that methods make
    name: str = "alexnet_bn"

    def __post_init__(self) -> None:
        for key in ("widths", "pools"):
            numbers = list(getattr(self, key))
            if len(numbers) != CONVOLUTIONS:
                raise UserError(
                    f"network.{key}={numbers} is not a list of {CONVOLUTIONS}, one for each "
                    "convolution: type as many."
                )
        if self.size < 64:
            raise UserError(
                f"network.size={self.size} is too small for network=alexnet_bn, which halves its "
                "maps five times: type network.size=224, or network=cifar_conv4 for 32."
            )

    def trunk(self, norm: bool = True, slope: float = 0.0) -> Trunk:
        """The five convolutions; ``norm=False`` leaves every BatchNorm out."""
        half, first = self.groups, norm and self.first_norm
        layers = [
            Layer(11, 4, 2, norm=first),
            Layer(5, 1, 2, half, norm, pool=nn.MaxPool2d(3, 2)),
            Layer(3, 1, 1, 1, norm, pool=nn.MaxPool2d(3, 2)),
            Layer(3, 1, 1, half, norm),
            Layer(3, 1, 1, half, norm),
        ]
        inputs = 2 if self.sobel else 3
        return Trunk(stages(layers, self.widths, slope, inputs), nn.MaxPool2d(3, 2), self.sobel)

    def top(self, features: int) -> Top:
        """The fully connected layers of the recipe."""
        return Top(features, self.hidden, self.dropout, self.fc_norm)

    def probe_pool(self, layer: int, channels: int, side: int) -> nn.Module:
        """Max-pooling to 9,000 … 10,000 values in the recipe's widths."""
        pool = self.pools[layer]
        return nn.AdaptiveMaxPool2d(pool) if isinstance(pool, int) else nn.MaxPool2d(*pool)
