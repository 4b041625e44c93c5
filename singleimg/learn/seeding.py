"""Random numbers of training, as functions of where it is: nothing to save, nothing to restore.

Each is drawn from NumPy's PCG64, seeded by (seed, purpose, number): an epoch's order by its number,
an update's crops by the number of the update. A run that goes on after a stop draws what it would
have drawn.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch


def numpy_generator(seed: int, purpose: str, number: int = 0) -> np.random.Generator:
    """The generator of one purpose, such as ``"order"``, and one number."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), number])


def torch_generator(seed: int, purpose: str, number: int = 0) -> torch.Generator:
    """The same for torch, on the processor: what is drawn is the same with and without a GPU."""
    word = int(numpy_generator(seed, purpose, number).integers(2**62))
    return torch.Generator().manual_seed(word)
