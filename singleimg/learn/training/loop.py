"""The loop: update after update from wherever the last checkpoint is, to the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from singleimg.learn.data.batches import Images, whole_batches
from singleimg.learn.data.crops import centre
from singleimg.learn.methods.base import SHOWN, Method
from singleimg.learn.methods.train_state import TrainState
from singleimg.learn.training import checkpoints
from singleimg.learn.training.journal import Journal, stretch_filters
from singleimg.system.bars import Bar
from singleimg.system.figures import duration, size
from singleimg.system.logs import log

_MEASURED = 2.0  # seconds of updates by which the rest is told


@dataclass(frozen=True)
class LogSettings:
    """What a training writes, and how often.

    log_every, checkpoint_every: updates; the latter beside the end of each epoch. keep: fractions
    of the training whose checkpoints stay.
    """

    log_every: int = 20
    checkpoint_every: int = 500
    keep: Sequence[float] = ()
    tensorboard: bool = True


@dataclass
class Epoch:
    """Where a run is within an epoch: the batches of it, and the sums of what was measured."""

    number: int
    order: np.ndarray  # indices of images, n×batch
    done: int = 0  # batches
    sums: dict[str, Any] = field(default_factory=dict)  # tensors on the device, or numbers

    def add(self, metrics: Mapping[str, Any]) -> None:
        """Those of one more update; waits for no device."""
        self.done += 1
        for key, value in metrics.items():
            self.sums[key] = self.sums.get(key, 0.0) + value

    def totals(self) -> dict[str, float]:
        """The sums as numbers."""
        return {key: float(value) for key, value in self.sums.items()}

    def means(self) -> dict[str, float]:
        """Of all updates so far."""
        return {key: value / max(self.done, 1) for key, value in self.totals().items()}


class Pace:
    """Says once, by the first updates of this process, how long those that are left will take."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._first: tuple[float, int] | None = None  # when the first update was done, and which
        self._said = False

    def begin_epoch(self) -> None:
        """Before the first update of an epoch, for which more is done than for others."""
        if self._first is None:
            self._begin = time.perf_counter()

    def after(self, step: int, an_epoch: int) -> None:
        """After update ``step`` of ``an_epoch`` each."""
        now = time.perf_counter()
        if self._first is None:
            self._first = now, step
            return
        then, first = self._first
        if self._said or step == self.total or now - then < _MEASURED:
            return
        self._said = True
        left = self.total - step
        each, once = (now - then) / (step - first), then - self._begin
        log.info(
            "The first %d updates say: about %s for the %s that are left; this process takes %s.",
            step - first + 1, duration(each * left + once * (left // max(an_epoch, 1))),
            f"{left:,}", memory_taken(),
        )  # fmt: skip


def memory_taken() -> str:
    """The most that this process, and its GPU if it has one, has taken of memory so far."""
    try:
        from resource import RUSAGE_SELF, getrusage
    except ModuleNotFoundError:  # Windows
        return "an unknown amount of memory"
    unit = 1 if sys.platform == "darwin" else 1024
    taken = f"{size(getrusage(RUSAGE_SELF).ru_maxrss * unit)} of memory"
    if torch.cuda.is_initialized():
        taken += f", and {size(torch.cuda.max_memory_allocated())} of the GPU's"
    return taken


class Training:
    """One run. ``method`` is built and on its device, ``folder`` there."""

    def __init__(
        self,
        method: Method,
        images: Images,
        state: TrainState,
        folder: Path,
        *,
        size: int,
        log_settings: LogSettings,
        fingerprint: str,
    ) -> None:
        self.method, self.state, self.folder = method, state, folder
        self.images = images.on(state.device)
        self.size, self.log_settings, self.fingerprint = size, log_settings, fingerprint
        self.is_main = state.fabric.is_global_zero  # the process that writes
        self.total = method.total_updates(len(images))
        self.epoch: Epoch | None = None
        self.epochs, self.best = 0, float("inf")  # whole epochs done, the best of them
        self.metrics: dict[str, float] = {}
        self.pace = Pace(self.total)
        self.seconds = 0.0  # to the last update, of this and earlier processes
        self._looked = [0.0, 0.0]  # seconds of augment and of all, in the updates that are logged

    def run(self) -> None:
        """To the end; a checkpoint is left at each epoch's, and every so many updates."""
        begin = time.perf_counter() - self.seconds
        self.method.train()
        if self.is_main:
            self.journal = Journal(self.folder, self.state.step, self.log_settings.tensorboard)
        with Bar(
            self.total, "update", done=self.state.step, again=True, shown=self.is_main
        ) as self.bar:
            try:
                while self.state.step < self.total:
                    self._train_epoch(begin)
                if not self.total:
                    self._save(checkpoints.LAST)
            finally:
                if self.is_main:
                    self.journal.close()

    def _train_epoch(self, begin: float) -> None:
        self.pace.begin_epoch()
        if self.epoch is None:
            order = self.method.order(self.epochs, self.images, self.state)
            self.epoch = Epoch(self.epochs, whole_batches(order, self.method.images_an_update))
        epoch, fabric, settings = self.epoch, self.state.fabric, self.log_settings
        keep = {round(fraction * self.total): fraction for fraction in settings.keep}
        self.clock = time.perf_counter(), self.state.step
        left = self.total - self.state.step
        todo = epoch.order[epoch.done : epoch.done + left]
        share = [batch[fabric.global_rank :: fabric.world_size] for batch in todo]
        for indices, pixels in zip(share, self.images.batches(share), strict=True):
            metrics = self._update(pixels, torch.from_numpy(indices))
            epoch.add(metrics)
            self.bar.update()
            step = self.state.step
            if self.is_main:
                self.pace.after(step, len(epoch.order))
            if step % settings.log_every == 0 or step == self.total:
                self._log(metrics)
            self.seconds = time.perf_counter() - begin
            if step in keep:
                self._save(checkpoints.name_at(keep[step]))
            if step % settings.checkpoint_every == 0 and epoch.done < len(epoch.order):
                self._save(checkpoints.LAST)
        self._end_epoch(epoch)

    def _update(self, pixels: Tensor, indices: Tensor) -> dict[str, Any]:
        """One update, which asks the device for nothing: it would have to wait for the answer."""
        state, method = self.state, self.method
        looked = (state.step + 1) % self.log_settings.log_every == 0
        begin = self._now(looked)
        method.schedule(state.step / self.total)
        images = pixels.to(state.device, non_blocking=True).float() / 255
        images = method.augment(images, self.size, state.generator("augment"))
        augmented = self._now(looked)
        indices = indices.to(state.device, non_blocking=True)
        labels = self.images.labels[indices]
        metrics = method.check_metrics(method.update(images, indices, labels, state))
        state.step += 1
        if looked:
            self._looked[0] += augmented - begin
            self._looked[1] += self._now(looked) - begin
        return {
            key: value.detach() if isinstance(value, Tensor) else value
            for key, value in metrics.items()
        }

    def _now(self, wait: bool) -> float:
        """Seconds; with ``wait`` when the device has done all that it was asked for."""
        if wait and self.state.device.type == "cuda":
            torch.cuda.synchronize(self.state.device)
        return time.perf_counter()

    @property
    def augmenting(self) -> float:
        """The share of an update that its crops or views take, by the updates that are logged."""
        return self._looked[0] / max(self._looked[1], 1e-9)

    def _log(self, said: Mapping[str, Any]) -> None:
        self.state.check()
        metrics = {key: float(value) for key, value in said.items()}
        then, step = self.clock
        now = time.perf_counter()
        speed = (self.state.step - step) * self.method.images_an_update / max(now - then, 1e-9)
        self.clock = now, self.state.step
        shown = " ".join(f"{key} {value:.3f}" for key, value in metrics.items())
        self.bar.note = f"{shown}, {speed:.0f} images/s"
        if self.is_main:
            lr = next((o.param_groups[0]["lr"] for o in self.method.optimizers.values()), 0.0)
            self.journal.update(self.state.step, {
                "epoch": self.epochs, **metrics, "lr": lr, "gradient_norm": float(self.state.norm),
                "images_per_second": speed,
            })  # fmt: skip

    def _end_epoch(self, epoch: Epoch) -> None:
        self.state.check()
        self.metrics = self.state.means({**epoch.means(), **self.method.end_epoch()})
        self.epochs += 1
        self.epoch = None
        watched = self.metrics[self.method.watched]
        better = watched < self.best
        self.best = min(self.best, watched)
        if self.is_main:
            self.journal.epoch(self.state.step, {"epoch": self.epochs, **self.metrics})
            pixels = next(iter(self.images.batches([np.arange(min(SHOWN, len(self.images)))])))
            shown = centre(pixels.to(self.state.device).float() / 255, self.size)
            pictures = dict(self.method.pictures(shown))
            modules = self.method.trunk.modules()
            first = next((m for m in modules if isinstance(m, nn.Conv2d)), None)
            if first is not None:  # a transformer may have none
                pictures["filters"] = stretch_filters(first.weight)
            for name, images in pictures.items():
                self.journal.picture(name, self.state.step, self.epochs, images)
        if better:
            self._save(checkpoints.BEST)
        self._save(checkpoints.LAST)

    # --- checkpoints -----------------------------------------------------------------------------

    def _save(self, name: str) -> None:
        self.state.check()  # what is saved is a good state
        state = self.state_dict()  # of all devices
        if self.is_main:
            checkpoints.save(self.folder / checkpoints.FOLDER / name, state)
        self.state.fabric.barrier()

    def state_dict(self) -> dict[str, Any]:
        """All that decides what comes next; each of several devices has to ask."""
        epoch = self.epoch
        return {
            "fingerprint": self.fingerprint,
            "method": self.method.state_dict(),
            "optimizers": {k: o.state_dict() for k, o in self.method.optimizers.items()},
            "step": self.state.step,
            "epochs": self.epochs,
            "best": self.best,
            "seconds": self.seconds,
            "metrics": self.metrics,
            "epoch": None if epoch is None else {
                "number": epoch.number,
                "order": torch.from_numpy(epoch.order),
                "done": epoch.done,
                "sums": epoch.totals(),
            },
            "random": self.state.random_states(),
        }  # fmt: skip

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Goes back to where :meth:`state_dict` was asked."""
        self.method.load_state_dict(saved["method"])
        for key, optimizer in self.method.optimizers.items():
            optimizer.load_state_dict(saved["optimizers"][key])
        self.state.step, self.epochs = saved["step"], saved["epochs"]
        self.best, self.seconds = saved["best"], saved["seconds"]
        self.metrics, epoch = saved["metrics"], saved["epoch"]
        if epoch is not None:
            self.epoch = Epoch(
                epoch["number"], epoch["order"].numpy(), epoch["done"], epoch["sums"]
            )
        self.state.set_random_state(saved["random"])
        log.info("Resumes after update %s.", f"{self.state.step:,}")
