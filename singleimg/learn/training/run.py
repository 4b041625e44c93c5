"""``task=pretrain``: a trunk trained on the images of one photograph, in a folder of its own."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from singleimg.config import saved
from singleimg.config.command_line import command, typed
from singleimg.config.make import instantiate
from singleimg.config.paths import here
from singleimg.config.schema import typed_keys
from singleimg.config.tasks import Pretrain
from singleimg.dataset.recipe import Recipe, check_draws
from singleimg.dataset.target import LOG
from singleimg.errors import UserError, clause, is_url
from singleimg.jobs.driver import about_run
from singleimg.learn.data.inputs import Inputs, describe_inputs
from singleimg.learn.methods.base import Method
from singleimg.learn.methods.train_state import Diverged, TrainState
from singleimg.learn.networks.base import Network, check_network
from singleimg.learn.training import checkpoints
from singleimg.learn.training.devices import describe_devices, open_fabric
from singleimg.learn.training.journal import BOARD, EPOCHS, PICTURES, UPDATES
from singleimg.learn.training.loop import LogSettings, Training
from singleimg.learn.training.origins import DIGEST, Origin, find_origins, recorded, take_over
from singleimg.learn.training.page import try_page
from singleimg.learn.training.teacher import Teacher, load_teacher
from singleimg.learn.training.trunk import RECORD, fingerprint, load_record
from singleimg.storage.local import LocalStore
from singleimg.storage.lock import hold
from singleimg.system.cores import available_cores
from singleimg.system.figures import duration, size
from singleimg.system.logs import log, logging_to_file
from singleimg.version import __version__

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Run:
    """What to train, on what, and where."""

    method: Method
    network: Network
    inputs: Inputs
    record: dict[str, Any]  # what decides the weights, and the versions
    origins: dict[str, Origin]  # trainings that it begins with, by settings of the method
    teacher: Teacher | None  # of a method that is taught
    folder: Path
    settings: DictConfig

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what decides the weights."""
        return fingerprint(self.record)


def pretraining(cfg: DictConfig, real: bool = False) -> DictConfig:
    """The ``task=pretrain`` of another task, which has some of its keys: on the images that would
    be made, or with ``real`` on those of ``data``."""
    made = cfg.copy()
    OmegaConf.set_struct(made, False)
    made.data = cfg.data if real else None
    made.task = Pretrain(_target_="pretrain", name="pretrain")
    for key, _ in typed_keys(Pretrain):
        name = key.removeprefix("task.")
        if name != key and name in cfg.task:
            made.task[name] = cfg.task[name]
    return made


def describe_run(cfg: DictConfig) -> Run:
    """The run of a checked configuration; writes nothing, reads no image but the source."""
    for group, example in (("method", "rotnet"), ("network", "cifar_conv4")):
        if cfg[group] is None:
            raise UserError(f"{group} is missing: type for example {group}={example}.")
    method, network = instantiate(cfg, "method"), instantiate(cfg, "network")
    check_network(network)
    inputs = describe_inputs(cfg)
    if method.needs_labels and inputs.labels is None:
        raise UserError(
            f"method={method.name} learns from labels, and these images have none: type for "
            "example data=cifar10 data.path=…."
        )
    method.check_transforms(inputs.transforms)
    given_away = None if cfg.task.insist else method.shortcut(inputs.transforms)
    if given_away:
        raise UserError(
            f"method={method.name} would recognise the rotations of these images {given_away}, not "
            "by what they show: type augment=paper or corners=image (also for the dataset of "
            "task.dataset), or task.insist=true to train anyway."
        )
    method.check_count(inputs.count)
    check_size(method, network, inputs)
    origins = find_origins(cfg, method)
    teacher = load_teacher(method.teacher, cfg.trusted_modules) if method.is_taught else None
    settings = recorded(OmegaConf.to_container(cfg.method, resolve=True), method, origins)
    if teacher is not None:
        settings["teacher"] = f"{DIGEST}{teacher.digest}"
    record = {
        "decides": {
            "method": settings,
            "network": OmegaConf.to_container(cfg.network, resolve=True),
            "inputs": inputs.identity,
            "classes": inputs.classes if teacher is None else teacher.classes,
            "seed": cfg.seed,
            "precision": cfg.train.precision,
            "max_norm": cfg.train.max_norm,
        },
        "made_with": {"singleimg": __version__, "torch": torch.__version__},
    }
    if origins:
        record["origins"] = {key: origin.path for key, origin in origins.items()}
    if is_url(cfg.targetpath):
        raise UserError(
            f"targetpath={cfg.targetpath} is behind a URL, and checkpoints are files of this "
            "machine: type a folder."
        )
    folder = _folder(cfg, method, inputs, record)
    return Run(method, network, inputs, record, origins, teacher, folder, cfg)


