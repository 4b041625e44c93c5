"""``task=pretrain``: a trunk trained on the images of one photograph, in a folder of its own."""

from __future__ import annotations

from omegaconf import DictConfig

from singleimg.learn.training.run import describe_run, train
from singleimg.system.logs import logging_to_console


def pretrain(cfg: DictConfig) -> None:
    """Trains what ``cfg`` describes, or what is missing of it."""
    with logging_to_console():
        train(describe_run(cfg))
