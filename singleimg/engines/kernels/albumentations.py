"""Albumentations' transforms, which render pixels as kernels do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from singleimg.engines.kernels.registry import Kernel, kernel_for

if TYPE_CHECKING:
    from singleimg.transforms.albumentations import Albumentations


@kernel_for("Albumentations")
def albumentations(transform: Albumentations) -> Kernel:
    """Theirs, on a copy: nobody knows who of them writes into what he gets."""
    return lambda pixels, params: transform.on_pixels(pixels.copy(), params)
