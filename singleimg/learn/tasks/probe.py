"""``task=probe``: one training or several, after each convolution, on a labelled set."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from statistics import fmean
from typing import Any

from omegaconf import DictConfig, OmegaConf

from singleimg.config.make import instantiate
from singleimg.dataset.recipe import canonical
from singleimg.errors import UserError, file_path, misfit
from singleimg.learn.data.base import Labelled
from singleimg.learn.probes.base import protocol_digest
from singleimg.learn.probes.chart import draw
from singleimg.learn.probes.scores import (
    LayerScore,
    RunScore,
    read_json,
    table,
    write_csv,
    write_json,
)
from singleimg.learn.training.checkpoints import LAST
from singleimg.learn.training.devices import check_one_device, open_fabric
from singleimg.learn.training.trunk import checkpoint_file, load_record, load_trunk
from singleimg.system.logs import log, logging_to_console

FOLDER = "probes"


def probe(cfg: DictConfig) -> float:
    """Probes what was not probed yet; leaves CSV, JSON and a picture, and prints the table.

    Returns the accuracy after ``task.layer``, the mean over all checkpoints, 0 … 1.
    """
    with logging_to_console():
        files = checkpoints(cfg)
        if cfg.data is None:
            raise UserError("data is missing: type for example data=cifar10 data.path=….")
        data = instantiate(cfg, "data")
        check_one_device(cfg.train, "probe")
        settings = OmegaConf.to_container(cfg.probe, resolve=True)
        protocol = protocol_digest(settings, data, cfg.seed)  # a wrong path is said now
        folder = Path(cfg.targetpath) if cfg.targetpath else files[0].parents[1] / FOLDER
        scores = [score_of(file, cfg, data, protocol) for file in files]
        name = "-".join([data.name, *name_parts(files), protocol])
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / f"{name}.json", scores)
            write_csv(folder / f"{name}.csv", scores)
            draw(folder / f"{name}.png", scores)
        except OSError as error:
            raise UserError(
                f"targetpath={folder} cannot be written ({error.strerror}): type another."
            ) from None
        log.info("%s", table(scores))
        if any(layer.ten_crop is not None for layer in scores[0].layers):
            log.info("Ten crops:\n%s", table(scores, "ten_crop"))
        log.info("Scores:  %s", folder / f"{name}.json")
        log.info("Picture: %s", folder / f"{name}.png")
        return accuracy_of(scores, cfg.task.layer)


def accuracy_of(scores: list[RunScore], layer: str | None) -> float:
    """The mean accuracy of several runs after one of their convolutions, the last one for None."""
    number = len(scores[0].layers) if layer is None else int(layer.removeprefix("conv"))
    found = [one.accuracy for score in scores for one in score.layers if one.layer == number]
    if not found:
        raise UserError(
            f"task.layer={layer} is none of the layers that were probed: type one from conv1 to "
            f"conv{len(scores[0].layers)}."
        )
    return fmean(found)


def checkpoints(cfg: DictConfig) -> list[Path]:
    """The files that ``task.checkpoint`` names: one text, or a list of them."""
    named = cfg.task.checkpoint
    if named is None:
        raise UserError(
            "task.checkpoint is missing: type task.checkpoint=<folder of a task=pretrain>, or a "
            "list of them, 'task.checkpoint=[a,b]'."
        )
    names = [named] if isinstance(named, str) else list(named)
    files = [checkpoint_file(Path(file_path(name))) for name in names]
    rows = [(row_name(decides, file), decides["seed"]) for decides, file in
            ((load_record(file.parents[1])["decides"], file) for file in files)]  # fmt: skip
    twice = next((file for k, file in enumerate(files) if rows[k] in rows[:k]), None)
    if twice is not None:
        raise UserError(
            f"task.checkpoint={named} names a training of the same settings and the same seed "
            f"twice ({twice.parents[1]}), which is no second run: leave one out."
        )
    return files


def name_parts(files: list[Path]) -> list[str]:
    """What is probed, for names of files: ``last``, or of several their number and a digest."""
    if len(files) == 1:
        return [files[0].stem]
    return [f"{len(files)}-runs", sha256(canonical(list(map(str, files))).encode()).hexdigest()[:4]]


def score_of(file: Path, cfg: DictConfig, data: Labelled, protocol: str) -> RunScore:
    """From the file of an earlier run on the same checkpoint, or computed now."""
    digest = sha256(file.read_bytes()).hexdigest()[:8]
    scored = file.parents[1] / FOLDER / f"{data.name}-{protocol}-{digest}.json"
    if scored.exists():
        return read_json(scored)[0]
    trunk, network, record = load_trunk(file, tuple(cfg.trusted_modules))
    device = open_fabric(cfg.train).device
    log.info("%s: probes after %d convolutions.", file.parents[1].name, len(trunk.stages))
    scored.parent.mkdir(exist_ok=True)
    own = instantiate(cfg, "probe")
    layers = own.run(
        trunk, network, data, device=device, seed=cfg.seed, state_file=scored.with_suffix(".pt")
    )
    if not isinstance(layers, list) or not all(isinstance(one, LayerScore) for one in layers):
        raise misfit(f"{type(own).__name__}.run", layers, "a list of LayerScore")
    decides = record["decides"]
    score = RunScore(row_name(decides, file), decides["seed"], data.name, tuple(layers))
    write_json(scored, [score])
    scored.with_suffix(".pt").unlink(missing_ok=True)
    return score


def row_name(decides: dict[str, Any], file: Path) -> str:
    """What runs that differ in their seed alone have in common: ``rotnet, rendered (1f2e)``."""
    inputs = decides["inputs"]
    images = str(inputs.get("data") or next(iter(inputs)))
    same = {**decides, "seed": None, "inputs": _seedless(inputs)}
    digest = sha256(canonical(same).encode()).hexdigest()[:4]
    part = "" if file.name == LAST else f", {file.stem}"
    return f"{decides['method']['name']}, {images}{part} ({digest})"


def _seedless(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _seedless(v) for k, v in value.items() if k not in ("seed", "chosen_by")}
    return value
