"""Which kernel serves which transform: by the transform's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Params = dict[str, Any]
Kernel = Callable[[np.ndarray, Params], np.ndarray]
Factory = Callable[[Any], Kernel | None]

FACTORIES: dict[str, Factory] = {}
READERS: set[str] = set()


def kernel_for(*names: str, reader: bool = False) -> Callable[[Factory], Factory]:
    """Registers a factory: settings of a transform of one of these ``names`` in, its kernel out.

    The settings are a law, or torchvision's object, which has the same attributes. The factory
    returns None for settings that it does not serve.
    """

    def register(factory: Factory) -> Factory:
        FACTORIES.update(dict.fromkeys(names, factory))
        if reader:
            READERS.update(names)
        return factory

    return register
