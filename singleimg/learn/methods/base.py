"""What every method has: its settings, a trunk to train, and one update at a time."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from singleimg.errors import UserError, did_you_mean, misfit
from singleimg.learn.data.batches import Images
from singleimg.learn.data.crops import CROPS, flip
from singleimg.learn.methods.train_state import TrainState
from singleimg.learn.networks.base import Network, Trunk
from singleimg.learn.seeding import numpy_generator

SHOWN = 32  # images that :meth:`Method.pictures` gets


class Method(nn.Module, ABC):
    """A way to train a trunk. First the settings, then ``build``, then ``update`` after ``update``.

    name: stands in the record of a run. epochs: how often the set is gone through; updates: how
    many updates instead, when not None. batch_size: images an update, of all devices together.
    crop: what is cut out of each image anew (centre, placed, padded, resized; see ``crops``).
    hflip: probability that it is mirrored. alexnet: what ``network=alexnet_bn`` is made with.
    """

    metrics: ClassVar[tuple[str, ...]] = ("loss",)  # what each update says
    watched: ClassVar[str] = "loss"  # the lowest mean of an epoch makes the best checkpoint
    needs_labels: ClassVar[bool] = False
    is_taught: ClassVar[bool] = False  # its setting ``teacher`` names what learn_from gets
    takes: ClassVar[tuple[str, ...]] = ()  # settings that name a training: begin gets its trunk
    # Settings that came later, and what held before: a record says them only where they differ, so
    # that what was begun before resumes.
    added: ClassVar[Mapping[str, Any]] = {}
    is_taught: ClassVar[bool] = False  # its setting ``teacher`` names what learn_from gets
    if TYPE_CHECKING:
        trunk: Trunk  # made by build

    def __init__(
        self,
        *,
        name: str,
        epochs: int = 1,
        updates: int | None = None,
        batch_size: int = 128,
        crop: str = "centre",
        hflip: float = 0.0,
        alexnet: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.name, self.epochs, self.updates = name, epochs, updates
        self.batch_size, self.crop, self.hflip = batch_size, crop, hflip
        self.optimizers: dict[str, Optimizer] = {}
        check_whole("epochs", epochs, 0)
        check_whole("batch_size", batch_size, 2)
        if updates is not None:
            check_whole("updates", updates, 0)
        if crop not in CROPS:
            raise UserError(
                f"method.crop={crop} is not one of {', '.join(CROPS)}{did_you_mean(crop, CROPS)}: "
                "type for example method.crop=padded."
            )
        if not 0 <= hflip <= 1:
            raise UserError(
                f"method.hflip={hflip:g} is not a probability: type a number from 0 to 1."
            )

    @abstractmethod
    def build(self, network: Network, images: int, classes: int) -> None:
        """Makes the modules and the optimisers: the trunk first, from torch's generator as it is.

        ``images``: how many there are. ``classes``: of their labels, when there are any.
        """

    def learn_from(self, teacher: nn.Module) -> None:
        """Called after :meth:`build` where ``is_taught``, when a training resumes too.

        ``teacher``: frozen; ``float`` B×3×S×S of 0 … 1 in, the scores of its classes out. What
        :meth:`build` gets as ``classes`` is their number.
        """

    def begin(self, trunks: Mapping[str, Trunk]) -> None:
        """What is done once, after :meth:`build`, in a training that does not resume.

        ``trunks``: of the trainings that the settings in ``takes`` name, their weights with them.
        """

    def check_built(self) -> None:
        """Raises UserError when :meth:`build` left no trunk."""
        trunk = getattr(self, "trunk", None)
        if not isinstance(trunk, Trunk):
            raise misfit(f"{type(self).__name__}.trunk after build", trunk, "network.trunk()")

    def check_metrics(self, metrics: object) -> Mapping[str, Any]:
        """What :meth:`update` gave; UserError when it does not say what it owes."""
        owed = set(self.metrics)
        if not isinstance(metrics, Mapping) or not owed <= set(metrics):
            names = ", ".join(sorted(owed))
            raise misfit(f"{type(self).__name__}.update", metrics, f"a dict with {names}")
        return metrics

    def check_count(self, images: int) -> None:
        """Raises UserError when so many images are too few."""
        if self.images_an_update > images:
            steps = self.images_an_update // self.batch_size
            raise UserError(
                f"method.batch_size={self.batch_size} is too large for {images:,} images"
                f"{f', of which an update takes {steps} times as many' if steps > 1 else ''}: type "
                f"method.batch_size={max(1, images // steps)} or less, or a larger num_imgs."
            )

    def check_devices(self, devices: int) -> None:
        """Raises UserError when a batch is not the same for each of so many devices."""
        if self.batch_size % devices:
            near = max(1, self.batch_size // devices) * devices
            raise UserError(
                f"method.batch_size={self.batch_size} cannot be divided evenly among {devices} "
                f"devices: type for example method.batch_size={near}."
            )

    def check_transforms(self, transforms: Sequence[Mapping[str, Any]]) -> None:
        """Raises UserError when images made by these transforms teach this method nothing."""

    def shortcut(self, transforms: Sequence[Mapping[str, Any]]) -> str | None:
        """What of these transforms gives the answer away, as half a sentence; None: nothing."""
        return None

    @property
    def images_an_update(self) -> int:
        """How many images :meth:`update` gets, of all devices together."""
        return self.batch_size

    def total_updates(self, images: int) -> int:
        """How many updates a training on so many images has."""
        epochs = self.epochs * (images // self.images_an_update)
        return epochs if self.updates is None else self.updates

    def schedule(self, fraction: float) -> None:
        """Sets the learning rates for this fraction of the training, 0 … 1."""

    def order(self, epoch: int, images: Images, state: TrainState) -> np.ndarray:
        """The indices of one epoch, in the order in which they are seen."""
        return numpy_generator(state.seed, "order", epoch).permutation(len(images))

    def augment(self, images: Tensor, size: int, generator: torch.Generator) -> Tensor:
        """The method's own crop and flip of a batch, ``float`` B×3×S×S of 0 … 1."""
        return flip(CROPS[self.crop](images, size, generator), self.hflip, generator)

    @abstractmethod
    def update(self, images: Tensor, indices: Tensor, labels: Tensor, state: TrainState) -> dict:
        """One update from a batch; ``indices``: the indices of its images. Gives the metrics."""

    def pretext(self, images: Tensor) -> tuple[Tensor, Tensor] | None:
        """The scores of the answers to the method's own question about images, N×answers, and the
        right ones, ``int64`` N; None: it has none that could be right or wrong.
        """
        return None

    def end_epoch(self) -> dict[str, float]:
        """What is known once an epoch is over, beside the means of its updates."""
        return {}

    @torch.no_grad()
    def pictures(self, images: Tensor) -> dict[str, Tensor]:
        """What there is to look at after an epoch: ``float`` N×3×S×S of 0 … 1 by name.

        ``images``: the first ones of the set, of the network's size.
        """
        return {}