def check_size(method: Method, network: Network, inputs: Inputs) -> None:
    """Refuses images that the method cannot cut to the network's size."""
    size = network.size
    if inputs.size < size:
        raise UserError(
            f"img_size={inputs.size} is smaller than the {size} px that network={network.name} "
            f"needs: type img_size={size} or more."
        )
    if method.crop == "padded" and inputs.size != size:
        raise UserError(
            f"img_size={inputs.size} is not the {size} px of network={network.name}, which "
            f"method.crop=padded needs: type img_size={size}, or method.crop=resized."
        )


def _folder(cfg: DictConfig, method: Method, inputs: Inputs, record: dict[str, Any]) -> Path:
    sweeping = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
    if cfg.targetpath and not sweeping:
        return Path(cfg.targetpath)
    digest = fingerprint(record)[:8]
    name = "-".join(["pretrain", method.name, inputs.name, f"seed{cfg.seed}", digest])
    return Path(cfg.targetpath or here() / "outputs") / name


@dataclass(frozen=True)
class Trained:
    """metrics: the means of the last epoch. seconds: of all processes that worked on it."""

    metrics: dict[str, float]
    seconds: float


def train(run: Run) -> Trained:
    """Runs to the end, from the last checkpoint there is."""
    fabric = open_fabric(run.settings.train)
    run.method.check_devices(fabric.world_size)
    is_main = fabric.is_global_zero
    with hold(LocalStore(run.folder)) if is_main else nullcontext():
        last = _load_last(run)
        whole = last is not None and last["step"] >= run.method.total_updates(run.inputs.count)
        trained_on = _trained_on(run, last, None if whole else describe_devices(fabric))
        if not whole:
            _build(run, anew=last is None)
        fabric.barrier()
        if is_main:
            _begin_folder(run, trained_on, anew=last is None)
        fabric.barrier()
        about = about_run(run.record["made_with"])
        with logging_to_file(run.folder / LOG, *about) if is_main else nullcontext():
            if is_main and trained_on[1:] and trained_on[-1]["from_update"] == last["step"]:
                before, now = trained_on[-2:]
                log.info(
                    "This training was started on %s and resumes on %s from update %s: its weights "
                    "differ from those of a training on the first alone; %s records it.",
                    _device_words(before), _device_words(now), f"{last['step'] + 1:,}", RECORD,
                )  # fmt: skip
            if whole:
                trained = Trained(last["metrics"], last["seconds"])  # no image is read for it
            else:
                trained = _train_rest(run, fabric, last)
            if is_main:
                metrics = ", ".join(f"{key} {value:.4g}" for key, value in trained.metrics.items())
                log.info(
                    "Trained in %s (last epoch: %s).", duration(trained.seconds), metrics or "none"
                )
                log.info("Folder:  %s", run.folder)
                try_page(run.folder, run.settings.trusted_modules)
                checkpoint = typed("task.checkpoint", run.folder)
                log.info("Probe:   %s", command("task=probe", checkpoint, "data=…", "data.path=…"))
    return trained


def _load_last(run: Run) -> dict[str, Any] | None:
    """The checkpoint to go on from; UserError when it is of another run."""
    file = run.folder / checkpoints.FOLDER / checkpoints.LAST
    if run.settings.task.resume == "never" or not file.exists():
        return None
    last = checkpoints.load(file)
    if last["fingerprint"] != run.fingerprint:
        before = load_record(run.folder)
        rendered = before["decides"].get("inputs", {}).get("rendered", {})
        check_draws(
            Recipe(rendered, {}, before["made_with"]),
            f"targetpath={run.folder}",
            "type another targetpath, task.resume=never to replace it, or use that version to "
            "resume it.",
        )
        old, new = (Recipe(one["decides"], {}, {}) for one in (before, run.record))
        changed = [line.removeprefix("pixels.") for line in old.differences(new)]
        raise UserError(
            f"targetpath={run.folder} holds another training ({'; '.join(changed[:5])}): type "
            "another targetpath, task.resume=never to replace it, or the old values."
        )
    return last


