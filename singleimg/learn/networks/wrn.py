"""Wide residual networks, for images of 32 px: WideResNet 16-4, and its likes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from singleimg.errors import UserError
from singleimg.learn.networks.base import Network, Top, Trunk, activation, reduce_map

FIRST = 16  # channels of the first convolution, and of the first group at width 1
GROUPS = 3  # each but the first halves the map and doubles the channels


@dataclass(frozen=True)
class WideResNet(Network):
    """A 3×3 convolution, and three groups of (depth - 4) / 6 residual blocks of two each.

    depth: how many convolutions it has, 4 more than a multiple of 6. width: how many times 16, 32
    and 64 channels the groups have. size: side of the images, pixels. crop: that methods make.

    The four maps are those of the first convolution and of the groups. BatchNorm and ReLU stand
    before each convolution, and after the last group, so that the last map alone is activated; the
    features are its means.

    Source: Zagoruyko, Komodakis: Wide residual networks (BMVC 2016), without dropout.
    """

    depth: int = 16
    width: int = 4
    size: int = 32
    crop: str = "padded"
    name: str = "wrn"

    def __post_init__(self) -> None:
        if type(self.depth) is not int or self.depth < 10 or (self.depth - 4) % 6:
            raise UserError(
                f"network.depth={self.depth} is not 4 more than a multiple of 6, from 10 on: type "
                "for example network.depth=16."
            )
        if type(self.width) is not int or self.width < 1:
            raise UserError(
                f"network.width={self.width} is not a whole number of 1 or more: type for example "
                "network.width=4."
            )

    def trunk(self, norm: bool = True, slope: float = 0.0) -> Trunk:
        first = nn.Conv2d(3, FIRST, 3, padding=1, bias=not norm)
        parts: list[nn.Module] = [first]
        inputs, blocks = FIRST, (self.depth - 4) // 6
        for group in range(GROUPS):
            outputs = FIRST * self.width * 2**group
            strides = [1 if group == 0 else 2, *[1] * (blocks - 1)]
            channels = [inputs, *[outputs] * (blocks - 1)]
            parts.append(nn.Sequential(*(
                Block(before, outputs, stride, norm, slope)
                for before, stride in zip(channels, strides, strict=True)
            )))  # fmt: skip
            inputs = outputs
        parts[-1].append(normed(inputs, norm)).append(activation(slope))
        for module in nn.ModuleList(parts).modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, slope, nonlinearity="leaky_relu")
        return Trunk(parts, nn.AdaptiveAvgPool2d(1))

    def top(self, features: int) -> Top:
        """Nothing: a method's last layer stands on the means of the last map."""
        return Top(features, [], 0.0, False)

    def probe_pool(self, layer: int, channels: int, side: int) -> nn.Module:
        """None where the map has at most 9,216 values, else adaptive max-pooling below them."""
        return reduce_map(channels, side)


class Block(nn.Module):
    """BatchNorm, activation and convolution, twice; and the shortcut past them, a 1×1 convolution
    where the shape changes, of what is normalised and activated already."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: bool, slope: float) -> None:
        super().__init__()
        self.before = nn.Sequential(normed(inputs, norm), activation(slope))
        self.before[1].inplace = norm  # else it would change the map before, which is read too
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=not norm),
            normed(outputs, norm),
            activation(slope),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=not norm),
        )
        changes = inputs != outputs or stride > 1
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if changes else None

    def forward(self, values: Tensor) -> Tensor:
        """B×inputs×s×s in, B×outputs×s/stride×s/stride out."""
        active = self.before(values)
        past = values if self.shortcut is None else self.shortcut(active)
        return past + self.residual(active)


def normed(channels: int, norm: bool) -> nn.Module:
    """BatchNorm, or nothing."""
    return nn.BatchNorm2d(channels) if norm else nn.Identity()
