"""Where source pixels come from: each source has a name, a length and ``load(k)``.

A source is small and picklable: it holds no pixels, every process loads its own, once. Whatever a
file's mode, it becomes 8-bit RGB by one rule: EXIF orientation is applied; of several pictures or
frames the first is taken; 16-bit and 32-bit integer levels are divided by 257 (0 … 65535 →
0 … 255), float levels are cut to 0 … 255; colours of an embedded profile become sRGB (``colour``);
transparency is laid over ``background``; the rest is Pillow's own conversion (palette, 1 bit, grey,
CMYK, YCbCr). PNG's cICP and gAMA chunks and the nclx of HEIC and AVIF are not read: other programs
disagree on them.
"""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from singleimg.errors import UserError, clause
from singleimg.sources.base import WHITE, Decoded, in_strips
from singleimg.sources.colour import lab_to_srgb, to_srgb
from singleimg.system.extras import install
from singleimg.system.logs import log

# EPS, say, would run a program. HEIF is read with the package pi-heif.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF", "HEIF")
SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pbm",
    ".avif", ".heic", ".heif",
)  # fmt: skip
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # brands
PIXELS = 89_478_485  # Pillow's own limit: a quarter of a gigabyte as RGB
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # how such files begin
_BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION, _PLANES = 258, 259, 262, 274, 284  # TIFF's tags
_SILENT = logging.NullHandler()
_DECODING = threading.Lock()  # warnings and standard error belong to the whole process
_LOADED = 8  # images that a process keeps decoded


@lru_cache(maxsize=_LOADED)
def load_picture(
    path: Path,
    background: tuple[int, ...],
    max_pixels: int | None,
    key: str,
    stamp: tuple | None,
    convert: bool = True,
    decode: bool = True,
) -> Decoded | None:
    """The picture in a file; ``convert=False`` takes its profile for sRGB.

    UserError when it cannot be read; ``key`` is what was typed, ``stamp`` as of ``file_stamp``.
    """
    _check_file(path, key)
    _open_heif(path, key)
    if max_pixels:  # Pillow's own limit stands at the very door, for the whole process
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, max_pixels)
    formats = [one for one in FORMATS if one != "HEIF" or one in Image.OPEN]
    try:
        with _quiet(), Image.open(path, formats=formats) as image:
            _check_pixels(image, max_pixels, key)
            _check_layout(image, key)
            if not decode:
                return None
            _say_how_many(image, key)
            return to_rgb(image, background, key, convert)
    except UnidentifiedImageError:
        if path.read_bytes()[:4] in _TIFF:
            raise _unread(key) from None
        raise UserError(
            f"{key} is not a picture in a format that can be read: use {', '.join(FORMATS[:-1])} "
            f"or {FORMATS[-1]}."
        ) from None
    except Image.DecompressionBombError as error:
        raise UserError(f"{key}: {clause(error)}: type max_pixels=… if you trust it.") from None
    except UserError:
        raise
    except Exception as error:  # decoders raise anything on bytes that nobody wrote on purpose
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{key} cannot be read to its end ({reason}): use a complete copy of the picture."
        ) from None


def check_picture(path: Path, max_pixels: int | None, key: str) -> None:
    """Raises UserError when the beginning of a file is not that of a picture that can be read."""
    load_picture.__wrapped__(path, WHITE, max_pixels, key, None, decode=False)


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


