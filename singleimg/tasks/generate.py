"""``task=generate``: one image in, a training set of any size out."""

from __future__ import annotations

from omegaconf import DictConfig

from singleimg.jobs.driver import announce, closing_lines, complete, is_whole, make
from singleimg.jobs.job import prepare
from singleimg.storage.lock import hold
from singleimg.system.logs import log, logging_to_console


def generate(cfg: DictConfig) -> None:
    """Makes the dataset that ``cfg`` describes, or what is missing of it."""
    with logging_to_console():
        job = prepare(cfg)
        if not job.writes:
            todo = list(job.plan)
            make(job, todo, announce(job, todo))
        elif is_whole(job):
            log.info("All %s images are in %s already.", f"{job.num_imgs:,}", job.store)
            closing_lines(job)
        else:
            with hold(job.store):
                complete(job)
