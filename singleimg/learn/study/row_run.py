"""Makes one row: trains, probes, writes the scores down; goes on after a stop, and never twice."""

from __future__ import annotations

import gc
import json
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from singleimg.config.compose import compose
from singleimg.config.make import instantiate
from singleimg.config.paths import escape
from singleimg.dataset.recipe import canonical
from singleimg.learn.probes.base import protocol_digest
from singleimg.learn.probes.scores import RunScore, read_json, write_json
from singleimg.learn.study.design import EARLY, THIRDS, Row
from singleimg.learn.training import checkpoints
from singleimg.learn.training.devices import open_fabric
from singleimg.learn.training.run import Run, describe_run, train
from singleimg.learn.training.trunk import load_trunk
from singleimg.storage.local import LocalStore
from singleimg.system.malloc import give_back_memory

SECONDS = "seconds.json"


@dataclass(frozen=True)
class RowTask:
    """A row to make: where, and the study's own configuration as JSON."""

    row: Row
    folder: Path
    study: str
    threads: int  # of torch, for this row


@dataclass(frozen=True)
class RowResult:
    """Scores at the end, and by fraction of the training where they were taken earlier."""

    row: Row
    score: RunScore
    early: dict[float, RunScore]
    minutes: float
    losses: dict[str, float]


def make_row(task: RowTask) -> RowResult:
    """Trains and probes what is not there yet."""
    torch.set_num_threads(task.threads)
    row, cfg = task.row, OmegaConf.create(json.loads(task.study))
    run = describe_run(row_config(row, task.folder, cfg))
    trained = train(run)
    clock = Clock(run.folder / SECONDS, run.fingerprint)
    clock.record("training", trained.seconds)
    score = _probe(run, row, cfg, checkpoints.LAST, None, clock)
    early = {
        fraction: _probe(run, row, cfg, checkpoints.name_at(fraction), EARLY, clock)
        for fraction in (THIRDS if row.early else ())
    }
    gc.collect()
    give_back_memory()  # joblib ends a worker that seems to leak
    return RowResult(row, score, early, clock.minutes, trained.metrics)


def row_config(row: Row, folder: Path, study: DictConfig) -> DictConfig:
    """The configuration of a row's training: as typed, with the study's image, network and data."""
    keep = ",".join(f"{part:.6f}" for part in THIRDS) if row.early else ""
    cfg = compose(
        "task=pretrain", f"task.keep=[{keep}]", "task.tensorboard=false",
        "task.insist=true",  # the study's own control says whether rotations are given away
        f"augment={study.augment.name}", f"img_size={study.network.size}",
        *row.overrides, "threads=1",
    )  # fmt: skip
    OmegaConf.set_struct(cfg, False)
    cfg.targetpath = escape(str(folder))
    for key in ("image", "imgpath", "max_pixels", "network", "engine"):
        cfg[key] = study[key]
    cfg.data = study.data if row.full else None
    cfg.trusted_modules = study.trusted_modules
    for key, value in study.train.items():
        cfg.train[key] = value
    return cfg


def _probe(
    run: Run, row: Row, cfg: DictConfig, name: str, layers: list[int] | None, clock: Clock
) -> RunScore:
    data = instantiate(cfg, "data")
    protocol = OmegaConf.to_container(cfg.probe, resolve=True)
    decides = [run.fingerprint, protocol_digest(protocol, data, cfg.seed), layers]
    digest = sha256(canonical(decides).encode()).hexdigest()[:8]
    file = run.folder / f"scores-{name.removesuffix('.pt')}-{digest}.json"
    if file.exists():
        return read_json(file)[0]
    begin = time.perf_counter()
    trunk, network, _ = load_trunk(run.folder / checkpoints.FOLDER / name, cfg.trusted_modules)
    scores = instantiate(cfg, "probe").run(
        trunk, network, data, device=open_fabric(cfg.train).device, seed=row.seed, layers=layers
    )
    score = RunScore(row.name, row.seed, data.name, tuple(scores))
    write_json(file, [score])
    clock.record(file.stem, time.perf_counter() - begin)
    return score


class Clock:
    """Seconds that the parts of a row took, in a file: a row that was stopped resumes."""

    def __init__(self, file: Path, fingerprint: str) -> None:
        try:
            written = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # none yet, or damaged: it only counts
            written = {}
        self.file, self.fingerprint = file, fingerprint
        self.parts = written.get("seconds", {}) if written.get("fingerprint") == fingerprint else {}

    @property
    def minutes(self) -> float:
        """Of all parts."""
        return sum(self.parts.values()) / 60

    def record(self, part: str, seconds: float) -> None:
        """Writes down how long a part took."""
        self.parts[part] = seconds
        text = json.dumps({"fingerprint": self.fingerprint, "seconds": self.parts})
        LocalStore(self.file.parent).write(self.file.name, text + "\n")
