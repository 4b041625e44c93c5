"""``task=shortcut``: the null control of a preset."""

from __future__ import annotations

from omegaconf import DictConfig

from singleimg.learn.study.control import run_control
from singleimg.learn.training.devices import check_one_device
from singleimg.system.logs import log, logging_to_console


def shortcut(cfg: DictConfig) -> None:
    """Prints the control of the preset of ``cfg``."""
    with logging_to_console():
        check_one_device(cfg.train, "shortcut")
        log.info("%s", run_control(cfg))
