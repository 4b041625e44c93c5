"""The way in: compose the configuration, run the task, exit with its status."""

from __future__ import annotations

import sys

import hydra
from omegaconf import DictConfig

from singleimg.cli.main import job, run


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg: DictConfig) -> None:
    """One job."""
    job(cfg)


if __name__ == "__main__":
    sys.exit(run(main, sys.argv[1:]))
