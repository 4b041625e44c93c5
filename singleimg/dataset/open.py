"""The images of a configuration, or of a dataset that was made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from omegaconf import DictConfig

from singleimg.config import saved
from singleimg.config.make import instantiate, instantiate_transforms, resolved_transforms
from singleimg.dataset.target import Target
from singleimg.drawing.describe import step_of_entry
from singleimg.drawing.steps import Step
from singleimg.images import SingleImage
from singleimg.sources.base import Source


def from_config(
    cfg: DictConfig, sources: Sequence[str] | None = None, source: Source | None = None
) -> SingleImage:
    """From a composed configuration (``image``, ``augment``, ``engine``, …).

    It may name our and torchvision's classes, and those below ``cfg.trusted_modules``.
    ``sources``: hashes of the pictures (``sources.base.hashes``); UserError when one is another
    now. ``source``: instead of the one that is configured.
    """
    return SingleImage(
        instantiate(cfg, "image") if source is None else source,
        steps_of(cfg),
        instantiate(cfg, "engine"),
        img_size=cfg.img_size,
        seed=cfg.seed,
        sources=sources,
    )


def steps_of(cfg: DictConfig) -> list[Step | Callable]:
    """The transforms of a configuration: by their laws, or as objects where there is no law."""
    entries = resolved_transforms(cfg)
    steps = [step_of_entry(entry, place) for place, entry in enumerate(entries)]
    unknown = [place for place, step in enumerate(steps) if step is None]
    made = dict(zip(unknown, instantiate_transforms(cfg, unknown), strict=True))
    return [made[place] if step is None else step for place, step in enumerate(steps)]


def open_images(folder: str | Path, trusted_modules: Sequence[str] = ()) -> SingleImage:
    """From the ``config.resolved.yaml`` of a dataset on disk.

    ``trusted_modules``: packages of yours whose transforms it names; what the file itself says
    of that does not count. Raises UserError when a source is not what it was.
    """
    cfg, sources = saved_config(folder, trusted_modules)
    return from_config(cfg, sources=sources)


def saved_config(
    path: str | Path, trusted_modules: Sequence[str]
) -> tuple[DictConfig, list[str] | None]:
    """The configuration of a dataset that was made, and the hashes of its sources."""
    target = Target.at(str(path))
    recipe = target.recipe()
    sources = None if recipe is None else recipe.pixels["sources"]
    return saved.load(target.store, trusted_modules), sources
