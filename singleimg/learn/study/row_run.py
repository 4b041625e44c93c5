"""Makes one row: trains, probes, writes the scores down; goes on after a stop, and never twice."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from singleimg.config.compose import compose
from singleimg.config.make import instantiate
from singleimg.config.paths import escape
from singleimg.dataset.recipe import canonical
from singleimg.learn.distil.compare import STUDENT, TEACHER, classes_said, shares
from singleimg.learn.probes.base import protocol_digest
from singleimg.learn.probes.images import split_images
from singleimg.learn.probes.knn import Nearest
from singleimg.learn.probes.pretext import pretext_accuracy
from singleimg.learn.probes.recomputed import recompute_statistics
from singleimg.learn.probes.scores import RunScore, read_json, write_json
from singleimg.learn.study.design import TEACHER_ROW, Row
from singleimg.learn.training import checkpoints
from singleimg.learn.training.devices import open_fabric
from singleimg.learn.training.run import Run, describe_run, train
from singleimg.learn.training.trunk import load_method
from singleimg.storage.local import LocalStore
from singleimg.system.malloc import give_back_memory

SECONDS = "seconds.json"
TEACHER_FOLDER = TEACHER_ROW.folder


@dataclass(frozen=True)
class RowTask:
    """A row to make: where, and the study's own configuration as JSON."""

    row: Row
    folder: Path
    study: str
    threads: int  # of torch, for this row


@dataclass(frozen=True)
class RowResult:
    """What is known of a row.

    score: of its linear probes; recomputed: of those with the labelled set's BatchNorm statistics.
    facts: shares by their names. Of a trunk ``knn`` (last layer), and ``pretext, own images`` and
    ``pretext, real images`` where the method has answers to check; of a student its accuracy, its
    teacher's, and how often they say the same (``student``, ``teacher``, ``agreement``).
    """

    row: Row
    score: RunScore | None
    recomputed: RunScore | None
    facts: dict[str, float]
    minutes: float


def make_row(task: RowTask) -> RowResult:
    """Trains what is not there yet, and reads of it what its role asks for."""
    torch.set_num_threads(task.threads)
    row, cfg = task.row, OmegaConf.create(json.loads(task.study))
    run = describe_run(row_config(row, task.folder, cfg))
    trained = train(run)
    clock = Clock(run.folder / SECONDS, run.fingerprint)
    clock.record("training", trained.seconds)
    reading = Reading(run, row, cfg, clock)
    score = recomputed = None
    facts: dict[str, float] = {}
    if row.role == "trunk":
        score = reading.scores()
        recomputed = reading.scores(recomputed=True) if row.recomputed else None
        facts = reading.facts(reading.why)
    elif row.role == "student":
        facts = reading.facts(reading.classified)
    gc.collect()
    give_back_memory()  # joblib ends a worker that seems to leak
    return RowResult(row, score, recomputed, facts, clock.minutes)


def row_config(row: Row, folder: Path, study: DictConfig) -> DictConfig:
    """The configuration of a row's training: as typed, with the study's image, network and data."""
    taught = [f"method.teacher={escape(str(folder.parent / TEACHER_FOLDER))}"]
    cfg = compose(
        "task=pretrain", "task.tensorboard=false",
        "task.insist=true",  # the study's own control says whether rotations are given away
        f"augment={study.augment.name}", f"img_size={study.network.size}",
        *row.overrides, *(taught if row.role == "student" else ()), "threads=1",
    )  # fmt: skip
    OmegaConf.set_struct(cfg, False)
    cfg.targetpath = escape(str(folder))
    own = {one.partition("=")[0].partition(".")[0] for one in row.overrides}
    for key in ("image", "imgpath", "max_pixels", "network", "engine"):
        if key not in own:
            cfg[key] = study[key]
    cfg.data = study.data if row.labelled else None
    cfg.trusted_modules = study.trusted_modules
    for key, value in study.train.items():
        cfg.train[key] = value
    return cfg


class Reading:
    """What is read of the last checkpoint of a training, each once: it is kept in its folder."""

    def __init__(self, run: Run, row: Row, cfg: DictConfig, clock: Clock) -> None:
        self.run, self.row, self.cfg, self.clock = run, row, cfg, clock
        self.data, self.probe = instantiate(cfg, "data"), instantiate(cfg, "probe")
        self.device = open_fabric(cfg.train).device
        protocol = OmegaConf.to_container(cfg.probe, resolve=True)
        self._decides = [run.fingerprint, protocol_digest(protocol, self.data, row.seed)]

    def scores(self, recomputed: bool = False) -> RunScore:
        """Of the linear probes."""
        file = self._file("recomputed" if recomputed else "scores")
        if file.exists():
            return read_json(file)[0]

        def probed() -> RunScore:
            method, network, _ = self._method()
            trunk = method.trunk
            if recomputed:
                images, _ = split_images(self.data, "train", network.size, self.probe.images)
                trunk = recompute_statistics(trunk, images, network.size, self.device)
            layers = self.probe.run(
                trunk, network, self.data, device=self.device, seed=self.row.seed
            )
            return RunScore(self.row.name, self.row.seed, self.data.name, tuple(layers))

        score = self._timed(file, probed)
        write_json(file, [score])
        return score

    def facts(self, read: Callable[[], dict[str, float]]) -> dict[str, float]:
        """What ``read`` says, or said before."""
        file = self._file(read.__name__)
        if file.exists():
            return dict(json.loads(file.read_text(encoding="utf-8")))
        facts = self._timed(file, read)
        LocalStore(file.parent).write(file.name, json.dumps(facts) + "\n")
        return facts

    def why(self) -> dict[str, float]:
        """Nearest neighbours at the last layer, and accuracy at the method's own question."""
        method, network, _ = self._method()
        last = method.trunk.depth - 1
        knn = Nearest(images=self.probe.images, scored_on=self.probe.scored_on)
        (nearest,) = knn.run(method.trunk, network, self.data, device=self.device, layers=[last])
        found = {"knn": nearest.accuracy}
        part = "test" if self.probe.scored_on == "test" else "train"
        real, _ = split_images(self.data, part, network.size, self.probe.images)
        own = self.run.inputs.open(1, float("inf"))
        for name, images in (("pretext, own images", own), ("pretext, real images", real)):
            share = pretext_accuracy(method, images, network.size, self.device)
            if share is not None:
                found[name] = share
        return found

    def classified(self) -> dict[str, float]:
        """A student's accuracy on the test images, its teacher's, and how often they agree."""
        assert self.run.teacher is not None
        method, network, _ = self._method()
        models = {TEACHER: self.run.teacher.model.to(self.device), STUDENT: method.to(self.device)}
        said = classes_said(
            models, self.data, network.size, self.device, workers=1, memory=float("inf")
        )
        found = shares(said, self.data)
        accuracy, agreement = found[STUDENT]
        return {"student": accuracy, "teacher": found[TEACHER][0], "agreement": agreement}

    def _method(self) -> Any:
        checkpoint = self.run.folder / checkpoints.FOLDER / checkpoints.LAST
        return load_method(checkpoint, self.cfg.trusted_modules)

    def _file(self, what: str) -> Path:
        digest = sha256(canonical([*self._decides, what]).encode()).hexdigest()[:8]
        return self.run.folder / f"{what}-{digest}.json"

    def _timed(self, file: Path, read: Callable[[], Any]) -> Any:
        begin = time.perf_counter()
        result = read()
        self.clock.record(file.stem, time.perf_counter() - begin)
        return result


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
