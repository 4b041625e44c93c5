"""Networks of timm, by the names that they have there."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from singleimg.errors import UserError, did_you_mean
from singleimg.learn.networks.base import Network, Top, Trunk, reduce_map
from singleimg.system.extras import install

STEMS = ("cifar",)
# What makes of a ``model`` of timm one with the stem for images of 32 px; exported files say it.
CIFAR_STEM = """\
from torch import nn
model.conv1 = nn.Conv2d(3, model.conv1.out_channels, 3, padding=1, bias=False)
model.maxpool = nn.Identity()
"""
_MOST = 5  # maps of a network, where nobody chose them
# Arguments of timm.create_model that are not the user's, or have a key of their own.
_TAKEN = ("model_name", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir",
          "checkpoint_path", "num_classes", "in_chans", "features_only", "out_indices", "device",
          "dtype")  # fmt: skip


@dataclass(frozen=True)
class Timm(Network):
    """A model of timm that gives feature maps, all of it but its classifier.

    model: its name in timm. stem: ``cifar`` begins a ResNet with a 3×3 convolution of stride 1 and
    no max-pooling; None: as timm makes it. out_indices: which of timm's feature maps are probed,
    from 0; None: all, and where there are more than five, five that are spread evenly. pretrained:
    begin with the weights that timm has for the model, which it fetches; images are then normalised
    as these weights want it. settings: what else ``timm.create_model`` gets. size: side of the
    images, pixels. crop: that methods make.

    The features are what the model gives with ``num_classes=0``, its own pooling included.
    """

    model: str = "resnet18"
    stem: str | None = None
    out_indices: Sequence[int] | None = None
    pretrained: bool = False
    settings: Mapping[str, Any] | None = None
    size: int = 224
    crop: str = "resized"
    name: str = "timm"

    def __post_init__(self) -> None:
        timm = _library()
        if not timm.is_model(self.model):
            raise UserError(
                f"network.model={self.model} is not a model of timm {timm.__version__}"
                f"{did_you_mean(self.model, timm.list_models())}: type one that timm.list_models() "
                "gives."
            )
        if self.stem is not None and self.stem not in STEMS:
            raise UserError(
                f"network.stem={self.stem} is not {' or '.join(STEMS)}: type network.stem=cifar, "
                "or leave it out."
            )
        taken = next((key for key in self.settings or () if key in _TAKEN), None)
        if taken is not None:
            raise UserError(
                f"network.settings holds {taken}, which is not one of the model's own: leave it out"
                f"{f', or type network.{taken}' if hasattr(self, taken) else ''}."
            )
        if self.stem and self.pretrained:
            raise UserError(
                "network.pretrained=true has no weights for network.stem=cifar: leave one of them "
                "out."
            )

    @property
    def arguments(self) -> dict[str, Any]:
        """What ``timm.create_model`` gets beside the name."""
        return {"num_classes": 0, **(self.settings or {})}

    def trunk(self, norm: bool = True, slope: float = 0.0) -> Trunk:
        """The model with first weights as timm draws them."""
        if not norm or slope:
            raise UserError(
                "network=timm has the normalisation and the activations of its model, and this "
                "method needs others (method=bigan does, and method.norm or method.slope of "
                "method=untrained): type network=cifar_conv4, or another method."
            )
        model = self._create()
        count = len(model.feature_info)
        trunk = TimmTrunk(model, self._indices(count), self.size)
        if self.pretrained:
            for buffer, key in ((trunk.mean, "mean"), (trunk.deviation, "std")):
                buffer.copy_(torch.tensor(model.pretrained_cfg[key]).view(3, 1, 1))
        self._check(trunk)
        return trunk

    def _create(self) -> nn.Module:
        timm = _library()
        try:
            model = timm.create_model(self.model, **self.arguments)
        except Exception as error:  # of settings that do not fit, models say anything
            raise UserError(
                f"network.model={self.model} cannot be made with network.settings="
                f"{self.settings} ({_reason(error)}): change them."
            ) from None
        if self.stem == "cifar":
            if not isinstance(getattr(model, "conv1", None), nn.Conv2d):
                raise UserError(
                    f"network.stem=cifar replaces a convolution that network.model={self.model} "
                    "has not (conv1): type a ResNet such as network.model=resnet18, or leave it "
                    "out."
                )
            put_cifar_stem(model)
        return model

    def _indices(self, count: int) -> list[int]:
        """Which of ``count`` maps of timm the layers are."""
        if self.out_indices is None:
            several = min(count, _MOST)
            return [round((place + 1) * count / several) - 1 for place in range(several)]
        chosen = list(self.out_indices)
        if (
            not chosen
            or any(type(one) is not int for one in chosen)
            or (sorted(set(chosen)) != chosen or chosen[0] < 0 or chosen[-1] >= count)
        ):
            raise UserError(
                f"network.out_indices={chosen} is not a rising list of numbers from 0 to "
                f"{count - 1}, the feature maps of {self.model}: type for example "
                f"'network.out_indices=[0,{count - 1}]'."
            )
        return chosen

    @torch.no_grad()
    def _check(self, trunk: TimmTrunk) -> None:
        """Raises UserError when the model takes no images of this size, or gives no square maps."""
        try:
            shapes = [values.shape for values in trunk.eval().layers(trunk.black())]
            trunk(trunk.black())
        except Exception as error:
            raise UserError(
                f"network.model={self.model} takes no images of network.size={self.size} "
                f"({_reason(error)}): type a size that it takes, or for a transformer "
                f"'network.settings={{img_size: {self.size}, patch_size: 4}}'."
            ) from None
        if any(len(shape) != 4 or shape[2] != shape[3] for shape in shapes):
            raise UserError(
                f"network.model={self.model} gives no square feature maps: type another model, "
                "such as network.model=resnet18."
            )
        trunk.train()

    def top(self, features: int) -> Top:
        """Nothing: a method's last layer stands on the model's own pooling."""
        return Top(features, [], 0.0, False)

    def probe_pool(self, layer: int, channels: int, side: int) -> nn.Module:
        """None where the map has at most 9,216 values, else adaptive max-pooling below them."""
        return reduce_map(channels, side)

    def load_pretrained(self, trunk: Trunk) -> None:
        """The weights that timm fetches, where ``pretrained`` asks for them."""
        if not self.pretrained:
            return
        timm, hub = _library(), logging.getLogger("huggingface_hub")
        level = hub.level
        hub.setLevel(logging.CRITICAL)  # it would say each attempt
        try:
            model = timm.create_model(self.model, pretrained=True, **self.arguments)
        except Exception as error:  # of the network, and of models without any
            raise UserError(
                f"network.pretrained=true fetches the weights of network.model={self.model}, which "
                f"are not available ({_reason(error)}): leave it out, or use a machine that "
                "reaches them."
            ) from None
        finally:
            hub.setLevel(level)
        trunk.model.load_state_dict(model.state_dict())

    def about(self) -> dict[str, str]:
        """``timm``: arguments of ``timm.create_model``, JSON. ``stem``: lines of Python that change
        the ``model`` that it makes, before the weights are loaded into it."""
        arguments = {"model_name": self.model, **self.arguments}
        stem = {"stem": CIFAR_STEM} if self.stem == "cifar" else {}
        return {"timm": json.dumps(arguments), **stem}


class TimmTrunk(Trunk):
    """A model of timm, whole: ``layers`` gives some of its feature maps, B×C×s×s each.

    indices: of these maps. size: side of the images that it is made for, pixels.
    """

    prefix: ClassVar[str] = "model."

    def __init__(self, model: nn.Module, indices: Sequence[int], size: int) -> None:
        super().__init__(())
        self.model, self.indices, self.size = model, list(indices), size

    @property
    def depth(self) -> int:
        return len(self.indices)

    def forward(self, images: Tensor) -> Tensor:
        """What the model gives with ``num_classes=0``: B×F."""
        return self.model((images - self.mean) / self.deviation).flatten(1)

    def signed(self, images: Tensor) -> Tensor:
        """What the model gives ends with no activation."""
        return self(images)

    def layers(self, images: Tensor) -> list[Tensor]:
        """The feature maps of timm's ``features_only=True``."""
        return self.model.forward_intermediates(
            (images - self.mean) / self.deviation, indices=self.indices, intermediates_only=True
        )

    def weights_of(self, depth: int) -> list[nn.Parameter]:
        """Those that the gradient of the last of these maps reaches."""
        training, weights = self.training, list(self.parameters())
        with torch.enable_grad():
            last = self.eval().layers(self.black())[depth - 1]
            gradients = torch.autograd.grad(last.sum(), weights, allow_unused=True)
        self.train(training)
        return [
            one for one, gradient in zip(weights, gradients, strict=True) if gradient is not None
        ]

    def black(self) -> Tensor:
        """One image: B×3×S×S."""
        return torch.zeros(1, 3, self.size, self.size, device=self.mean.device)


def put_cifar_stem(model: nn.Module) -> None:
    """Does to a ResNet of timm what CIFAR_STEM says; first weights as those of its others."""
    model.conv1 = nn.Conv2d(3, model.conv1.out_channels, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    model.maxpool = nn.Identity()


def _reason(error: Exception) -> str:
    said = " ".join(str(error).split()).partition(". ")[0].removesuffix(".")
    return f"{type(error).__name__}: {said[:160]}"


def _library() -> ModuleType:
    """timm; UserError when it is not installed."""
    try:
        import timm
    except ModuleNotFoundError:
        raise UserError(
            f"network=timm needs the module timm, which is not installed: type {install('timm')}."
        ) from None
    return timm
