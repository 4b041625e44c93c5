"""Embedded colour profiles: pictures whose numbers mean other colours than sRGB's are converted.

By littleCMS, relative colorimetric and without black point compensation, as libvips does. A profile
that changes no level by more than one is sRGB by another name, and its pixels stay as they are.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

from singleimg.system.logs import log

_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}  # by Pillow's modes
# What a profile is compared with sRGB by: all levels of grey, and 17 of each channel.
_LEVELS = np.arange(256, dtype=np.uint8)[None]
_COLOURS = np.stack(np.meshgrid(*[np.rint(np.linspace(0, 255, 17))] * 3), -1)
_COLOURS = _COLOURS.reshape(1, -1, 3).astype(np.uint8)
_COARSE = 4  # levels of sRGB between two neighbours
_ERRORS = (ImageCms.PyCMSError, OSError, ValueError, TypeError)


class Conversion(NamedTuple):
    """A profile's name, and what turns pictures (or parts of one) of its space into RGB of sRGB.

    Grey may be of mode L or of mode I with levels of 0 … 65535. coarse: whether two levels of grey
    of 8 bits lie far apart in sRGB, as those near black in a profile without a curve.
    """

    profile: str
    apply: Callable[[Image.Image], Image.Image]
    coarse: bool = False


def to_srgb(profile: bytes, mode: str, key: str) -> Conversion | None:
    """What converts pictures of ``mode`` (L, RGB, CMYK or LAB) from their ``profile``.

    None for one that is sRGB already, and for one that cannot be used: the log says so.
    """
    try:
        return _conversion(profile, mode)
    except _ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        log.info("%s: its colour profile cannot be used (%s); taken for sRGB.", key, reason)
        return None


def _conversion(profile: bytes, mode: str) -> Conversion | None:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space = source.profile.xcolor_space.strip()
    if _SPACES.get(mode) != space:
        raise ValueError(f"it is of {space} and the picture of {_SPACES.get(mode, mode)}")
    name = " ".join((source.profile.profile_description or "without a name").split())
    transform = ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags.NONE,
    )
    shown, coarse = None, False
    if mode in ("L", "RGB"):
        colours = Image.fromarray(_LEVELS if mode == "L" else _COLOURS)
        shown = np.asarray(ImageCms.applyTransform(colours, transform))
        if np.abs(shown.astype(int) - np.asarray(colours.convert("RGB"))).max() <= 1:
            return None
        greys = Image.fromarray(_LEVELS).convert(mode)
        levels = np.asarray(ImageCms.applyTransform(greys, transform)).astype(int)
        coarse = bool(np.abs(np.diff(levels, axis=1)).max() > _COARSE)
    if mode == "L":  # by a table: littleCMS is exact for grey only where it is slow
        return Conversion(name, _by_table(shown[0]), coarse)
    return Conversion(name, lambda image: ImageCms.applyTransform(image, transform), coarse)


def _by_table(shown: np.ndarray) -> Callable[[Image.Image], Image.Image]:
    """What looks up grey in ``shown``, 256×3, and of mode I between its levels."""
    between = [np.interp(np.arange(65536) / 257, np.arange(256), column) for column in shown.T]
    fine = np.rint(np.stack(between, -1)).astype(np.uint8)

    def apply(grey: Image.Image) -> Image.Image:
        levels = np.asarray(grey)
        deep = grey.mode == "I"
        return Image.fromarray(fine[np.clip(levels, 0, 65535)] if deep else shown[levels])

    return apply


def lab_to_srgb(image: Image.Image) -> Image.Image:
    """CIE L*a*b* of illuminant D50, as TIFF and Pillow's mode LAB have it."""
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
