"""Stand-ins that a configuration can name with ``trusted_modules=[tests.stubs]``."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from singleimg.drawing import Pipeline, Sample
from singleimg.engines.native import NativeEngine, NativePlan
from singleimg.picture import Picture

NAP = "SINGLEIMG_TESTS_NAP"  # variable: seconds that SlowEngine sleeps before each image


class BlankEngine:
    """Draws, and renders nothing: one 8-pixel image for all."""

    def __init__(self, **_: Any) -> None:
        self._pixels = np.zeros((8, 8, 3), np.uint8)
        self.slow: dict[str, str] = {}

    def set_up_process(self) -> None:
        """Needs nothing."""

    def plan(self, pipeline: Pipeline) -> BlankEngine:
        """The same for every pipeline."""
        return self

    def render(self, picture: Picture, sample: Sample) -> np.ndarray:
        """Eight black pixels a side."""
        return self._pixels


class SlowEngine(NativeEngine):
    """The native engine, which sleeps before each image: a long run that takes no processor.

    How long, the environment says and not the configuration: the recipe and its bytes are the same.
    """

    def plan(self, pipeline: Pipeline) -> _SlowPlan:
        """That of the native engine."""
        return _SlowPlan(pipeline)


class _SlowPlan(NativePlan):
    def render(self, picture: Picture, sample: Sample) -> np.ndarray:
        time.sleep(float(os.environ.get(NAP, 0)))
        return super().render(picture, sample)
