"""``task=card``: the card of a dataset that was made before there were any, or has lost it."""

from __future__ import annotations

from omegaconf import DictConfig

from singleimg.dataset.target import CARD
from singleimg.jobs.card import write_card
from singleimg.jobs.existing import find_target, open_finished
from singleimg.system.logs import log, logging_to_console


def card(cfg: DictConfig) -> None:
    """Writes ``README.md`` and ``croissant.json`` beside the images of a finished dataset.

    ``image.licence`` is what the dataset's own configuration says, unless it is typed.
    """
    with logging_to_console():
        dataset = open_finished(cfg, find_target(cfg))
        if cfg.task.licence is not None:
            dataset.settings.image.licence = cfg.task.licence
        store, count = dataset.target.store, dataset.shards.num_imgs
        write_card(store, dataset.settings, dataset.recipe, count, dataset.output)
        log.info("Card:    %s", store.path_of(CARD))