def _open_heif(path: Path, key: str) -> None:
    """Has Pillow know HEIF where the file is of that kind; UserError when nobody can read it."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] != b"ftyp" or head[8:] not in _HEIF:
        return
    try:
        from pi_heif import register_heif_opener
    except ImportError:
        raise UserError(
            f"{key} is a HEIC picture, which needs the package pi-heif: type {install('heif')}, or "
            "save it as JPEG."
        ) from None
    register_heif_opener(thumbnails=False)


def _say_how_many(image: Image.Image, key: str) -> None:
    count = 1
    with suppress(Exception):  # what is wrong behind the first picture is none of ours
        count = getattr(image, "n_frames", 1)
        image.seek(0)
    if count > 1 and image.format not in ("MPO", "HEIF"):
        log.info("%s holds %d pictures or frames: the first is used.", key, count)


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
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
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
            f"{key} has {pixels:,} pixels, over the limit of {limit:,} that keeps large files from "
            f"filling the memory: type max_pixels={pixels} if you trust it."
        )


def _check_layout(image: Image.Image, key: str) -> None:
    """Refuses what Pillow would read as another picture: channels of a TIFF that lie apart."""
    if image.format == "TIFF" and image.tag_v2.get(_PLANES) == 2:
        bits = image.tag_v2.get(_BITS, (1,))
        plain = image.tag_v2.get(_COMPRESSION, 1) == 1  # which Pillow reads without libtiff
        if len(bits) == 2 or (len(bits) > 1 and max(bits) > 8 and plain):
            raise _unread(key)


def _unread(key: str) -> UserError:
    return UserError(f"{key} is a TIFF of a layout that cannot be read here: save it as PNG.")


def to_rgb(
    image: Image.Image,
    background: tuple[int, ...] = WHITE,
    key: str = "the picture",
    convert: bool = True,
) -> Decoded:
    """A Pillow image of any mode, by the rule at the top of this module."""
    raw = str(image.tile[0].args) if image.format == "PNG" and image.tile else ""
    size, strip, orientation = _load_as_stored(image)
    negative = image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC) == 0  # levels of darkness
    grey = image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")
    grey = grey or raw.startswith("LA")
    mode = "L" if grey else image.mode if image.mode in ("CMYK", "LAB") else "RGB"
    profile = image.info.get("icc_profile") if convert else None
    conversion = to_srgb(profile, mode, key) if profile is not None else None
    deep = ";16" in raw or max(getattr(image, "tag_v2", {}).get(_BITS, (1,))) > 8
    keeps_levels = image.mode.startswith("I") and not image.has_transparency_data
    if conversion is not None and conversion.coarse and deep and not keeps_levels:
        raise UserError(
            f"{key} has 16 bits per channel in the colours of {conversion.profile}, for which the "
            "8 bits that Pillow reads are too few: save it as sRGB."
        )

    def shown(part: Image.Image) -> Image.Image:
        if part.mode.startswith("I"):
            part = part.convert("I")
            if conversion is not None and not part.has_transparency_data:
                return conversion.apply(part.point(lambda x: x * -1 + 65535) if negative else part)
            part = part.point(lambda level: level * (1 / 257) + 0).convert("L")
            part = ImageOps.invert(part) if negative else part  # of fewer bits Pillow does it
        elif part.mode == "F":
            part = part.convert("L")
        whole = part.convert("RGBA") if part.has_transparency_data else None
        part = part if whole is None else whole.convert("RGB")
        if conversion is not None:
            part = conversion.apply(part.convert(mode))
        if part.mode == "LAB":
            part = lab_to_srgb(part)
        part = part.convert("RGB")
        if whole is None:
            return part
        part.putalpha(whole.getchannel("A"))
        below = Image.new("RGBA", part.size, (*background, 255))
        return Image.alpha_composite(below, part).convert("RGB")

    pixels = in_strips(size, lambda top, bottom: shown(strip(top, bottom)), orientation)
    return Decoded(pixels, conversion and conversion.profile)


Rows = Callable[[int, int], Image.Image]  # of a picture, from top to bottom


def _load_as_stored(image: Image.Image) -> tuple[tuple[int, int], Rows, int]:
    """Loads a picture as it lies in the file: its size, its rows, EXIF's number of its turn."""
    orientation = None
    if image.format == "TIFF":
        exif = image.getexif()
        orientation = exif.get(_ORIENTATION, 1)
        exif[_ORIENTATION] = 1  # else Pillow turns it, in a copy of the whole
    pixels = _from_decoder(image)
    if pixels is None:
        image.load()
        size = image.im.size  # of a TIFF that lies on its side ``image.size`` is another
    else:
        size = pixels.shape[1::-1]

    def rows(top: int, bottom: int) -> Image.Image:
        if pixels is None:
            return image.crop((0, top, size[0], bottom))
        return Image.frombytes(image.mode, (size[0], bottom - top), pixels[top:bottom].tobytes())

    return size, rows, orientation or image.getexif().get(_ORIENTATION, 1)


def _from_decoder(image: Image.Image) -> np.ndarray | None:
    """``uint8`` H×W×C, where the decoder behind Pillow holds the whole picture: Pillow would copy
    it into 4 bytes a pixel more. None: Pillow is to load it."""
    channels = len(image.getbands())
    if image.format == "HEIF":
        heif = image._heif_file[image.tell()]
        width, height = heif.size
        rows = np.frombuffer(heif.data, np.uint8).reshape(height, heif.stride)
        return rows[:, : width * channels].reshape(height, width, channels)
    if image.format == "WEBP" and not image.is_animated:  # Pillow's is made for animations
        import torch
        from torchvision.io import ImageReadMode, decode_webp

        mode = ImageReadMode.RGB_ALPHA if channels == 4 else ImageReadMode.RGB
        image.fp.seek(0)
        data = torch.frombuffer(bytearray(image.fp.read()), dtype=torch.uint8)
        with suppress(RuntimeError):  # Pillow has the words for what is wrong
            pixels = decode_webp(data, mode).permute(1, 2, 0).numpy()
            image._decoder = None  # which has the file
            return pixels
    return None
