"""The checked configuration that a command line would have, from Python."""

from __future__ import annotations

import hydra
import hydra.utils
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

from singleimg.config.checks import load
from singleimg.config.former import refuse_former
from singleimg.config.location import CONF


def compose(*overrides: str) -> DictConfig:
    """The checked configuration that ``python run.py`` would have with these arguments.

    >>> singleimg.compose("imgpath=photo.jpg", "augment=strong", "num_imgs=1M")
    """
    refuse_former(overrides)
    # Within an application of Hydra's that one steps aside: Hydra composes one at a time.
    other, GlobalHydra.instance().hydra = GlobalHydra.instance().hydra, None
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return load(hydra.compose("config", list(overrides)), overrides)
    finally:
        GlobalHydra.instance().hydra = other
