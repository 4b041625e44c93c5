"""Stand-ins that a configuration can name with ``trusted_modules=[tests.stubs]``."""

from __future__ import annotations

from typing import Any

import numpy as np

from singleimg.drawing.pipeline import Pipeline, Sample
from singleimg.engines.picture import Picture


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
