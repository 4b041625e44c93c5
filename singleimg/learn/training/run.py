"""``task=pretrain``: a trunk trained on the images of one photograph, in a folder of its own."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from singleimg.backends.base import available_cores
from singleimg.config import saved
from singleimg.config.command_line import command, typed
from singleimg.config.make import instantiate
from singleimg.dataset.recipe import Recipe
from singleimg.dataset.target import LOG
from singleimg.errors import UserError, is_url
from singleimg.jobs.estimate import duration
from singleimg.learn.data.inputs import Inputs, describe
from singleimg.learn.methods.base import Method
from singleimg.learn.methods.train_state import Diverged, Work
from singleimg.learn.networks.base import Network
from singleimg.learn.training import checkpoints
from singleimg.learn.training.devices import open_fabric
from singleimg.learn.training.loop import Rhythm, Training
from singleimg.learn.training.trunk import RECORD, fingerprint, load_record
from singleimg.storage.local import LocalStore
from singleimg.storage.lock import hold
from singleimg.system.logs import log, logging_to_file
from singleimg.version import __version__


@dataclass(frozen=True)
class Run:
    """What to train, on what, and where."""

    method: Method
    network: Network
    inputs: Inputs
    record: dict[str, Any]  # what decides the weights, and the versions
    folder: Path
    settings: DictConfig

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what decides the weights."""
        return fingerprint(self.record)


def prepare(cfg: DictConfig) -> Run:
    """The run of a checked configuration; writes nothing, reads no image but the source."""
    for group, example in (("method", "rotnet"), ("network", "cifar_conv4")):
        if cfg[group] is None:
            raise UserError(f"{group} is missing: type for example {group}={example}.")
    method, network = instantiate(cfg, "method"), instantiate(cfg, "network")
    inputs = describe(cfg)
    if method.needs_labels and inputs.labels is None:
        raise UserError(
            f"method={method.name} learns from labels, and these images have none: type for "
            "example data=cifar10 data.path=…."
        )
    method.check_transforms(inputs.transforms)
    method.check_count(inputs.count)
    check_size(method, network, inputs)
    record = {
        "decides": {
            "method": OmegaConf.to_container(cfg.method, resolve=True),
            "network": OmegaConf.to_container(cfg.network, resolve=True),
            "inputs": inputs.identity,
            "classes": inputs.classes,
            "seed": cfg.seed,
            "precision": cfg.train.precision,
            "max_norm": cfg.train.max_norm,
        },
        "made_with": {"singleimg": __version__, "torch": torch.__version__},
    }
    if is_url(cfg.targetpath):
        raise UserError(
            f"targetpath={cfg.targetpath} is behind a URL, and checkpoints are files of this "
            "machine: type a folder."
        )
    return Run(method, network, inputs, record, _folder(cfg, method, inputs, record), cfg)


def check_size(method: Method, network: Network, inputs: Inputs) -> None:
    """Refuses images that the method cannot cut to the network's size."""
    size = network.size
    if inputs.size < size:
        raise UserError(
            f"img_size={inputs.size} is smaller than the {size} px that network={network.name} "
            f"takes: type img_size={size} or more."
        )
    if method.crop == "padded" and inputs.size != size:
        raise UserError(
            f"img_size={inputs.size} is not the {size} px of network={network.name}, which "
            f"method.crop=padded wants: type img_size={size}, or method.crop=resized."
        )


def _folder(cfg: DictConfig, method: Method, inputs: Inputs, record: dict[str, Any]) -> Path:
    sweeping = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
    if cfg.targetpath and not sweeping:
        return Path(cfg.targetpath)
    mark = fingerprint(record)[:8]
    name = "-".join(["pretrain", method.name, inputs.name, f"seed{cfg.seed}", mark])
    return Path(cfg.targetpath or "outputs").absolute() / name


@dataclass(frozen=True)
class Trained:
    """metrics: the means of the last epoch. seconds: of all processes that worked on it."""

    metrics: dict[str, float]
    seconds: float


def train(run: Run) -> Trained:
    """Runs to the end, from the last checkpoint there is."""
    settings = run.settings.train
    fabric = open_fabric(settings)
    run.method.check_devices(fabric.world_size)
    with hold(LocalStore(run.folder)) if fabric.is_global_zero else nullcontext():
        state = _found(run)
        fabric.barrier()
        if fabric.is_global_zero:
            _begin(run, state)
        fabric.barrier()
        with logging_to_file(run.folder / LOG) if fabric.is_global_zero else nullcontext():
            trained = _trained(run, fabric, state)
            if fabric.is_global_zero:
                _close(run, trained)
    return trained


