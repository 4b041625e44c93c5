"""``task=prepare``: begins a dataset that slices on several machines will make."""

from __future__ import annotations

from omegaconf import DictConfig

from singleimg.config.command_line import command
from singleimg.errors import UserError
from singleimg.jobs.driver import closing_lines, is_whole, overwrite
from singleimg.jobs.job import prepare as prepare_job
from singleimg.jobs.job import refuse_kept
from singleimg.jobs.slices import AGREEMENT, Agreement
from singleimg.storage.lock import hold
from singleimg.system.logs import log, logging_to_console


def prepare(cfg: DictConfig) -> None:
    """Writes what all slices have in common; where they agreed on other things before, anew.

    Needed in stores that cannot create exclusively, to begin anew, and to be sure beforehand.
    """
    with logging_to_console():
        if cfg.task.slices is None:
            raise UserError("task=prepare needs a number of slices: type task.slices=8.")
        job = prepare_job(cfg)
        refuse_kept(job.output, "task=prepare")
        if not job.writes:
            raise UserError(f"output={job.output.name} writes nothing: type another output.")
        found = job.target.look()
        if is_whole(job, found):
            log.info("All %s images are in %s already.", f"{job.num_imgs:,}", job.store)
            closing_lines(job)
            return
        with hold(job.store):
            if cfg.if_exists == "overwrite":
                found = overwrite(job, found)
            else:
                job.target.check_versions(found, job.recipe, cfg.allow_version_change)
            job.target.begin(found, job.recipe, job.texts, job.output, todo=[])
            agreement = Agreement(cfg.task.slices, job.num_imgs, job.recipe)
            job.store.write(AGREEMENT, agreement.text())
        log.info("Folder:  %s", job.store)
        kept = [one for one in job.typed or [] if not one.startswith(("task", "if_exists="))]
        typed = command(*kept, f"num_imgs={job.num_imgs}", f"slice=0/{agreement.slices}")
        log.info("Slices:  %s, and so on, each on any machine", typed)
