"""The classifier that a method is taught by: a training with labels, its exported weights, or a
model of timm.

Its weights decide what is learned, the place where they lie does not: a teacher that was moved is
the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from singleimg.errors import UserError, did_you_mean, file_path
from singleimg.learn.training import checkpoints
from singleimg.learn.training.exported import SUFFIX, digest
from singleimg.learn.training.trunk import checkpoint_file, load_method
from singleimg.system.extras import install

TIMM = "timm:"  # begins the name of a model of timm, where a path could stand


class Frozen(nn.Module):
    """A classifier that learns nothing more: ``float`` B×3×S×S of 0 … 1 in, of any size, resized to
    the ``size`` that it takes; the scores of its classes out."""

    def __init__(self, classifier: nn.Module, size: int) -> None:
        super().__init__()
        self.classifier, self.size = classifier, size
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Frozen:
        """It stays in eval mode: BatchNorm keeps the statistics of what it was trained on."""
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-1] != self.size:
            images = nn.functional.interpolate(
                images, (self.size, self.size), mode="bilinear", antialias=True
            )
        return self.classifier(images)


@dataclass(frozen=True)
class Teacher:
    """path: as it was typed. digest: SHA-256 of its weights. classes: how many it tells apart.
    seconds: that its training took, None where that is not known."""

    path: str
    digest: str
    model: Frozen
    classes: int
    seconds: float | None = None


def load_teacher(path: str, trusted_modules: Sequence[str] = ()) -> Teacher:
    """The teacher in the folder of a training with labels, in one of its ``.pt`` files, in a
    ``.safetensors`` file of ``task=export_trunk task.head=true``; or ``timm:<model>``."""
    if path.startswith(TIMM):
        return _from_timm(path)
    try:
        method, network, record = load_method(path, trusted_modules)
    except UserError as error:
        raise UserError(f"method.teacher={path} cannot be used: {error}") from None
    if not (method.needs_labels or method.is_taught):
        raise UserError(
            f"method.teacher={path} was trained by method={method.name}, which knows no classes: "
            "type the folder of a task=pretrain method=supervised data=…."
        )
    place = Path(file_path(path))
    seconds = None
    if place.suffix != SUFFIX:  # an exported file does not say it
        seconds = checkpoints.load(checkpoint_file(place))["seconds"]
    model = Frozen(method, network.size)
    return Teacher(path, digest(method.state_dict()), model, record["decides"]["classes"], seconds)


def _from_timm(path: str) -> Teacher:
    """A model with the weights that timm has for it, which it fetches."""
    name = path.removeprefix(TIMM)
    try:
        import timm
    except ModuleNotFoundError:
        raise UserError(
            f"method.teacher={path} needs the module timm, which is not installed: type "
            f"{install('timm')}, or method.teacher=<the folder of a training>."
        ) from None
    if not timm.is_model(name):
        raise UserError(
            f"method.teacher={path} is not a model of timm {timm.__version__}"
            f"{did_you_mean(name, timm.list_models())}: type one that timm.list_models() gives."
        )
    try:
        model = timm.create_model(name, pretrained=True)
    except Exception as error:  # of a network that fails, libraries say anything
        reason = " ".join(f"{type(error).__name__}: {error}".split()).partition(". ")[0]
        raise UserError(
            f"method.teacher={path} has weights that cannot be fetched ({reason}): use a machine "
            "that can fetch them, or type method.teacher=<the folder of a training>."
        ) from None
    settings = model.pretrained_cfg
    normalised = nn.Sequential(Normalise(settings["mean"], settings["std"]), model)
    frozen = Frozen(normalised, settings["input_size"][-1])
    return Teacher(path, digest(model.state_dict()), frozen, model.num_classes)


class Normalise(nn.Module):
    """Images of 0 … 1 as a model wants them: less ``mean``, divided by ``deviation``, a channel."""

    def __init__(self, mean: Sequence[float], deviation: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation).view(3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.deviation
