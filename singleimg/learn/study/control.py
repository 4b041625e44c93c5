"""``task=shortcut``: can a network tell an image's rotation from how it was made?

A picture of isotropic noise looks the same in every direction, so its patches hold no trace of
which way is up, unless the preset leaves one: corners that a rotation filled with black, kernels
that blur along one axis. RotNet would learn that trace instead of the picture. So it is trained on
patches of such noise and tested on patches of noise it never saw: it must not be able to tell.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig

from singleimg.config.make import instantiate, resolved_transforms
from singleimg.dataset.open import from_config
from singleimg.dataset.recipe import canonical
from singleimg.errors import UserError
from singleimg.learn.data.batches import InMemory
from singleimg.learn.methods.rotnet import QUARTERS, RotNet, rotate_quarters
from singleimg.learn.methods.train_state import TrainState
from singleimg.learn.networks.cifar_conv4 import CifarConv4
from singleimg.learn.training.devices import open_fabric
from singleimg.learn.training.loop import LogSettings, Training
from singleimg.sources.base import Source
from singleimg.sources.synthetic import noise
from singleimg.storage.local import LocalStore
from singleimg.system.bars import counted
from singleimg.system.tempdir import scratch

MAX_ROTATION, MAX_AXIS = 0.28, 0.54  # chance: 1/4 and 1/2
_LARGEST = 64  # pixels: larger images would say the same, in hours
_WIDEST = 800  # pixels of a picture of noise, for the same reason
_SIZE = 32
_RULES = 2  # of the noise and the training: another number, and old results are made anew
_SEED = 10_000  # of the first picture


@dataclass(frozen=True)
class Noises(Source):
    """``count`` pictures of isotropic 1/f noise."""

    width: int
    height: int
    count: int
    first: int
    name: str = "noises"

    def __len__(self) -> int:
        return self.count

    def load(self, k: int) -> np.ndarray:
        return _draw_noise(self.width, self.height, self.first + k)

    def where(self, k: int) -> str:
        return "image=noise"


@lru_cache(maxsize=128)
def _draw_noise(width: int, height: int, seed: int) -> np.ndarray:
    """Cut out of a square twice as large: noise is as periodic as its picture is long, and one that
    is wide and low would vary along its width at lengths that its height does not have."""
    side = 2 * max(width, height)
    return noise((side, side), 1.0, seed)[:height, :width].copy()


@dataclass(frozen=True)
class Control:
    """Test accuracies on noise, 0 … 1: of the four rotations, and of upright against lying."""

    preset: str
    rotation: float
    axis: float
    images: int  # tested, each in four rotations

    @property
    def holds(self) -> bool:
        """Whether the preset gives nothing away."""
        return self.rotation <= MAX_ROTATION and self.axis <= MAX_AXIS

    def __str__(self) -> str:
        verdict = "gives nothing away" if self.holds else "GIVES ROTATIONS AWAY"
        return (
            f"Null control, augment={self.preset}: on noise RotNet tells "
            f"{100 * self.rotation:.1f} % of rotations (chance 25, at most "
            f"{100 * MAX_ROTATION:.0f}) and {100 * self.axis:.1f} % of axes (chance 50, at most "
            f"{100 * MAX_AXIS:.0f}): it {verdict}."
        )


def run_control(cfg: DictConfig, folder: Path | None = None) -> Control:
    """Trains and tests; a result in ``folder`` is read when nothing has changed since."""
    settings = cfg.shortcut
    cfg = cfg.copy()
    cfg.img_size = _SIZE if cfg.img_size > _LARGEST else cfg.img_size
    width, height = _noise_size(instantiate(cfg, "image").decoded(0).pixels.shape[1::-1])
    engine = instantiate(cfg, "engine").name
    decides = [resolved_transforms(cfg), cfg.img_size, engine, [width, height], dict(settings),
               cfg.seed, _RULES]  # fmt: skip
    digest = sha256(canonical(decides).encode()).hexdigest()[:8]
    file = folder / f"{cfg.augment.name}-{digest}.json" if folder else None
    if file and file.exists():
        try:
            return Control(**json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise UserError(f"{file} cannot be read as a control ({error}): remove it.") from None
    tested = settings.tested_sources
    train = _render(cfg, Noises(width, height, settings.sources, _SEED), settings.images)
    test = _render(cfg, Noises(width, height, tested, _SEED + settings.sources), settings.tested)
    result = _measure(cfg, _train(cfg, train), test)
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        LocalStore(file.parent).write(file.name, json.dumps(asdict(result)) + "\n")
    return result


def _noise_size(size: tuple[int, int]) -> tuple[int, int]:
    """The shape of the source, in which a preset acts: at most so large."""
    factor = min(1.0, _WIDEST / max(size))
    return max(8, round(size[0] * factor)), max(8, round(size[1] * factor))


def _render(cfg: DictConfig, source: Noises, count: int) -> InMemory:
    """So many images of the preset, from the pictures of ``source``."""
    images = from_config(cfg, source=source)
    with images.engine.one_thread():
        made = images.render_drawn(images.draw_many(range(count)))
        pixels = list(counted(made, count, what="noise"))
    return InMemory(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous())


def _train(cfg: DictConfig, images: InMemory) -> RotNet:
    torch.manual_seed(cfg.seed)
    method = RotNet(
        name="rotnet",
        updates=cfg.shortcut.updates,
        batch_size=min(32, len(images)),
        crop="padded",
        hflip=0.5,
        lr=0.05,
    )
    network = CifarConv4(size=cfg.img_size)
    method.build(network, len(images), 0)
    fabric = open_fabric(cfg.train)
    method.to(fabric.device)
    with scratch() as folder:
        Training(
            method,
            images,
            TrainState(fabric, cfg.seed, None),
            Path(folder),
            size=network.size,
            log_settings=LogSettings(checkpoint_every=10**9, tensorboard=False),
            fingerprint="",
        ).run()
    return method.eval()


@torch.no_grad()
def _measure(cfg: DictConfig, method: RotNet, images: InMemory) -> Control:
    device = next(method.parameters()).device
    right = axis = 0
    for part in images.pixels.split(250):
        turned, quarters = rotate_quarters(part.to(device).float() / 255)
        chances = method(turned).softmax(1)
        right += int((chances.argmax(1) == quarters).sum())
        upright = chances[:, 0::2].sum(1) > 0.5
        axis += int((upright == (quarters % 2 == 0)).sum())
    total = QUARTERS * len(images)
    return Control(cfg.augment.name, right / total, axis / total, len(images))