def step_decay(lr: float, milestones: Sequence[float], gamma: float, fraction: float) -> float:
    """``lr``, times ``gamma`` for each of the ``milestones`` (fractions of training) passed."""
    return lr * gamma ** sum(fraction >= milestone for milestone in milestones)


def cosine(lr: float, fraction: float, warmup: float = 0.0) -> float:
    """From 0 to ``lr`` over the first ``warmup`` of the training, then to 0 by half a cosine."""
    if fraction < warmup:
        return lr * fraction / warmup
    return lr * (1 + math.cos(math.pi * (fraction - warmup) / max(1 - warmup, 1e-9))) / 2


def set_lr(optimizer: Optimizer, lr: float) -> None:
    """For all its parameters."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def accuracy(scores: Tensor, labels: Tensor) -> Tensor:
    """The share of rows whose largest value is that of their label."""
    return (scores.argmax(1) == labels).float().mean()


def check_positive(example: float = 0.01, /, **settings: object) -> None:
    """Raises UserError for a setting of a method that is not a number over 0."""
    for key, value in settings.items():
        if type(value) not in (int, float) or not 0 < value < float("inf"):
            raise UserError(
                f"method.{key}={value} is not a number over 0: type for example "
                f"method.{key}={example:g}."
            )


def check_whole(key: str, value: object, low: int) -> None:
    """Raises UserError for a setting of a method that is not a whole number of ``low`` or more."""
    if type(value) is not int or value < low:
        raise UserError(
            f"method.{key}={value} is not a whole number of {low} or more: type for example "
            f"method.{key}={max(low, 1)}."
        )
