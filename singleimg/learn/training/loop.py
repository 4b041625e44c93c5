"""The loop: update after update from wherever the last checkpoint is, to the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from singleimg.learn.data.batches import Images, cut
from singleimg.learn.methods.base import SHOWN, Method, whole
from singleimg.learn.methods.train_state import Work
from singleimg.learn.training import checkpoints
from singleimg.learn.training.journal import Journal, stretched
from singleimg.system.logs import log


@dataclass(frozen=True)
class Rhythm:
    """How often things are written down. log_every, checkpoint_every: updates; the latter beside
    the end of each epoch. keep: fractions of the training whose checkpoints stay."""

    log_every: int = 20
    checkpoint_every: int = 500
    keep: Sequence[float] = ()
    tensorboard: bool = True


@dataclass
class Epoch:
    """Where a run is within an epoch: what is still to come, and what was said of what is done."""

    number: int
    order: np.ndarray  # indices of images, n×batch
    done: int = 0  # batches
    sums: dict[str, float] = field(default_factory=dict)

    def add(self, values: dict[str, float]) -> None:
        """One more update."""
        self.done += 1
        for key, value in values.items():
            self.sums[key] = self.sums.get(key, 0.0) + value

    def means(self) -> dict[str, float]:
        """Of all updates so far."""
        return {key: value / max(self.done, 1) for key, value in self.sums.items()}


class Training:
    """One run. ``method`` is built and on its device, ``fabric`` launched, ``folder`` there."""

    def __init__(
        self,
        method: Method,
        images: Images,
        work: Work,
        folder: Path,
        *,
        size: int,
        rhythm: Rhythm,
        fingerprint: str,
    ) -> None:
        self.method, self.images, self.work, self.folder = method, images, work, folder
        self.size, self.rhythm, self.fingerprint = size, rhythm, fingerprint
        self.total = method.total_updates(len(images))
        self.epoch: Epoch | None = None
        self.epochs, self.best = 0, float("inf")  # whole epochs done, the best of them
        self.metrics: dict[str, float] = {}
        self.seconds = 0.0  # of this and earlier processes

    @property
    def fraction(self) -> float:
        """Of the training that is done."""
        return self.work.step / self.total if self.total else 1.0

    def run(self) -> None:
        """To the end; a checkpoint is left at each epoch's, and every so many updates."""
        begin = time.perf_counter() - self.seconds
        self.method.train()
        if self._chief:
            self.journal = Journal(self.folder, self.work.step, self.rhythm.tensorboard)
        keeps = {round(part * self.total): part for part in self.rhythm.keep}
        with tqdm(
            total=self.total, initial=self.work.step, unit="update",
            disable=None if self._chief else True,
        ) as self.bar:  # fmt: skip
            try:
                while self.work.step < self.total:
                    self._epoch(begin, keeps)
                if not self.total:
                    self._save(checkpoints.LAST)
            finally:
                if self._chief:
                    self.journal.close()
        self.seconds = time.perf_counter() - begin

    @property
    def _chief(self) -> bool:
        return self.work.fabric.is_global_zero

    def _epoch(self, begin: float, keeps: dict[int, float]) -> None:
        if self.epoch is None:
            order = self.method.order(self.epochs, self.images, self.work)
            order = cut(order, self.method.images_an_update)
            self.epoch = Epoch(self.epochs, order)
        epoch = self.epoch
        self.clock = time.perf_counter(), self.work.step
        left = self.total - self.work.step
        todo = epoch.order[epoch.done : epoch.done + left]
        share = [
            batch[self.work.fabric.global_rank :: self.work.fabric.world_size] for batch in todo
        ]
        for indices, pixels in zip(share, self.images.batches(share), strict=True):
            self._update(pixels, torch.from_numpy(indices))
            self.seconds = time.perf_counter() - begin
            if self.work.step in keeps:
                self._save(checkpoints.kept(keeps[self.work.step]))
            if self.work.step % self.rhythm.checkpoint_every == 0 and epoch.done < len(epoch.order):
                self._save(checkpoints.LAST)
        self._end_epoch(epoch)

    def _update(self, pixels: Tensor, places: Tensor) -> None:
        work, method = self.work, self.method
        method.schedule(self.fraction)
        images = pixels.to(work.device, non_blocking=True).float() / 255
        images = method.augment(images, self.size, work.generator("augment"))
        labels = self.images.labels[places].to(work.device)
        said = method.update(images, places, labels, work)
        work.step += 1
        values = {key: float(value) for key, value in said.items()}
        self.epoch.add(values)
        self.bar.update()
        if work.step % self.rhythm.log_every == 0 or work.step == self.total:
            self._log(values)

    def _log(self, values: dict[str, float]) -> None:
        then, step = self.clock
        now = time.perf_counter()
        speed = (self.work.step - step) * self.method.images_an_update / max(now - then, 1e-9)
        self.clock = now, self.work.step
        lr = next((o.param_groups[0]["lr"] for o in self.method.optimizers.values()), 0.0)
        self.bar.set_postfix_str(
            " ".join(f"{key} {value:.3f}" for key, value in values.items())
            + f", {speed:.0f} images/s"
        )
        if self._chief:
            state = {"epoch": self.epochs, **values, "lr": lr, "gradient_norm": self.work.norm}
            self.journal.update(self.work.step, {**state, "images_per_second": speed})

    def _end_epoch(self, epoch: Epoch) -> None:
        self.metrics = self.work.means({**epoch.means(), **self.method.end_epoch()})
        self.epochs += 1
        self.epoch = None
        watched = self.metrics[self.method.watched]
        better = watched < self.best
        self.best = min(self.best, watched)
        if self._chief:
            self.journal.epoch(self.work.step, {"epoch": self.epochs, **self.metrics})
            self._draw()
        if better:
            self._save(checkpoints.BEST)
        self._save(checkpoints.LAST)

    def _draw(self) -> None:
        pixels = next(iter(self.images.batches([np.arange(min(SHOWN, len(self.images)))])))
        shown = whole(pixels.to(self.work.device).float() / 255, self.size)
        pictures = dict(self.method.pictures(shown))
        first = next(m for m in self.method.trunk.modules() if isinstance(m, torch.nn.Conv2d))
        pictures["filters"] = stretched(first.weight)
        for name, images in pictures.items():
            self.journal.picture(name, self.work.step, self.epochs, images)

    # --- checkpoints -----------------------------------------------------------------------------

    def _save(self, name: str) -> None:
        state = self.state()  # of all devices
        if self._chief:
            checkpoints.save(self.folder / checkpoints.FOLDER / name, state)
        self.work.fabric.barrier()

    def state(self) -> dict[str, Any]:
        """All that decides what comes next; each of several devices has to ask."""
        epoch = self.epoch
        return {
            "fingerprint": self.fingerprint,
            "method": self.method.state_dict(),
            "optimizers": {k: o.state_dict() for k, o in self.method.optimizers.items()},
            "step": self.work.step,
            "epochs": self.epochs,
            "best": self.best,
            "seconds": self.seconds,
            "metrics": self.metrics,
            "epoch": None if epoch is None else {
                "number": epoch.number,
                "order": torch.from_numpy(epoch.order),
                "done": epoch.done,
                "sums": epoch.sums,
            },
            "random": self.work.random_states(),
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Goes back to where :meth:`state` was said."""
        self.method.load_state_dict(state["method"])
        for key, optimizer in self.method.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][key])
        self.work.step, self.epochs = state["step"], state["epochs"]
        self.best, self.seconds = state["best"], state["seconds"]
        self.metrics, epoch = state["metrics"], state["epoch"]
        if epoch is not None:
            self.epoch = Epoch(
                epoch["number"], epoch["order"].numpy(), epoch["done"], epoch["sums"]
            )
        self.work.set_random_state(state["random"])
        log.info("Goes on after update %s.", f"{self.work.step:,}")
