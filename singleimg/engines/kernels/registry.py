"""Which kernel serves which transform: by the transform's exact type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Params = dict[str, Any]
Kernel = Callable[[np.ndarray, Params], np.ndarray]
Factory = Callable[[Any], Kernel | None]

FACTORIES: dict[type, Factory] = {}
READERS: set[type] = set()


def kernel_for(*types: type, reader: bool = False) -> Callable[[Factory], Factory]:
    """Registers a factory: a transform of one of ``types`` in, its kernel out.

    The factory returns None for settings that it does not serve.
    """

    def register(factory: Factory) -> Factory:
        FACTORIES.update(dict.fromkeys(types, factory))
        if reader:
            READERS.update(types)
        return factory

    return register
