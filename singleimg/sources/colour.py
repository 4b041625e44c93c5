"""Embedded colour profiles: pictures whose numbers mean other colours than sRGB's are converted.

By littleCMS, relative colorimetric and without black point compensation, as libvips does. A profile
that changes no level by more than one is sRGB by another name, and its pixels stay as they are.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from singleimg.sources.base import PROFILE
from singleimg.system.logs import log

_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}  # by Pillow's modes
# What a profile is compared with sRGB by: all levels of grey, and 17 of each channel.
_LEVELS = np.arange(256, dtype=np.uint8)[None]
_COLOURS = np.stack(np.meshgrid(*[np.rint(np.linspace(0, 255, 17))] * 3), -1)
_COLOURS = _COLOURS.reshape(1, -1, 3).astype(np.uint8)
_ERRORS = (ImageCms.PyCMSError, OSError, ValueError, TypeError)


def to_srgb(image: Image.Image, profile: bytes, key: str) -> Image.Image:
    """A picture of mode L, RGB, CMYK or LAB in sRGB, if its ``profile`` is of another space.

    The result is RGB and names the profile in ``info[PROFILE]``; a picture that is in sRGB already
    comes back as it is, and so does one whose profile cannot be used: the log says so, once.
    """
    try:
        transform, name = _transform(profile, image.mode)
        if transform is None:
            return image
        if image.mode == "L":  # by a table: littleCMS is exact for grey only where it is slow
            tables = np.asarray(ImageCms.applyTransform(Image.fromarray(_LEVELS), transform))[0].T
            converted = Image.merge("RGB", [image.point(table.tolist()) for table in tables])
        else:
            converted = ImageCms.applyTransform(image, transform)
    except _ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        log.info("%s: its colour profile cannot be used (%s); taken for sRGB.", key, reason)
        return image
    converted.info[PROFILE] = name
    return converted


@lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> tuple[ImageCms.ImageCmsTransform | None, str]:
    """What converts pictures of this mode, and the profile's name; None where nothing changes."""
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
    colours = {"L": _LEVELS, "RGB": _COLOURS}.get(mode)
    if colours is not None:
        shown = np.asarray(ImageCms.applyTransform(Image.fromarray(colours), transform))
        same = np.asarray(Image.fromarray(colours).convert("RGB"))
        if np.abs(shown.astype(int) - same).max() <= 1:
            return None, name
    return transform, name


def lab_to_srgb(image: Image.Image) -> Image.Image:
    """CIE L*a*b* of illuminant D50, as TIFF and Pillow's mode LAB have it."""
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
