"""``task=probe``: one training or several, after each convolution, on a labelled set."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from singleimg import config
from singleimg.errors import UserError
from singleimg.logs import log, logging_to_console
from singleimg.pretrain.devices import open_fabric
from singleimg.pretrain.task import checkpoint_file, load_record, load_trunk
from singleimg.probe.chart import draw
from singleimg.probe.scores import RunScore, read_json, table, write_csv, write_json
from singleimg.recipe import canonical

FOLDER = "probes"


def probe(cfg: DictConfig) -> None:
    """Probes what was not probed yet; leaves CSV, JSON and a picture, and prints the table."""
    with logging_to_console():
        files = checkpoints(cfg)
        if cfg.data is None:
            raise UserError("data is missing: type for example data=cifar10 data.path=….")
        data = config.instantiate(cfg, "data")
        for split in (data.train, data.test):  # a wrong path is said now
            split()
        folder = Path(cfg.targetpath) if cfg.targetpath else files[0].parents[1] / FOLDER
        scores = [score_of(file, cfg) for file in files]
        name = f"{data.name}-{mark(cfg)}" if len(files) == 1 else f"{data.name}-{len(files)}-runs"
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


def checkpoints(cfg: DictConfig) -> list[Path]:
    """The files that ``checkpoint`` names: one text, or a list of them."""
    named = cfg.checkpoint
    if named is None:
        raise UserError(
            "checkpoint is missing: type checkpoint=<folder of a task=pretrain>, or a list of "
            "them, checkpoint=[a,b]."
        )
    names = [named] if isinstance(named, str) else list(named)
    files = [checkpoint_file(Path(str(name)).expanduser().absolute()) for name in names]
    for file in files:
        load_record(file.parents[1])
    return files


def mark(cfg: DictConfig) -> str:
    """Eight letters that tell this protocol from others."""
    protocol = OmegaConf.to_container(cfg.probe, resolve=True)
    return sha256(canonical([protocol, cfg.seed]).encode()).hexdigest()[:8]


def score_of(file: Path, cfg: DictConfig) -> RunScore:
    """From the file of an earlier run on the same checkpoint, or computed now."""
    data = config.instantiate(cfg, "data")
    digest = sha256(file.read_bytes()).hexdigest()[:8]
    kept = file.parents[1] / FOLDER / f"{data.name}-{mark(cfg)}-{digest}.json"
    if kept.exists():
        return read_json(kept)[0]
    trunk, network, record = load_trunk(file, tuple(cfg.trusted_modules))
    device = open_fabric(cfg.train).device
    log.info("%s: probes after %d convolutions.", file.parents[1].name, len(trunk.stages))
    kept.parent.mkdir(exist_ok=True)
    layers = config.instantiate(cfg, "probe").run(
        trunk, network, data, device=device, seed=cfg.seed, kept=kept.with_suffix(".pt")
    )
    decides = record["decides"]
    score = RunScore(row_name(decides), decides["seed"], data.name, tuple(layers))
    write_json(kept, [score])
    kept.with_suffix(".pt").unlink(missing_ok=True)
    return score


def row_name(decides: dict[str, Any]) -> str:
    """What runs that differ in their seed alone have in common: ``rotnet, rendered``."""
    inputs = decides["inputs"]
    images = str(inputs.get("data") or next(iter(inputs)))
    same = {**decides, "seed": None, "inputs": _seedless(inputs)}
    mark = sha256(canonical(same).encode()).hexdigest()[:4]
    return f"{decides['method']['name']}, {images} ({mark})"


def _seedless(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            k: _seedless(v) for k, v in value.items() if k not in ("seed", "chosen_by", "stored")
        }
    return value
