"""``task=repair``: makes what is bad again, moves what is foreign away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from omegaconf import DictConfig

from singleimg.dataset.recipe import Recipe, check_draws
from singleimg.dataset.target import DATASET, RECIPE, Target
from singleimg.errors import UserError
from singleimg.jobs.driver import complete
from singleimg.jobs.existing import ExistingDataset, find_target, open_dataset, other_versions
from singleimg.jobs.inspection import inspect
from singleimg.jobs.job import prepare
from singleimg.storage.integrity import Problem
from singleimg.storage.lock import hold
from singleimg.system.logs import log, logging_to_console

FOREIGN = "foreign"  # below the dataset: where files go that are not of it


def repair(cfg: DictConfig) -> None:
    """Mends what an inspection finds; nobody else writes between the look and the end of it."""
    target = find_target(cfg)
    with logging_to_console(), hold(target.store):
        dataset = open_dataset(cfg, target)
        problems, missing = inspect(cfg, dataset)
        if problems or missing:
            mend(dataset, problems, cfg.allow_version_change)
        else:
            count = f"{dataset.shards.num_imgs:,}"
            log.info("All %s images in %s are as they were committed.", count, target.store)


def mend(dataset: ExistingDataset, problems: Sequence[Problem], allow_version_change: bool) -> None:
    """Makes the shards that are bad again, and moves what is foreign out of the way.

    For the holder of the lock.
    """
    target, settings = dataset.target, dataset.settings
    check_draws(dataset.recipe, f"targetpath={target.store}", "use that version to repair it.")
    settings.allow_version_change = allow_version_change
    # What lies beside the images stays as it is, and what was typed here makes no images.
    job = replace(prepare(settings), texts={}, typed=None)
    bad = {problem.shard for problem in problems} - {None}
    if any(problem.path == RECIPE for problem in problems):
        restore_recipe(dataset, job.recipe)
    found = target.look()
    target.check(found, job.recipe, job.num_imgs, "resume")
    target.check_versions(found, job.recipe, allow_version_change)
    with target.store.errors():
        moved = [move_away(target, problem.path) for problem in problems if problem.foreign]
        target.store.remove(DATASET)
        target.manifest.remove(job.shards[number] for number in sorted(bad))
    complete(job)
    if moved:
        files = "1 foreign file was" if len(moved) == 1 else f"{len(moved)} foreign files were"
        log.info("%s moved to %s.", files, target.store.path_of(FOREIGN))
    before, now = (one and one.get("digest") for one in (dataset.summary, target.summary()))
    if before not in (None, now) and before != target.manifest.former_digest():
        log.warning("The images are not the same bytes as before%s.", other_versions(dataset))
    log.info("Repaired: %d shard%s made again.", len(bad), "s" * (len(bad) != 1))


def move_away(target: Target, path: str) -> str:
    """Moves a file or folder to a free name at the same place below ``foreign/``."""
    place, number = f"{FOREIGN}/{path}", 0
    while target.store.exists(place):
        number += 1
        place = f"{FOREIGN}/{path}.{number}"
    target.store.move(path, place)
    return place


def restore_recipe(dataset: ExistingDataset, recipe: Recipe) -> None:
    """Writes ``recipe.json`` anew, if it is the one that the records speak of."""
    records = dataset.target.manifest.scan().records
    if not records or {record.fingerprint for record in records} != {recipe.fingerprint}:
        raise UserError(
            f"{dataset.target.store.path_of(RECIPE)} is altered and so is config.yaml, or the "
            "source: restore the files that were altered."
        )
    made_with = Recipe(recipe.pixels, recipe.layout, records[0].made_with)
    dataset.target.store.write(RECIPE, made_with.text())
