"""The transforms that torchvision does not have, and the laws of those that we draw ourselves.

The transforms are in torchvision's own protocol: ``make_params`` draws (from ``torch.rand`` alone,
in float64) and ``transform`` renders, so that they work in any ``v2.Compose`` as well as in ours.
Their names here are public: configurations and recipes hold them. ``base``, ``geometry`` and
``torchvision`` hold laws, plain values without torch. Imports errors.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {"RandomSquareCrop": "published", "CropResizeAffine": "published", "RotatedCrop": "paper",
          "Albumentations": "albumentations"}  # fmt: skip
__all__ = ["Albumentations", "CropResizeAffine", "RandomSquareCrop", "RotatedCrop"]


def __getattr__(name: str) -> Any:
    """A transform, imported when it is first named: the laws alone import no torch."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
