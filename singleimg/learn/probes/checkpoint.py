"""The score of one checkpoint, kept beside it: what was probed once is not probed again."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from statistics import fmean
from typing import Any

from omegaconf import DictConfig, OmegaConf

from singleimg.config.make import instantiate
from singleimg.dataset.recipe import canonical
from singleimg.errors import UserError, misfit
from singleimg.learn.data.base import Labelled
from singleimg.learn.probes.base import protocol_digest
from singleimg.learn.probes.scores import LayerScore, RunScore, read_json, write_json
from singleimg.learn.training.checkpoints import LAST
from singleimg.learn.training.devices import check_one_device, open_fabric
from singleimg.learn.training.trunk import load_method
from singleimg.system.logs import log

FOLDER = "probes"


def probed_on(cfg: DictConfig, task: str) -> tuple[Labelled, str]:
    """The labelled set of ``cfg``, and the digest of the protocol on it: a mistake is said now."""
    if cfg.data is None:
        raise UserError("data is missing: type for example data=cifar10 data.path=….")
    data = instantiate(cfg, "data")
    check_one_device(cfg.train, task)
    settings = OmegaConf.to_container(cfg.probe, resolve=True)
    return data, protocol_digest(settings, data, cfg.seed)


def score_of(file: Path, cfg: DictConfig, data: Labelled, protocol: str) -> RunScore:
    """From the file of an earlier run on the same checkpoint, or computed now."""
    digest = sha256(file.read_bytes()).hexdigest()[:8]
    scored = file.parents[1] / FOLDER / f"{data.name}-{protocol}-{digest}.json"
    if scored.exists():
        return read_json(scored)[0]
    method, network, record = load_method(file, cfg.trusted_modules)
    trunk = method.trunk
    device = open_fabric(cfg.train).device
    log.info("%s: probes after %d layers.", file.parents[1].name, trunk.depth)
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


def accuracy_of(scores: list[RunScore], layer: str | None) -> float:
    """The mean accuracy of several runs after one of their convolutions, the last one for None."""
    probed = [one.layer for one in scores[0].layers]
    number = layer_number(layer, max(probed))
    if number not in probed:
        raise UserError(
            f"task.layer={layer} was not probed: type one of "
            f"{', '.join(f'conv{one}' for one in probed)}."
        )
    return fmean(one.accuracy for score in scores for one in score.layers if one.layer == number)


def layer_number(layer: str | None, layers: int) -> int:
    """``task.layer`` as a number, 1 … ``layers``: 2 for conv2, the last for None."""
    number = layers if layer is None else int(layer.removeprefix("conv"))
    if number > layers:
        raise UserError(
            f"task.layer={layer} is not a layer of the network: type one from conv1 to "
            f"conv{layers}."
        )
    return number
