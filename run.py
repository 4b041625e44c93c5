"""The way in: compose the configuration, run the task, say how it ended."""

from __future__ import annotations

import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from singleimg import cli, config


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg: DictConfig) -> None:
    """Runs the chosen task on the checked configuration."""
    overrides = HydraConfig.get().overrides.task
    cfg = config.load(cfg, overrides)
    hydra.utils.get_method(cfg.task._target_)(cfg)


if __name__ == "__main__":
    sys.exit(cli.run(main, sys.argv[1:]))
