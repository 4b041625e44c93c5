"""A dataset that was made before, by its own configuration and manifest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from omegaconf import DictConfig

from singleimg.config import saved
from singleimg.config.command_line import go_on
from singleimg.config.make import instantiate
from singleimg.config.paths import escape
from singleimg.dataset.recipe import NUMBERING, Recipe, versions
from singleimg.dataset.target import RECIPE, Target
from singleimg.encoders.base import Encoder
from singleimg.errors import UserError
from singleimg.jobs.job import prepare
from singleimg.outputs.base import Output
from singleimg.storage.shards import Shards

_FORMER_NATIVE = "native"  # what engine=native was in recipes before the raster had versions


@dataclass(frozen=True)
class ExistingDataset:
    """A dataset on disk, by its own configuration and manifest."""

    settings: DictConfig
    target: Target
    recipe: Recipe
    altered: bool  # whether recipe.json is not what was written
    summary: dict[str, Any] | None
    output: Output
    encoder: Encoder

    @property
    def shards(self) -> Shards:
        """All shards that are there, or will be."""
        return Shards(self.settings.num_imgs, self.output.shard_size)


def find_target(cfg: DictConfig) -> Target:
    """The folder ``cfg.targetpath``; UserError when it holds no dataset."""
    if cfg.targetpath is None:
        raise UserError(f"task={cfg.task.name} needs the folder of a dataset: type targetpath=….")
    target = Target.at(cfg.targetpath, cfg.durable)
    if target.store.read(RECIPE) is None:
        raise UserError(f"targetpath={target.store} holds no dataset: type the folder of one.")
    return target


def open_dataset(cfg: DictConfig, target: Target) -> ExistingDataset:
    """The dataset in ``target``, by its own files; UserError when they do not fit each other."""
    settings = saved.load(target.store, list(cfg.trusted_modules))
    settings.durable, settings.targetpath = (
        cfg.durable,
        escape(str(target.store)),
    )  # it may have moved
    settings.threads, settings.backend = cfg.threads or settings.threads, cfg.backend
    encoder = instantiate(settings, "encode")
    output = instantiate(settings, "output", image_suffix=encoder.suffix)
    recipe, altered = stated_recipe(target, settings)
    layout = {**(output.layout() or {}), "save_params": settings.save_params}
    writers = layout.get("writer"), recipe.layout.get("writer")
    if writers[0] != writers[1]:
        raise UserError(
            f"{target.store} was written by another version of this program (writer {writers[1]}, "
            f"here {writers[0]}): make it again with if_exists=overwrite, or use that version."
        )
    if layout != recipe.layout:
        raise UserError(
            f"{target.store}: config.yaml and recipe.json do not belong together: restore the one "
            "that was altered."
        )
    return ExistingDataset(settings, target, recipe, altered, target.summary(), output, encoder)


def open_finished(cfg: DictConfig, target: Target) -> ExistingDataset:
    """The same of a dataset that is whole; UserError where images are missing."""
    dataset = open_dataset(cfg, target)
    if type((dataset.summary or {}).get("images")) is not int:
        raise UserError(
            f"targetpath={target.store} holds an unfinished dataset: "
            f"{go_on(target.store, cfg.trusted_modules)}"
        )
    return dataset


def stated_recipe(target: Target, settings: DictConfig) -> tuple[Recipe, bool]:
    """``recipe.json``, or where that was altered what the configuration describes; and which."""
    text = target.store.read(RECIPE)
    try:
        recipe = target.recipe()
    except UserError:
        recipe = None
    committed = files_of(target.summary() or {}).get(RECIPE)
    altered = recipe is None or recipe.text().encode() != text
    if altered or committed not in (None, target.digest_of(RECIPE)):
        return described_recipe(target, settings), True
    return recipe, False


def described_recipe(target: Target, settings: DictConfig) -> Recipe:
    """What the configuration describes, by the draws and the engine that the records speak of."""
    recipe = prepare(settings.copy()).recipe
    made_with = {record.fingerprint: record.made_with for record in target.manifest.scan().records}
    engines = (recipe.pixels["engine"], _FORMER_NATIVE)
    for numbering, engine in product(range(1, NUMBERING), engines):
        pixels = {**recipe.pixels, "draws": float(numbering), "engine": engine}
        former = replace(recipe, pixels=pixels)
        if former.fingerprint in made_with:
            return replace(former, made_with=made_with[former.fingerprint])
    return recipe


def files_of(summary: dict[str, Any]) -> dict[str, Any]:
    """The files that ``dataset.json`` lists; none when it is damaged."""
    files = summary.get("files")
    return files if isinstance(files, dict) else {}


def other_versions(dataset: ExistingDataset) -> str:
    """`` (made with …)`` when the libraries here are not those that made the dataset."""
    made_with = {k: v for k, v in dataset.recipe.made_with.items() if k != "profiles"}
    here = versions(made_with)
    other = [f"{name} {version}" for name, version in made_with.items() if here[name] != version]
    return f" (made with {', '.join(other)})" if other else ""