def _trained_on(
    run: Run, last: dict[str, Any] | None, now: dict[str, Any] | None
) -> list[dict[str, Any]]:
    """What updates were made on, and ``now`` are: an entry more where that is another.

    Another number of devices cuts batches otherwise, and another kind of device rounds otherwise.
    """
    if last is None:
        return [{"from_update": 0, **(now or {})}]
    # Older records hold none, but checkpoints a state of random numbers for each device.
    before = [{"from_update": 0, "devices": len(last["random"])}]
    if (run.folder / RECORD).exists():
        before = load_record(run.folder)["trained_on"] or before
    if now is None:
        return before
    # What came after the checkpoint is lost, and made anew.
    before = [one for one in before if one["from_update"] < last["step"]]
    if before and all(before[-1].get(key, value) == value for key, value in now.items()):
        return before
    return [*before, {"from_update": last["step"], **now}]


def _device_words(one: dict[str, Any]) -> str:
    kind = f" ({one['accelerator']})" if "accelerator" in one else ""
    machines = f" of {one['machines']} machines" if one.get("machines", 1) > 1 else ""
    return f"{one['devices']} device{'s' * (one['devices'] > 1)}{machines}{kind}"


def _begin_folder(run: Run, trained_on: list[dict[str, Any]], anew: bool) -> None:
    """Writes what the run is; ``anew``: what an older run left there goes first."""
    try:
        if anew:
            for name in (checkpoints.FOLDER, PICTURES, BOARD):
                rmtree(run.folder / name, ignore_errors=True)
            for name in (UPDATES, EPOCHS):
                (run.folder / name).unlink(missing_ok=True)
        record = {**run.record, "trained_on": trained_on}
        (run.folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        (run.folder / "config.yaml").write_text(saved.run_text(run.settings), encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"targetpath={run.folder} cannot be written ({error.strerror}): type another "
            "targetpath."
        ) from None


def _build(run: Run, anew: bool) -> None:
    """The method, before anything is written: what does not fit is said first. ``anew``: with all
    that it begins with; a checkpoint has its own."""
    torch.manual_seed(run.settings.seed)
    run.method.build(run.network, run.inputs.count, run.record["decides"]["classes"])
    run.method.check_built()
    if anew:
        run.network.load_pretrained(run.method.trunk)
        take_over(run.method, run.record["decides"]["network"], run.origins)


def _train_rest(run: Run, fabric: Fabric, checkpoint: dict[str, Any] | None) -> Trained:
    """All updates, or those after ``checkpoint``."""
    cfg, settings = run.settings, run.settings.train
    _announce(run, 0 if checkpoint is None else checkpoint["step"])
    run.method.to(fabric.device)
    if run.teacher is not None:
        run.method.learn_from(run.teacher.model.to(fabric.device))
    workers = available_cores() if cfg.threads is None else cfg.threads
    begin = time.perf_counter()
    images = run.inputs.open(workers, settings.memory)
    opened = time.perf_counter() - begin
    training = Training(
        run.method,
        images,
        TrainState(fabric, cfg.seed, settings.max_norm),
        run.folder,
        size=run.network.size,
        log_settings=LogSettings(
            settings.log_every, settings.checkpoint_every, cfg.task.keep, cfg.task.tensorboard
        ),
        fingerprint=run.fingerprint,
    )
    torch.manual_seed(cfg.seed + fabric.global_rank)
    if checkpoint is not None:
        training.load_state_dict(checkpoint)
    try:
        training.run()
    except Diverged as error:
        raise Diverged(f"{clause(error)} (the last good state is in {run.folder}).") from None
    except KeyboardInterrupt:
        log.warning("Stopped: type the same command again to resume from the last checkpoint.")
        raise
    if fabric.is_global_zero and training.augmenting:
        log.info(
            "The images were ready after %.1f s (%.1f %% of the training); crops or views of them "
            "take %.1f %% of an update.",
            opened, 100 * opened / training.seconds, 100 * training.augmenting,
        )  # fmt: skip
    return Trained(training.metrics, training.seconds)


def _announce(run: Run, done: int) -> None:
    """What is about to be done; how long it takes is said by the loop, once it was measured."""
    inputs, method = run.inputs, run.method
    left, batch = method.total_updates(inputs.count) - done, method.images_an_update
    log.info(
        "%s on %s images of %d px (%s): %s updates of %d images, %.3g epochs, into %s.",
        method.name, f"{inputs.count:,}", inputs.size, inputs.name, f"{left:,}",
        batch, left * batch / inputs.count, run.folder,
    )  # fmt: skip
    kept, most = inputs.count * 3 * inputs.size**2, run.settings.train.memory
    if kept <= most * 1e9:
        log.info("The images are made once, and take %s of memory.", size(kept))
    else:
        log.info(
            "The images are made again in every epoch: as pixels they are %s, and train.memory=%g "
            "keeps sets of up to %s.",
            size(kept), most, size(most * 1e9),
        )  # fmt: skip
