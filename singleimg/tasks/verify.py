"""``task=verify``: names everything of a dataset that is not as it was committed."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig

from singleimg.config.command_line import command, go_on, trusting, typed
from singleimg.errors import UserError
from singleimg.jobs.existing import ExistingDataset, find_target, open_dataset
from singleimg.jobs.inspection import inspect
from singleimg.storage.integrity import Problem
from singleimg.system.logs import log, logging_to_console


def verify(cfg: DictConfig) -> None:
    """Raises UserError, which says how to go on, when something is wrong or missing."""
    with logging_to_console():
        dataset = open_dataset(cfg, find_target(cfg))
        conclude(dataset, *inspect(cfg, dataset))


def conclude(dataset: ExistingDataset, problems: Sequence[Problem], missing: int) -> None:
    """The last line: all is well, or how to mend it."""
    num_imgs, path = dataset.shards.num_imgs, dataset.target.store
    trusted = dataset.settings.trusted_modules
    if problems:
        mend = command("task=repair", typed("targetpath", path), *trusting(trusted))
        raise UserError(
            f"targetpath={path}: {len(problems)} {'things are' if problems[1:] else 'thing is'} "
            f"wrong: to repair it, type {mend}"
        )
    if missing:
        raise UserError(
            f"targetpath={path}: {missing:,} of {num_imgs:,} images are missing, and all others "
            f"are correct: {go_on(path, trusted)}"
        )
    log.info("All %s images in %s are as they were committed.", f"{num_imgs:,}", path)
