"""Where source pixels come from: each source has a name, a length and ``load(k)``.

A source is small and picklable: it holds no pixels, every process loads its own, once. Whatever a
file's mode, it becomes 8-bit RGB by one rule: EXIF orientation is applied; of several frames the
first is taken; 16-bit and 32-bit integer levels are divided by 257 (0 … 65535 → 0 … 255), float
levels are cut to 0 … 255; transparency is laid over ``background``; the rest is Pillow's own
conversion (palette, 1 bit, grey, CMYK, YCbCr, Lab).
"""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from singleimg.errors import UserError
from singleimg.sources.base import WHITE

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")  # EPS, say, would run a program
SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pbm",
)  # fmt: skip
PIXELS = 89_478_485  # Pillow's own limit: a quarter of a gigabyte as RGB
_SILENT = logging.NullHandler()
_DECODING = threading.Lock()  # warnings and standard error belong to the whole process
_LOADED = 8  # images that a process keeps decoded


@lru_cache(maxsize=_LOADED)
def load_picture(
    path: Path, background: tuple[int, ...], max_pixels: int | None, key: str, stamp: tuple | None
) -> Image.Image:
    _check_file(path, key)
    if max_pixels:  # Pillow's own limit stands at the very door, for the whole process
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, max_pixels)
    try:
        with _quiet(), Image.open(path, formats=FORMATS) as image:
            _check_pixels(image, max_pixels, key)
            return to_rgb(image, background)
    except UnidentifiedImageError:
        raise UserError(
            f"{key} is not a picture in one of these formats: {' '.join(FORMATS)}."
        ) from None
    except Image.DecompressionBombError as error:
        raise UserError(f"{key}: {error} Type max_pixels=… if you trust it.") from None
    except UserError:
        raise
    except Exception as error:  # decoders raise anything on bytes that nobody wrote on purpose
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{key} cannot be read to its end ({reason}): use a whole copy of the picture."
        ) from None


def _check_file(path: Path, key: str) -> None:
    try:
        if path.is_dir():
            raise UserError(
                f"{key} is a folder: type image=folder as well, or the name of one picture in it."
            )
        if not path.exists():
            raise UserError(f"{key} does not exist: type the path of a picture.")
        if path.stat().st_size == 0:
            raise UserError(f"{key} is empty: type the path of a picture.")
    except OSError as error:
        raise UserError(
            f"{key} cannot be opened ({error.strerror}): type the path of a picture."
        ) from None


def file_stamp(path: Path) -> tuple[int, int, int] | None:
    """Another one when the file at ``path`` is another: what is kept is of that file."""
    try:
        about = path.stat()
    except OSError:  # said when it is opened
        return None
    return about.st_ino, about.st_size, about.st_mtime_ns


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what Pillow says of a file: what cannot be used is refused in words of ours."""
    logging.getLogger("PIL").addHandler(_SILENT)  # else its errors go to standard error
    with _DECODING, warnings.catch_warnings(), _no_standard_error():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _no_standard_error() -> Iterator[None]:
    """libtiff writes there itself, past Python."""
    try:
        kept = os.dup(2)
    except OSError:  # closed: nobody reads it
        yield
        return
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _check_pixels(image: Image.Image, max_pixels: int | None, key: str) -> None:
    limit = max_pixels or PIXELS
    pixels = image.width * image.height
    if pixels > limit:
        raise UserError(
            f"{key} has {pixels:,} pixels and the limit is {limit:,}, against files that unpack "
            f"to more than memory holds: type max_pixels={pixels} if you trust it."
        )


def to_rgb(image: Image.Image, background: tuple[int, ...] = WHITE) -> Image.Image:
    """Any mode of a Pillow image as 8-bit RGB, by the rule at the top of this module."""
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        image = image.convert("I").point(lambda level: level * (1 / 257) + 0).convert("L")
    elif image.mode == "F":
        image = image.convert("L")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        below = Image.new("RGBA", image.size, (*background, 255))
        image = Image.alpha_composite(below, image)
    return image.convert("RGB")
