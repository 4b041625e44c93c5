"""Stand-ins that a configuration can name with ``trusted_modules=[tests.stubs]``."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from singleimg.drawing.draws import Draws
from singleimg.drawing.pipeline import Pipeline
from singleimg.engines.base import Engine, Renderer
from singleimg.engines.native import NativeEngine, NativeRenderer
from singleimg.engines.picture import Picture
from singleimg.storage import lease
from tests import killing

LEASE = "SINGLEIMG_TESTS_LEASE"  # variable: seconds after which the lease of a slice is over
NAP = "SINGLEIMG_TESTS_NAP"  # variable: seconds that slow engines sleep before each image
killing.arm_by_environment()
if LEASE in os.environ:
    lease.OVER = float(os.environ[LEASE])
    lease.RENEWED = lease.OVER / 4


@dataclass(frozen=True)
class BlankEngine(Engine):
    """Draws, and renders nothing: one 8-pixel image for all."""

    name = "blank"

    def set_up_process(self) -> None:
        """Needs nothing."""

    def renderer(self, pipeline: Pipeline) -> Renderer:
        return _BlankRenderer()


class _BlankRenderer(Renderer):
    def __init__(self) -> None:
        self.slow: dict[str, str] = {}
        self._pixels = np.zeros((8, 8, 3), np.uint8)

    def render(self, draws: Draws, pictures: Iterable[Picture]) -> Iterable[np.ndarray]:
        return [self._pixels for _ in pictures]


@dataclass(frozen=True)
class SlowEngine(BlankEngine):
    """Noise of 32 px after a sleep: a long run that takes no processor, nor time to import torch.

    How long, the environment says and not the configuration: the recipe and its bytes are the same.
    """

    name = "slow"

    def renderer(self, pipeline: Pipeline) -> Renderer:
        return _SlowRenderer()


class _SlowRenderer(_BlankRenderer):
    def render(self, draws: Draws, pictures: Iterable[Picture]) -> Iterator[np.ndarray]:
        for index in draws.indices.tolist():
            time.sleep(float(os.environ.get(NAP, 0)))
            numbers = np.random.default_rng([draws.seed, index])
            yield numbers.integers(0, 256, (32, 32, 3), np.uint8)


@dataclass(frozen=True)
class DeadlyEngine(SlowEngine):
    """Ends the process at image 70, as the system does where memory runs out."""

    def renderer(self, pipeline: Pipeline) -> Renderer:
        return _DeadlyRenderer()


class _DeadlyRenderer(_SlowRenderer):
    def render(self, draws: Draws, pictures: Iterable[Picture]) -> Iterator[np.ndarray]:
        made = super().render(draws, pictures)
        for index, pixels in zip(draws.indices.tolist(), made, strict=False):
            if index == 70 and len(draws) > 1:  # no trial makes so many here
                os.kill(os.getpid(), signal.SIGKILL)
            yield pixels


@dataclass(frozen=True)
class SlowNativeEngine(NativeEngine):
    """The native engine with the same sleep."""

    def renderer(self, pipeline: Pipeline) -> Renderer:
        return _SlowNativeRenderer(pipeline)


class _SlowNativeRenderer(NativeRenderer):
    def render(self, draws: Draws, pictures: Iterable[Picture]) -> Iterator[np.ndarray]:
        for pixels in super().render(draws, pictures):
            time.sleep(float(os.environ.get(NAP, 0)))
            yield pixels
