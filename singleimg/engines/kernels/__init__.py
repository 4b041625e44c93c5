"""Fast kernels, one for each transform that has one, found by the transform's name.

Imports torch and OpenCV, so it is imported where a renderer is made.

A kernel is made once in each process from the transform's settings. It is then called with
(pixels, parameters) for every image: ``uint8`` H×W×3 in C order in and out, never written to in
place. A *reader* takes a ``Picture`` instead of pixels, so that it can use the picture's levels.
"""

from singleimg.engines.kernels import (  # noqa: F401  (they register themselves)
    albumentations,
    colour,
    geometry,
)
from singleimg.engines.kernels.registry import FACTORIES, READERS

__all__ = ["FACTORIES", "READERS"]
