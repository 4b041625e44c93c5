"""``task=shortcut``: the null control of a preset."""

from __future__ import annotations

from omegaconf import DictConfig

from singleimg.learn.study.control import run_control
from singleimg.learn.training.devices import check_one_device
from singleimg.system.logs import log, logging_to_console


def shortcut(cfg: DictConfig) -> float:
    """Prints the control of the preset of ``cfg``; its accuracy in telling the four rotations."""
    with logging_to_console():
        check_one_device(cfg.train, "shortcut")
        control = run_control(cfg)
        log.info("%s", control)
        return control.rotation