def _trained(run: Run, fabric: Any, state: dict[str, Any] | None) -> Trained:
    if state is not None and state["step"] >= run.method.total_updates(run.inputs.count):
        return Trained(state["metrics"], state["seconds"])  # no image is read for it
    training = _set_up(run, fabric, state)
    _announce(run, training)
    _work(run, training)
    return Trained(training.metrics, training.seconds)


def _work(run: Run, training: Training) -> None:
    try:
        training.run()
    except Diverged as error:
        raise Diverged(f"{error} The last good state is in {run.folder}.") from None
    except KeyboardInterrupt:
        log.warning("Stopped. The same command goes on from the last checkpoint.")
        raise


def _found(run: Run) -> dict[str, Any] | None:
    """The checkpoint to go on from; UserError when it is of another run."""
    file = run.folder / checkpoints.FOLDER / checkpoints.LAST
    if run.settings.task.resume == "never" or not file.exists():
        return None
    state = checkpoints.load(file)
    if state["fingerprint"] != run.fingerprint:
        before = load_record(run.folder)
        old, new = (Recipe(one["decides"], {}, {}) for one in (before, run.record))
        changed = [line.removeprefix("pixels.") for line in old.differences(new)]
        raise UserError(
            f"targetpath={run.folder} holds another training ({'; '.join(changed[:5])}): type "
            "another targetpath, task.resume=never to replace it, or the old values."
        )
    return state


def _begin(run: Run, state: dict[str, Any] | None) -> None:
    """Writes what the run is; what an older run left there goes when it begins anew."""
    try:
        if state is None:
            _clear(run.folder)
        texts = {RECORD: json.dumps(run.record, indent=2) + "\n",
                 "config.yaml": saved.run_text(run.settings)}  # fmt: skip
        for name, text in texts.items():
            (run.folder / name).write_text(text)
    except OSError as error:
        raise UserError(
            f"targetpath={run.folder} cannot be written ({error.strerror}): type another."
        ) from None


def _clear(folder: Path) -> None:
    from shutil import rmtree

    from singleimg.learn.training.journal import BOARD, EPOCHS, PICTURES, UPDATES

    for name in (checkpoints.FOLDER, PICTURES, BOARD):
        rmtree(folder / name, ignore_errors=True)
    for name in (UPDATES, EPOCHS):
        (folder / name).unlink(missing_ok=True)


def _set_up(run: Run, fabric: Any, state: dict[str, Any] | None) -> Training:
    cfg, settings = run.settings, run.settings.train
    torch.manual_seed(cfg.seed)
    run.method.build(run.network, run.inputs.count, run.inputs.classes)
    run.method.to(fabric.device)
    workers = available_cores() if cfg.threads is None else cfg.threads
    training = Training(
        run.method,
        run.inputs.open(workers, settings.memory),
        Work(fabric, cfg.seed, settings.max_norm),
        run.folder,
        size=run.network.size,
        rhythm=Rhythm(
            settings.log_every, settings.checkpoint_every, cfg.task.keep, cfg.task.tensorboard
        ),
        fingerprint=run.fingerprint,
    )
    torch.manual_seed(cfg.seed + fabric.global_rank)
    if state is not None:
        training.restore(state)
    return training


def _announce(run: Run, training: Training) -> None:
    log.info(
        "%s on %s images of %d px (%s): %s updates of %d images, into %s.",
        run.method.name,
        f"{run.inputs.count:,}",
        run.inputs.size,
        run.inputs.name,
        f"{training.total - training.work.step:,}",
        run.method.images_an_update,
        run.folder,
    )


def _close(run: Run, trained: Trained) -> None:
    said = ", ".join(f"{key} {value:.4g}" for key, value in trained.metrics.items())
    log.info("Trained in %s (last epoch: %s).", duration(trained.seconds), said or "none")
    log.info("Folder:  %s", run.folder)
    log.info(
        "Probe:   %s",
        command("task=probe", typed("task.checkpoint", run.folder), "data=…", "data.path=…"),
    )
