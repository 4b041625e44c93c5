"""``task=evaluate``: a pretraining and its probe in one job, whose value a search can raise."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from singleimg.config.make import instantiate
from singleimg.config.tasks import Pretrain
from singleimg.errors import UserError
from singleimg.learn.probes.base import protocol_digest
from singleimg.learn.probes.checkpoint import accuracy_of, layer_number, score_of
from singleimg.learn.probes.scores import table
from singleimg.learn.training.devices import check_one_device
from singleimg.learn.training.run import describe_run, train
from singleimg.learn.training.trunk import checkpoint_file
from singleimg.system.logs import log, logging_to_console


def evaluate(cfg: DictConfig) -> float:
    """Trains on the images that would be made, then probes on ``data``; what is done is read.

    Returns the accuracy after ``task.layer``, 0 … 1.
    """
    with logging_to_console():
        if cfg.data is None:
            raise UserError("data is missing: type for example data=cifar10 data.path=….")
        data = instantiate(cfg, "data")
        check_one_device(cfg.train, "evaluate")
        settings = OmegaConf.to_container(cfg.probe, resolve=True)
        protocol = protocol_digest(settings, data, cfg.seed)  # a wrong path is said now
        run = describe_run(pretraining(cfg))
        layer_number(cfg.task.layer, len(run.network.trunk().stages))
        train(run)
        score = score_of(checkpoint_file(run.folder), cfg, data, protocol)
        log.info("%s", table([score]))
        return accuracy_of([score], cfg.task.layer)


def pretraining(cfg: DictConfig) -> DictConfig:
    """Its ``task=pretrain``, which is in no need of labels."""
    made = cfg.copy()
    OmegaConf.set_struct(made, False)
    made.data = None
    made.task = Pretrain(_target_="pretrain", name="pretrain")
    for key in ("resume", "insist", "tensorboard"):
        made.task[key] = cfg.task[key]
    return made
