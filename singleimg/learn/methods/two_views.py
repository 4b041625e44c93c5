"""What methods of two views share: the views, a head on the trunk, an optimiser, and a teacher."""

from __future__ import annotations

import math
import os
from abc import abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from importlib.util import find_spec
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from singleimg.errors import UserError
from singleimg.learn.data.views import Views
from singleimg.learn.methods.base import Method, check_positive, check_whole, set_lr
from singleimg.learn.methods.train_state import TrainState
from singleimg.learn.networks.base import Network
from singleimg.learn.seeding import torch_generator
from singleimg.system.extras import install

LOWEST = 0.1  # of the learning rate, with which it begins


class TwoViews(Method):
    """Two views of each image are to have outputs that agree; the loss and the head are lightly's.

    An image is one patch (or one image of a stored or real set), and both of its views are drawn
    from it: never from the whole photograph, in which the views of one patch would be as unrelated
    as those of two. An update sees ``2 · batch_size`` views.

    views: how they are drawn, see ``Views``. hidden, output: values in the head's hidden layer, and
    of what it gives. lr: of AdamW, reached after ``warmup``, a fraction of the training; then it
    falls along a half cosine to 0. weight_decay: of all weights. The recipes have LARS or SGD for
    batches of thousands; AdamW learns as much in short trainings of small batches, and at one rate
    with all four losses.
    """

    metrics: ClassVar[tuple[str, ...]] = ("loss", "spread")

    def __init__(
        self,
        *,
        views: Mapping[str, Any],
        hidden: int,
        output: int,
        lr: float,
        weight_decay: float = 0.01,
        warmup: float = 0.05,
        name: str,
        **settings: Any,
    ) -> None:
        for key in ("crop", "hflip"):
            if key in settings:
                raise UserError(
                    f"method.{key} has no effect with method={name}: type method.views.area and "
                    "method.views.hflip, which say how views are drawn."
                )
        super().__init__(name=name, crop="resized", **settings)
        check_lightly(name)
        check_positive(lr=lr)
        for key, value in (("hidden", hidden), ("output", output)):
            check_whole(key, value, 1)
        check_not_negative(weight_decay=weight_decay)
        check_fraction("warmup", warmup, 0.05)
        self.views = Views.of(views)
        self.hidden, self.output = hidden, output
        self.lr, self.weight_decay, self.warmup = lr, weight_decay, warmup

    def build(self, network: Network, images: int, classes: int) -> None:
        """The trunk, what :meth:`build_heads` makes, and AdamW for all that has gradients."""
        self.size = network.size
        self.trunk = network.trunk()
        self.build_heads(self.trunk.shapes(network.size)[-1][0])
        moved = [weight for weight in self.parameters() if weight.requires_grad]
        self.optimizers["all"] = AdamW(moved, self.lr, weight_decay=self.weight_decay)

    @abstractmethod
    def build_heads(self, features: int) -> None:
        """Makes ``head``, from so many features to ``output`` values, and the loss."""

    def outputs(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What is compared: 2B×D of the student, and 2B×D of the teacher or the same again.

        The trunk's features are the means of its last maps: C values an image.
        """
        given = self.head(mean_features(self.trunk, images))
        return given, given

    @abstractmethod
    def loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Of the outputs, ``float`` 2B×D each: first views, then second ones."""

    def measure(self, student: Tensor) -> dict[str, Tensor]:
        """Metrics of the outputs beside the loss."""
        return {"spread": spread(student)}

    def schedule(self, fraction: float) -> None:
        set_lr(self.optimizers["all"], self.lr * warmed_cosine(fraction, self.warmup))

    def augment(self, images: Tensor, size: int, generator: torch.Generator) -> Tensor:
        """Two views of each: 2B×3×size×size, all first ones, then all second ones."""
        return self.views.pair(images, size, generator)

    def update(self, images: Tensor, indices: Tensor, labels: Tensor, state: TrainState) -> dict:
        with state.fabric.autocast():
            student, teacher = self.outputs(images)
        student, teacher = student.float(), teacher.float()
        loss = self.loss(student, teacher)
        state.descend(loss, self.optimizers["all"])
        with torch.no_grad():
            return {"loss": loss.detach(), **self.measure(student.detach())}

    @torch.no_grad()
    def pictures(self, images: Tensor) -> dict[str, Tensor]:
        """``views``: two of each image, side by side."""
        pairs = self.views.pair(images, self.size, torch_generator(0, "pictures"))
        return {"views": torch.stack(pairs.chunk(2), 1).flatten(0, 1)}


class TaughtByMean(TwoViews):
    """The views' outputs are compared with those of a teacher: a slow mean of the student.

    teacher_momentum: what the teacher keeps of itself in an update, from this value at the
    beginning along a half cosine to 1 at the end. The teacher has no gradients; it is a submodule,
    so that checkpoints hold it.
    """

    def __init__(self, *, teacher_momentum: float, **settings: Any) -> None:
        super().__init__(**settings)
        check_fraction("teacher_momentum", teacher_momentum, 0.99)
        self.teacher_momentum = self.kept = teacher_momentum

    @abstractmethod
    def new_head(self, features: int) -> nn.Module:
        """A head, of the student or of the teacher."""

    def build_heads(self, features: int) -> None:
        from lightly.models.utils import deactivate_requires_grad

        self.head = self.new_head(features)
        # A new head that takes over the weights: one with weight normalisation has no deepcopy.
        self.teacher = nn.ModuleList([deepcopy(self.trunk), self.new_head(features)])
        self.teacher[1].load_state_dict(self.head.state_dict())
        deactivate_requires_grad(self.teacher)

    @torch.no_grad()
    def taught(self, images: Tensor) -> Tensor:
        """The teacher's outputs."""
        trunk, head = self.teacher
        return head(mean_features(trunk, images))

    def schedule(self, fraction: float) -> None:
        super().schedule(fraction)
        self.kept = 1 - (1 - self.teacher_momentum) * half_cosine(fraction)

    def update(self, images: Tensor, indices: Tensor, labels: Tensor, state: TrainState) -> dict:
        from lightly.models.utils import update_momentum

        metrics = super().update(images, indices, labels, state)
        update_momentum(nn.ModuleList([self.trunk, self.head]), self.teacher, self.kept)
        return metrics


def mean_features(trunk: nn.Module, images: Tensor) -> Tensor:
    """The means of the last maps: B×C."""
    return trunk.layers(images)[-1].mean((2, 3))


def spread(outputs: Tensor) -> Tensor:
    """How far N×D outputs of length 1 lie apart: 0 where they are all alike, about 1 at random.

    The standard deviation of a value, mean over values, times √D. It shows a collapse, as in Chen,
    He: Exploring simple siamese representation learning (CVPR 2021), figure 2.
    """
    directions = nn.functional.normalize(outputs, dim=1)
    return directions.std(0).mean() * math.sqrt(outputs.shape[1])


def half_cosine(fraction: float) -> float:
    """From 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * fraction))


def warmed_cosine(fraction: float, warmup: float) -> float:
    """From 0.1 straight to 1 within ``warmup``, and along a half cosine to 0 at 1."""
    if fraction < warmup:
        return LOWEST + (1 - LOWEST) * fraction / warmup
    return half_cosine((fraction - warmup) / max(1 - warmup, 1e-9))


def check_fraction(key: str, value: object, example: float) -> None:
    """Raises UserError for a setting of a method that is not a number from 0 to under 1."""
    if type(value) not in (int, float) or not 0 <= value < 1:
        raise UserError(
            f"method.{key}={value} is not a number from 0 to under 1: type for example "
            f"method.{key}={example}."
        )


def check_not_negative(**settings: object) -> None:
    """Raises UserError for a setting of a method that is not a number of 0 or more."""
    for key, value in settings.items():
        if type(value) not in (int, float) or not 0 <= value < float("inf"):
            raise UserError(
                f"method.{key}={value} is not a number of 0 or more: type for example "
                f"method.{key}=0."
            )


def check_lightly(method: str) -> None:
    """Raises UserError where lightly is not installed, before anything is made or written."""
    # Versions before 1.6 ask a server for the newest one when they are imported, unless they did.
    os.environ["LIGHTLY_DID_VERSION_CHECK"] = "True"
    if find_spec("lightly") is None:
        raise UserError(
            f"method={method} needs the module lightly, which is not installed: type "
            f"{install('ssl')}."
        )
