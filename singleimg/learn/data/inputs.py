"""Which images a pretraining sees: rendered from one photograph, stored by a run, or real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig
from torch.utils.data import Dataset, Subset

from singleimg.config import checks
from singleimg.config.make import instantiate, resolved_transforms
from singleimg.dataset.recipe import make_recipe
from singleimg.dataset.target import Target
from singleimg.dataset.torch import RenderedDataset, StoredDataset
from singleimg.errors import UserError
from singleimg.learn.data.base import classes, identity, targets
from singleimg.learn.data.batches import Images, open_images
from singleimg.learn.seeding import numpy_generator
from singleimg.sources.base import hashes
from singleimg.system.logs import log

_SMALL = 64  # pixels


@dataclass(frozen=True)
class Inputs:
    """Images before any is read.

    name: for people, and names of folders. identity: JSON values that tell them from all others.
    transforms: what they were made by, empty for real ones. labels: a class for each, or None.
    """

    name: str
    identity: Mapping[str, Any]
    count: int
    size: int
    transforms: Sequence[Mapping[str, Any]]
    dataset: Callable[[], Dataset]
    labels: Sequence[int] | None = None
    classes: int = 0

    def open(self, workers: int, memory: float) -> Images:
        """The images; those that fit in ``memory`` GB are read now, by ``workers`` processes."""
        return open_images(
            self.dataset(), self.size, workers=workers, memory=memory, labels=self.labels
        )


def describe_inputs(cfg: DictConfig) -> Inputs:
    """What ``data``, ``task.dataset`` or else the recipe stands for; reads no image."""
    if cfg.data is not None:
        return _labelled(cfg)
    if cfg.task.dataset is not None:
        return _stored(cfg)
    return _rendered(cfg)


def _rendered(cfg: DictConfig) -> Inputs:
    if cfg.task.images is not None:
        raise UserError(
            f"task.images={cfg.task.images} takes a part of task.dataset=… or data=…, and these "
            f"images are rendered: type num_imgs={cfg.task.images}."
        )
    source = instantiate(cfg, "image")
    transforms = resolved_transforms(cfg)
    recipe = make_recipe(
        sources=hashes(source), transforms=transforms, img_size=cfg.img_size, seed=cfg.seed,
        engine=instantiate(cfg, "engine").name, encoder={}, layout={}, libraries=[],
    )  # fmt: skip
    return Inputs(
        name=f"{source.name}-{cfg.augment.name}",
        identity={"rendered": recipe.pixels, "images": cfg.num_imgs},
        count=cfg.num_imgs,
        size=cfg.img_size,
        transforms=transforms,
        dataset=lambda: RenderedDataset(cfg),
    )


def _stored(cfg: DictConfig) -> Inputs:
    stored, recipe = StoredDataset(cfg.task.dataset), Target.at(cfg.task.dataset).recipe()
    count = _count(cfg, len(stored), "task.dataset")
    if recipe.pixels["img_size"] <= _SMALL and recipe.pixels["encoder"]["encoding"] == "jpeg":
        log.warning(
            "task.dataset=%s holds JPEG files of %d px, in which the blocks of JPEG are a large "
            "part: use images stored with encode=png, or leave task.dataset out to render them.",
            cfg.task.dataset, int(recipe.pixels["img_size"]),
        )  # fmt: skip
    return Inputs(
        name="stored",
        identity={"stored": recipe.pixels, "images": count},
        count=count,
        size=int(recipe.pixels["img_size"]),
        transforms=recipe.pixels["transforms"],
        dataset=lambda: Subset(stored, range(count)),
    )


def _labelled(cfg: DictConfig) -> Inputs:
    """All of the training split, or ``task.images`` of it, chosen by the seed."""
    data = instantiate(cfg, "data")
    train = data.train()
    count, labels = _count(cfg, len(train), "data"), targets(train)
    chosen = sorted(numpy_generator(cfg.seed, "images").permutation(len(train))[:count].tolist())
    return Inputs(
        name=data.name,
        identity={"data": data.name, "files": identity(train), "images": count, "of": len(train),
                  "img_size": cfg.img_size,
                  "chosen_by": cfg.seed if count < len(train) else None},
        count=count,
        size=cfg.img_size,
        transforms=(),
        dataset=lambda: Subset(train, chosen),
        labels=[labels[index] for index in chosen],
        classes=len(classes(train)),
    )  # fmt: skip


def _count(cfg: DictConfig, available: int, key: str) -> int:
    wanted = cfg.task.images
    if wanted is None:
        return available
    count = checks.parse_count("task.images", wanted)
    if count > available:
        raise UserError(
            f"task.images={count} are more than the {available:,} of {key}: type a smaller "
            "number, or leave it out."
        )
    return count
