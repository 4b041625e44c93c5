"""Kernels of what changes colours: jitter, greyscale, blur and the like.

Pillow's colour steps cut a fraction off where these round. So that sets do not come out brighter,
``_CUT`` is taken off before rounding: half a level, less a little for results that are whole.
"""

from __future__ import annotations

import cv2
import numpy as np

from singleimg.engines.kernels.registry import Kernel, Params, kernel_for
from singleimg.transforms.torchvision import (
    ColorJitterLaw,
    GaussianBlurLaw,
    GrayscaleLaw,
    RandomGrayscaleLaw,
    RandomInvertLaw,
    RandomPosterizeLaw,
    RandomSolarizeLaw,
)

_CUT = 0.498
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R 601, as Pillow's mode L


def brightness(pixels: np.ndarray, factor: float) -> np.ndarray:
    """``factor``·level."""
    return cv2.convertScaleAbs(pixels, alpha=factor, beta=-_CUT)


def contrast(pixels: np.ndarray, factor: float) -> np.ndarray:
    """Levels moved from (or to) the mean grey, itself a whole level."""
    mean = int(cv2.mean(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))[0] + 0.5)
    return cv2.addWeighted(pixels, factor, pixels, 0, (1 - factor) * mean - _CUT)


def saturation(pixels: np.ndarray, factor: float) -> np.ndarray:
    """Levels moved from (or to) the grey of their pixel."""
    matrix = np.full((3, 4), -_CUT)
    matrix[:, :3] = factor * np.eye(3) + (1 - factor) * _LUMA
    return cv2.transform(pixels, matrix)


def hue(pixels: np.ndarray, factor: float) -> np.ndarray:
    """Hue turned by ``factor`` of a whole turn, in steps of 1/255 as Pillow's mode HSV has."""
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV_FULL)
    turn = np.zeros(hsv.shape[1:], np.uint8)
    turn[:, 0] = int(factor * 255) % 256
    hsv += turn  # wraps around
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)


_JITTER = (
    (brightness, "brightness_factor"),
    (contrast, "contrast_factor"),
    (saturation, "saturation_factor"),
    (hue, "hue_factor"),
)


@kernel_for("ColorJitter")
def colour_jitter(settings: ColorJitterLaw) -> Kernel:
    """The four, in the order that was drawn."""

    def kernel(pixels: np.ndarray, params: Params) -> np.ndarray:
        for place in params["fn_idx"]:
            change, name = _JITTER[place]
            if params[name] is not None:
                pixels = change(pixels, params[name])
        return pixels

    return kernel


@kernel_for("RandomGrayscale", "Grayscale")
def greyscale(settings: RandomGrayscaleLaw | GrayscaleLaw) -> Kernel:
    """Three equal channels."""
    return lambda pixels, params: cv2.cvtColor(
        cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB
    )


@kernel_for("GaussianBlur")
def gaussian_blur(settings: GaussianBlurLaw) -> Kernel:
    """Separable, reflected at the edges."""
    size = tuple(settings.kernel_size)

    def kernel(pixels: np.ndarray, params: Params) -> np.ndarray:
        x, y = params["sigma"]
        return cv2.GaussianBlur(pixels, size, x, sigmaY=y, borderType=cv2.BORDER_REFLECT_101)

    return kernel


@kernel_for("RandomInvert")
def invert(settings: RandomInvertLaw) -> Kernel:
    """The negative."""
    return lambda pixels, params: cv2.bitwise_not(pixels)


@kernel_for("RandomSolarize")
def solarize(settings: RandomSolarizeLaw) -> Kernel:
    """The negative of levels at or over the threshold."""
    levels = np.arange(256)
    table = np.where(levels < settings.threshold, levels, 255 - levels).astype(np.uint8)
    return lambda pixels, params: cv2.LUT(pixels, table)


@kernel_for("RandomPosterize")
def posterize(settings: RandomPosterizeLaw) -> Kernel:
    """The upper bits of each level."""
    mask = 256 - 2 ** (8 - settings.bits)
    table = (np.arange(256) & mask).astype(np.uint8)
    return lambda pixels, params: cv2.LUT(pixels, table)
