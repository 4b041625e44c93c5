"""What every network has: a trunk that can be read after each of its stages, and a top."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import ClassVar

import torch
from torch import Tensor, nn

from singleimg.errors import UserError, misfit

# Of ImageNet's training images, as torchvision's models use them: RGB, of levels 0 … 1.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PROBED = 9216  # most values of a map that a probe sees, where a network does not say otherwise


class Network(ABC):
    """The settings in ``conf/network``.

    name: stands in the record of a run. size: side of the images that it takes, pixels.
    """

    name: str
    size: int

    @abstractmethod
    def trunk(self, norm: bool = True, slope: float = 0.0) -> Trunk:
        """A new trunk: with BatchNorm or without, ReLU or (``slope`` over 0) LeakyReLU."""

    @abstractmethod
    def top(self, features: int) -> Top:
        """What lies between the trunk's ``features`` values and a method's last layer."""

    @abstractmethod
    def probe_pool(self, layer: int, channels: int, side: int) -> nn.Module:
        """What reduces the map after convolution ``layer`` (0 …) for a linear probe."""

    def load_pretrained(self, trunk: Trunk) -> None:  # noqa: B027 - most have nothing to do
        """Gives a new trunk the weights that the network comes with; most come with none."""

    def about(self) -> dict[str, str]:
        """What a file of its weights says of it, beside its settings: texts by name."""
        return {}


@torch.no_grad()
def check_network(network: Network) -> None:
    """Raises UserError when the blocks of a network of a user's own do not fit together."""
    name = type(network).__name__
    if type(network).__module__.startswith("singleimg."):
        return
    trunk = network.trunk()
    if not isinstance(trunk, Trunk) or not any(isinstance(m, nn.Conv2d) for m in trunk.modules()):
        raise misfit(f"{name}.trunk", trunk, "a Trunk with a Conv2d")
    try:
        features, shapes = trunk.features(network.size), trunk.shapes(network.size)
        top = network.top(features)
        if not isinstance(top, Top):
            raise misfit(f"{name}.top", top, "a Top")
        top.eval()(torch.zeros(1, features))
        for layer, (channels, side) in enumerate(shapes):
            pool = network.probe_pool(layer, channels, side)
            if not isinstance(pool, nn.Module):
                raise misfit(f"{name}.probe_pool", pool, "a module")
    except (RuntimeError, ValueError, IndexError) as error:
        raise UserError(
            f"{name} does not fit images of {network.size} px ({type(error).__name__}: "
            f"{' '.join(str(error).split())}): change the sizes of its layers, or its size."
        ) from error


