"""``task=evaluate``: a pretraining and its probe in one job, whose value a search can raise."""

from __future__ import annotations

from omegaconf import DictConfig

from singleimg.learn.probes.checkpoint import (
    FOLDER,
    accuracy_of,
    layer_number,
    probed_on,
    score_of,
)
from singleimg.learn.probes.page import write_scores
from singleimg.learn.probes.scores import table
from singleimg.learn.training.run import describe_run, pretraining, train
from singleimg.learn.training.trunk import checkpoint_file
from singleimg.system.logs import log, logging_to_console


def evaluate(cfg: DictConfig) -> float:
    """Trains on the images that would be made, then probes on ``data``; what is done is read.

    It leaves what ``task=pretrain`` and ``task=probe`` leave.

    Returns the accuracy after ``task.layer``, 0 … 1.
    """
    with logging_to_console():
        data, protocol = probed_on(cfg, "evaluate")
        run = describe_run(pretraining(cfg))
        layer_number(cfg.task.layer, run.network.trunk().depth)
        train(run)
        file = checkpoint_file(run.folder)
        score = score_of(file, cfg, data, protocol)
        name = "-".join([data.name, file.stem, protocol])
        page = write_scores(run.folder / FOLDER, name, [score], [file], cfg)
        log.info("%s", table([score]))
        log.info("Report:  %s", page)
        return accuracy_of([score], cfg.task.layer)
