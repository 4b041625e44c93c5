"""Four convolutions for images of 32 px: small enough to train on two cores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from singleimg.errors import UserError
from singleimg.learn.networks.base import Layer, Network, Top, Trunk, reduce_map, stages

LAYERS = ((7, 3, 3), (5, 2, 2), (3, 2, 1), (3, 1, 1))  # kernel, stride, padding


@dataclass(frozen=True)
class CifarConv4(Network):
    """Kernels 7, 5, 3, 3; strides 3, 2, 2, 1; one linear layer, which is the method's own.

    widths: channels of each, [32,64,128,128] for processors, [64,128,256,256] for GPUs. sobel: see
    only the gradients of grey levels.

    Source: the paper's CIFAR experiments (section 4) for kernels, strides and the linear layer;
    widths, padding and BatchNorm are ours.
    """

    widths: Sequence[int] = (32, 64, 128, 128)
    sobel: bool = False
    size: int = 32
    crop: str = "padded"  # that methods make
    name: str = "cifar_conv4"

    def __post_init__(self) -> None:
        if len(self.widths) != len(LAYERS):
            raise UserError(
                f"network.widths={list(self.widths)} is not a list of {len(LAYERS)}, one for each "
                "convolution: type for example 'network.widths=[32,64,128,128]'."
            )

    def trunk(self, norm: bool = True, slope: float = 0.0) -> Trunk:
        layers = [Layer(*layer, norm=norm) for layer in LAYERS]
        return Trunk(stages(layers, self.widths, slope, 2 if self.sobel else 3), sobel=self.sobel)

    def top(self, features: int) -> Top:
        """Nothing: a method's last layer stands directly on the trunk."""
        return Top(features, [], 0.0, False)

    def probe_pool(self, layer: int, channels: int, side: int) -> nn.Module:
        """None where the map has at most 9,216 values, else adaptive max-pooling below them."""
        return reduce_map(channels, side)
