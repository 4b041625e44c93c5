"""``task=generate``: one image in, a training set of any size out."""

from __future__ import annotations

from dataclasses import replace

from omegaconf import DictConfig

from singleimg.dataset.target import GRID, PAGE
from singleimg.errors import UserError, clause
from singleimg.jobs.driver import (
    announce,
    closing_lines,
    complete,
    holds_more,
    is_whole,
    make,
)
from singleimg.jobs.existing import open_dataset
from singleimg.jobs.job import Job, prepare, refuse_former_set
from singleimg.jobs.page import write_page
from singleimg.jobs.slices import sharing
from singleimg.report.grid import DEBUG_IMAGES, grid
from singleimg.storage.lock import hold
from singleimg.storage.shards import WHOLE
from singleimg.system.logs import log, logging_to_console

_REPORTED = 10_000  # images, of which nobody wants to look at each


def generate(cfg: DictConfig) -> float | None:
    """Makes the dataset that ``cfg`` describes, or what is missing of it; images/s of that.

    ``debug``: 64 images of it, and ``grid.png`` to look at them.
    """
    with logging_to_console():
        cfg.num_imgs = DEBUG_IMAGES if cfg.debug else cfg.num_imgs
        if cfg.if_exists != "overwrite":
            refuse_former_set()
        job = prepare(cfg)
        if cfg.debug and job.store.local_path is None:
            raise UserError(
                f"debug=true makes a picture to look at, and targetpath={cfg.targetpath} is behind "
                "a URL: type a folder."
            )
        if cfg.debug and job.slice != WHOLE:
            raise UserError("debug=true makes all of its 64 images at once: leave slice out.")
        if not job.writes:
            todo = job.own_shards
            return make(job, todo, announce(job, todo))
        found, speed, there = job.target.look(), None, job.store.exists(PAGE)
        if holds_more(job, found):
            pass
        elif is_whole(job, found):
            log.info("All %s images are in %s already.", f"{job.num_imgs:,}", job.store)
            closing_lines(job)
        elif job.slice != WHOLE:
            with sharing(job) as held:
                speed = complete(replace(job, held=held))
        else:
            with hold(job.store):
                speed = complete(job, found)
        if cfg.debug:
            with job.store.errors():
                grid(job.producer.grid(job.num_imgs)).save(job.store.path_of(GRID))
            log.info("Grid:    %s", job.store.path_of(GRID))
        if job.target.summary():
            _report(cfg, job, there, changed=speed is not None)
        return speed


def _report(cfg: DictConfig, job: Job, there: bool, changed: bool) -> None:
    """Writes the page of a dataset that is whole: if it is asked for, or the dataset has changed.

    there: whether it had one. A page that nobody asked for does not make a run fail.
    """
    changed |= there and not job.store.exists(PAGE)  # since it told of another dataset
    large = there or job.num_imgs >= _REPORTED
    if not (changed and large if cfg.report is None else cfg.report):
        return
    try:
        page = write_page(open_dataset(cfg, job.target), job.producer.single)
    except UserError as error:
        if cfg.report:
            raise
        log.warning("The page is missing (%s): type task=report to write it.", clause(error))
    else:
        log.info("Report:  %s", page)
