"""``task=report``: the page of what lies in a folder: a dataset (or in a store), a training, a
student, a study."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from singleimg.errors import file_path, is_url
from singleimg.jobs.existing import find_target, open_finished
from singleimg.jobs.page import write_page
from singleimg.system.logs import log, logging_to_console


def report(cfg: DictConfig) -> None:
    """Writes ``report.html`` of what is finished beside it."""
    with logging_to_console():
        log.info("Report:  %s", _learned(cfg) or write_page(open_finished(cfg, find_target(cfg))))


def _learned(cfg: DictConfig) -> Path | None:
    """The same of a training or a study, which know what they are; None: there is neither."""
    if cfg.targetpath is None or is_url(cfg.targetpath):
        return None
    from singleimg.learn.distil import page as distil  # a dataset's page is in no need of these
    from singleimg.learn.study import page as study
    from singleimg.learn.training import page as training

    folder = Path(file_path(cfg.targetpath))
    for kind in (study, distil, training):
        if (folder / kind.RECORD).exists():
            return kind.write_page(folder, cfg.trusted_modules)
    return None
