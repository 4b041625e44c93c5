"""The images of a photograph, of a configuration, or of a dataset that was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from singleimg.config import checks, saved
from singleimg.config.compose import compose, override
from singleimg.config.explain import explained
from singleimg.config.make import instantiate, instantiate_transforms, resolved_transforms
from singleimg.dataset.recipe import check_draws
from singleimg.dataset.target import RECIPE, RESOLVED, Target
from singleimg.drawing.describe import step_of_entry
from singleimg.drawing.steps import Step
from singleimg.engines.base import Engine
from singleimg.errors import UserError, is_url
from singleimg.images import SingleImage
from singleimg.sources.base import Source


@explained()
def from_config(
    cfg: DictConfig,
    sources: Sequence[str] | None = None,
    source: Source | None = None,
    engine: Engine | None = None,
) -> SingleImage:
    """From a composed configuration (``image``, ``augment``, ``engine``, …).

    It may name our and torchvision's classes, and those below ``cfg.trusted_modules``.
    ``sources``: hashes of the pictures (``sources.base.hashes``); UserError when one is another
    now. ``source`` and ``engine``: instead of those that are configured. A configured source is
    looked at: a single picture is decoded, and kept; of several the beginning of each file is read.
    """
    images = SingleImage(
        instantiate(cfg, "image") if source is None else source,
        steps_of(cfg),
        instantiate(cfg, "engine") if engine is None else engine,
        img_size=cfg.img_size,
        seed=cfg.seed,
        sources=sources,
    )
    if source is None:
        images.pictures.source.check()
        if len(images.pictures) == 1:
            images.pictures.load(0)
    return images


def steps_of(cfg: DictConfig) -> list[Step | Callable]:
    """The transforms of a configuration: by their laws, or as objects where there is no law."""
    entries = resolved_transforms(cfg)
    steps = [step_of_entry(entry, place) for place, entry in enumerate(entries)]
    unknown = [place for place, step in enumerate(steps) if step is None]
    made = dict(zip(unknown, instantiate_transforms(cfg, unknown), strict=True))
    return [made[place] if step is None else step for place, step in enumerate(steps)]


def open_images(
    source: str | Path | DictConfig, trusted_modules: Sequence[str] = (), **keys: Any
) -> SingleImage:
    """From a photograph, a configuration, or a dataset that was made.

    >>> SingleImage.open("photo.jpg", augment="paper", img_size=128)

    ``trusted_modules``: packages of yours whose classes it names; what a dataset's own file says
    of that does not count. ``keys``: of the configuration, as in ``compose``. Raises UserError when
    a picture is missing, is none, or is not what it was.
    """
    cfg, sources = read_source(source, trusted_modules, keys)
    return from_config(cfg, sources=sources)


@explained()
def read_source(
    source: str | Path | DictConfig, trusted_modules: Sequence[str], keys: Mapping[str, Any]
) -> tuple[DictConfig, list[str] | None]:
    """What ``source`` stands for, checked, and the hashes of its pictures if they are known.

    ``source``: a configuration; the folder or URL of a dataset that was made; a picture; a folder
    of pictures. ``keys``: values of the configuration's keys.
    """
    if OmegaConf.is_config(source):
        cfg = source.copy()
        OmegaConf.set_struct(cfg, True)
        for key, value in keys.items():
            OmegaConf.update(cfg, key, str(value) if isinstance(value, Path) else value)
        cfg = checks.load(cfg, [override(key, value) for key, value in keys.items()])
    elif is_dataset(source):
        if keys:
            raise UserError(
                f"{source} is a dataset, whose images are fixed: leave {', '.join(keys)} out, or "
                "give a photograph or a configuration."
            )
        return saved_config(source, trusted_modules)
    else:
        folder = {"image": "folder"} if Path(source).expanduser().is_dir() else {}
        cfg = compose(**{"imgpath": str(source), **folder, **keys})
    cfg.trusted_modules = [*cfg.trusted_modules, *trusted_modules]
    return cfg, None


def is_dataset(source: str | Path) -> bool:
    """Whether a run made what lies there, as far as the names of files tell."""
    if is_url(str(source)):
        return True
    folder = Path(str(source).removeprefix("file://"))
    return any((folder / name).exists() for name in (RECIPE, RESOLVED))


def saved_config(
    path: str | Path, trusted_modules: Sequence[str]
) -> tuple[DictConfig, list[str] | None]:
    """The configuration of a dataset that was made, and the hashes of its sources."""
    target = Target.at(str(path))
    recipe = target.recipe()
    if recipe is not None:
        read = "read its images by StoredDataset, or use that version to render them again."
        check_draws(recipe, str(path), read)
    sources = None if recipe is None else recipe.pixels["sources"]
    return saved.load(target.store, trusted_modules), sources