def reduce_map(channels: int, side: int) -> nn.Module:
    """Nothing where the map has at most 9,216 values, else adaptive max-pooling below them."""
    if channels * side**2 <= PROBED:
        return nn.Identity()
    return nn.AdaptiveMaxPool2d(max(1, isqrt(PROBED // channels)))


class Trunk(nn.Module):
    """Convolutions, each with its activation: images ``float`` B×3×S×S of 0 … 1 in.

    ``stages``: the k-th ends with the k-th activation; pooling stands at the head of the stage that
    follows it. ``end``: what pools the last map. Normalising belongs to the trunk, so that whoever
    takes it over later cannot do it differently.
    """

    prefix: ClassVar[str] = ""  # of the names of its weights, where others know them without it

    def __init__(
        self, stages: Iterable[nn.Module], end: nn.Module | None = None, sobel: bool = False
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(3, 1, 1), persistent=False)
        self.frozen: list[nn.Module] = []
        self.front = Sobel() if sobel else nn.Identity()
        self.stages = nn.ModuleList(stages)
        self.end = end or nn.Identity()

    def __repr__(self) -> str:
        """One line; that of ``stages`` has a line a layer."""
        weights = sum(weight.numel() for weight in self.parameters())
        return f"{type(self).__name__}({self.depth} stages, {weights:,} weights)"

    @property
    def depth(self) -> int:
        """How many maps :meth:`layers` gives."""
        return len(self.stages)

    def forward(self, images: Tensor) -> Tensor:
        """The flat features after the last convolution: B×F."""
        return self.end(self.layers(images)[-1]).flatten(1)

    def layers(self, images: Tensor) -> list[Tensor]:
        """The map after each convolution's activation: B×C×s×s each."""
        maps, values = [], self.front((images - self.mean) / self.deviation)
        for stage in self.stages:
            values = stage(values)
            maps.append(values)
        return maps

    def signed(self, images: Tensor) -> Tensor:
        """As :meth:`forward`, without the last activation where the last stage ends with one."""
        values = self.front((images - self.mean) / self.deviation)
        *stages, last = self.stages
        for stage in stages:
            values = stage(values)
        cut = isinstance(last, nn.Sequential) and isinstance(last[-1], nn.ReLU | nn.LeakyReLU)
        return self.end((last[:-1] if cut else last)(values)).flatten(1)

    def weights_of(self, depth: int) -> list[nn.Parameter]:
        """What the first ``depth`` maps are computed with."""
        return list(self.stages[:depth].parameters())

    def freeze(self, depth: int) -> None:
        """From now on the first ``depth`` stages, and no others, stay as they are: their weights,
        and what their BatchNorm has measured, in training too."""
        self.requires_grad_(True)
        self.frozen.clear()
        for weight in self.weights_of(depth) if depth else ():
            weight.requires_grad_(False)
        for part in self.children():
            for module in part.modules():
                owned = list(module.parameters())
                if owned and not any(weight.requires_grad for weight in owned):
                    self.frozen.append(module)
        self.train(self.training)

    def train(self, mode: bool = True) -> Trunk:
        """As every module; what is frozen stays in eval mode."""
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

    @torch.no_grad()
    def shapes(self, size: int) -> list[tuple[int, int]]:
        """Channels and side of each map, of images of ``size`` pixels."""
        training = self.training
        maps = self.eval().layers(torch.zeros(1, 3, size, size, device=self.mean.device))
        self.train(training)
        return [tuple(values.shape[1:3]) for values in maps]

    @torch.no_grad()
    def features(self, size: int) -> int:
        """How many values :meth:`forward` gives of an image of ``size`` pixels."""
        training = self.training
        flat = self.eval()(torch.zeros(1, 3, size, size, device=self.mean.device))
        self.train(training)
        return flat.shape[1]


class Sobel(nn.Module):
    """Grey levels, and of these the two Sobel gradients: B×3×H×W in, B×2×H×W out.

    Source: ``models/alexnet.py`` of facebookresearch/deepcluster, where it is an option too.
    """

    def __init__(self) -> None:
        super().__init__()
        across = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
        kernels = torch.stack([across, across.T])[:, None].expand(2, 3, 3, 3) / 3
        self.register_buffer("kernels", kernels.contiguous(), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """The gradients."""
        return nn.functional.conv2d(images, self.kernels, padding=1)


@dataclass(frozen=True)
class Layer:
    """One convolution, with a square kernel."""

    kernel: int
    stride: int
    padding: int
    groups: int = 1
    norm: bool = True
    pool: nn.Module | None = None  # before it


def stage(inputs: int, outputs: int, layer: Layer, slope: float) -> nn.Sequential:
    """Pooling, convolution, BatchNorm, activation; a bias only where no BatchNorm follows."""
    convolution = nn.Conv2d(
        inputs, outputs, layer.kernel, layer.stride, layer.padding,
        groups=layer.groups, bias=not layer.norm,
    )  # fmt: skip
    nn.init.kaiming_normal_(convolution.weight, slope, nonlinearity="leaky_relu")
    parts = [layer.pool] if layer.pool else []
    parts.append(convolution)
    if layer.norm:
        parts.append(nn.BatchNorm2d(outputs))
    parts.append(activation(slope))
    return nn.Sequential(*parts)


def stages(
    layers: Sequence[Layer], widths: Sequence[int], slope: float, inputs: int
) -> list[nn.Sequential]:
    """A stage for each layer; ``inputs``: channels of what the first one sees."""
    channels = [inputs, *widths]
    return [stage(channels[k], channels[k + 1], layer, slope) for k, layer in enumerate(layers)]


def activation(slope: float) -> nn.Module:
    """ReLU, or LeakyReLU of this slope."""
    return nn.LeakyReLU(slope, inplace=True) if slope else nn.ReLU(inplace=True)


class Top(nn.Module):
    """Fully connected layers after the trunk, ending in ReLU; none: the features as they are.

    ``size`` values come out. :meth:`before_activation` gives those before the last ReLU, which
    DeepCluster clusters (a signed vector says more than one that is cut at 0).
    """

    def __init__(self, features: int, hidden: Sequence[int], dropout: float, norm: bool) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for inputs, outputs in zip([features, *hidden], hidden, strict=False):
            parts += [nn.Dropout(dropout)] if dropout else []
            parts.append(nn.Linear(inputs, outputs, bias=not norm))
            parts += [nn.BatchNorm1d(outputs)] if norm else []
            parts.append(nn.ReLU(inplace=True))
        self.layers = nn.Sequential(*parts[:-1])
        self.last = parts[-1] if parts else nn.Identity()
        self.size = hidden[-1] if hidden else features

    def forward(self, features: Tensor) -> Tensor:
        """B×F in, B×``size`` out."""
        return self.last(self.before_activation(features))

    @property
    def is_empty(self) -> bool:
        """Whether it has no layers."""
        return len(self.layers) == 0

    def before_activation(self, features: Tensor) -> Tensor:
        """The same without the last ReLU."""
        return self.layers(features)
