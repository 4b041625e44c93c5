"""BatchNorm statistics of other images than a trunk was trained on."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from singleimg.learn.data.batches import Images
from singleimg.learn.data.crops import centre

_CHUNK = 250  # images a pass


@torch.no_grad()
def recompute_statistics(
    trunk: nn.Module, images: Images, size: int, device: torch.device
) -> nn.Module:
    """A copy of ``trunk``, in eval mode, whose BatchNorm layers have the statistics of ``images``.

    Means over the batches of one pass, in the order of the images; each layer sees what those below
    it make of the batch's own statistics, as in training. No label is read, no weight changes.
    """
    own = deepcopy(trunk).to(device).eval()
    for module in own.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
            module.momentum = None  # plain means
            module.train()
    batches = [
        np.arange(first, min(first + _CHUNK, len(images)))
        for first in range(0, len(images), _CHUNK)
    ]
    for pixels in images.batches(batches):
        own(centre(pixels.to(device).float() / 255, size))
    return own.eval()
