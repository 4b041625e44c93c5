"""``task=report``: the page of a dataset that is there, in a folder or a store."""

from __future__ import annotations

from omegaconf import DictConfig

from singleimg.jobs.existing import find_target, open_finished
from singleimg.jobs.page import write_page
from singleimg.system.logs import log, logging_to_console


def report(cfg: DictConfig) -> None:
    """Writes ``report.html`` beside the images of a finished dataset."""
    with logging_to_console():
        dataset = open_finished(cfg, find_target(cfg))
        log.info("Report:  %s", write_page(dataset))
