"""Where source pixels come from: each source has a name, a length and ``load(k)``.

A source is small and picklable: it holds no pixels, every process loads its own, once. Whatever a
file's mode, it becomes 8-bit RGB by one rule: EXIF orientation is applied; of several frames the
first is taken; 16-bit and 32-bit integer levels are divided by 257 (0 … 65535 → 0 … 255), float
levels are cut to 0 … 255; transparency is laid over ``background``; the rest is Pillow's own
conversion (palette, 1 bit, grey, CMYK, YCbCr, Lab).
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import re
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from PIL import Image, ImageOps, UnidentifiedImageError

from singleimg.download import Address, Limits, download
from singleimg.errors import UserError

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")  # EPS, say, would run a program
SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pbm",
)  # fmt: skip
WHITE = (255, 255, 255)
PIXELS = 89_478_485  # Pillow's own limit: a quarter of a gigabyte as RGB
_SILENT = logging.NullHandler()
_DECODING = threading.Lock()  # warnings and standard error belong to the whole process
_LOADED = 8  # images that a process keeps decoded


class Source(Protocol):
    """One image or several. ``name`` (letters, digits, ``-_``) stands in names of folders."""

    name: str

    def __len__(self) -> int:
        """How many images."""

    def load(self, k: int) -> Image.Image:
        """Image ``k``, 0 … len - 1, as 8-bit RGB."""

    def where(self, k: int) -> str:
        """What a person types for image ``k``: ``imgpath=…``."""


def hashes(source: Source) -> list[str]:
    """SHA-256 of each image: of its size as ``2560x1920`` and a newline, and its RGB bytes."""
    return [pixel_hash(source.load(k)) for k in range(len(source))]


def pixel_hash(image: Image.Image) -> str:
    """SHA-256 of an RGB image, as in :func:`hashes`."""
    head = f"{image.width}x{image.height}\n".encode()
    return hashlib.sha256(head + image.tobytes()).hexdigest()


def cache_folder() -> Path:
    """Where made and downloaded images are kept: $SINGLEIMG_CACHE, or the user's cache folder."""
    if own := os.environ.get("SINGLEIMG_CACHE"):
        return Path(own)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "singleimg"
    library = "Library/Caches" if sys.platform == "darwin" else ".cache"
    return Path.home() / library / "singleimg"


# --- sources -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DeadLeaves:
    """The image that ships with us: 2560×1920 discs and polygons; see ``synthetic.dead_leaves``."""

    name: str = "dead_leaves"

    def __post_init__(self) -> None:
        _check_name(self.name)

    def __len__(self) -> int:
        return 1

    def load(self, k: int) -> Image.Image:
        """The image, from the cache folder when it lies there unharmed."""
        return _dead_leaves()

    def where(self, k: int) -> str:
        """Its group."""
        return "image=dead_leaves"


@lru_cache(maxsize=1)
def _dead_leaves() -> Image.Image:
    from singleimg.synthetic import DEAD_LEAVES_SHA256, dead_leaves

    file = cache_folder() / f"dead_leaves-{DEAD_LEAVES_SHA256[:16]}.png"
    try:
        with Image.open(file) as image:
            image.load()
        if pixel_hash(image) == DEAD_LEAVES_SHA256:
            return image
    except Exception:  # not there yet, or harmed, which decoders say in any way: it is made anew
        pass
    image = dead_leaves()
    if pixel_hash(image) != DEAD_LEAVES_SHA256:
        warnings.warn(
            "This version of Pillow draws dead_leaves otherwise than the one it was defined with: "
            "the images will not be those that others get.",
            stacklevel=2,
        )
        return image
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".tmp-{os.getpid()}-{file.name}")
        image.save(temporary, compress_level=1)
        temporary.replace(file)
    except OSError:
        pass  # a cache that cannot be written costs a second, nothing else
    return image


@dataclass(frozen=True)
class Noise:
    """Colour noise of amplitude 1/f^exponent; see ``synthetic.noise``."""

    width: int = 2560
    height: int = 1920
    exponent: float = 1.0
    seed: int = 0
    name: str = "noise"

    def __post_init__(self) -> None:
        _check_name(self.name)
        if not all(type(side) is int and 8 <= side <= 16384 for side in (self.width, self.height)):
            raise UserError(
                f"image.width={self.width} and image.height={self.height} are not both from 8 to "
                "16384 pixels: type for example image.width=2560 image.height=1920."
            )
        if type(self.seed) is not int or self.seed < 0:
            raise UserError(
                f"image.seed={self.seed} is not a whole number of 0 or more: type for example "
                "image.seed=0."
            )
        if type(self.exponent) not in (int, float) or not 0 <= self.exponent <= 4:
            raise UserError(
                f"image.exponent={self.exponent} is not from 0 (white noise) to 4: "
                "type for example image.exponent=1."
            )

    def __len__(self) -> int:
        return 1

    def load(self, k: int) -> Image.Image:
        """The noise, made once in each process."""
        return _noise(self)

    def where(self, k: int) -> str:
        """Its group."""
        return "image=noise"


@lru_cache(maxsize=1)
def _noise(source: Noise) -> Image.Image:
    from singleimg.synthetic import noise

    return noise((source.width, source.height), source.exponent, source.seed)


class File:
    """One image file."""

    def __init__(
        self,
        path: str | None,
        background: Sequence[int] = WHITE,
        max_pixels: int | None = None,
        name: str | None = None,
    ) -> None:
        if path is None:
            raise UserError(
                "imgpath is missing: type imgpath=photo.jpg, or with image=folder "
                "imgpath=my/pictures."
            )
        self.path = Path(path)
        self.background, self.max_pixels = _colour(background), max_pixels
        self.name = safe_name(name or self.path.stem)
        self.files = self._find()

    def _find(self) -> list[Path]:
        return [self.path]

    def __len__(self) -> int:
        return len(self.files)

    def load(self, k: int) -> Image.Image:
        """Image ``k``; each process keeps the last few decoded."""
        file = self.files[k]
        return _load(file, self.background, self.max_pixels, self.where(k), _stamp(file))

    def where(self, k: int) -> str:
        """Its path."""
        return f"imgpath={self.files[k]}"


class Folder(File):
    """Every image file of a folder (by its ending; subfolders are not entered), sorted by name."""

    def _find(self) -> list[Path]:
        if not self.path.is_dir():
            raise UserError(
                f"imgpath={self.path} is not a folder: type a folder of pictures, or leave "
                "image=folder out for a single one."
            )
        try:
            files = sorted(p for p in self.path.iterdir() if p.suffix.lower() in SUFFIXES)
        except OSError as error:
            raise UserError(
                f"imgpath={self.path} cannot be listed ({error.strerror}): type another folder."
            ) from None
        if not files:
            raise UserError(
                f"imgpath={self.path} holds no picture ({', '.join(SUFFIXES)}): type another "
                "folder."
            )
        return files


class Url:
    """A file fetched once, checked against its SHA-256 and kept in the cache folder."""

    def __init__(
        self,
        url: str,
        sha256: str,
        max_bytes: int = 100_000_000,
        max_seconds: float = 600,
        allow_http: bool = False,
        background: Sequence[int] = WHITE,
        max_pixels: int | None = None,
        name: str | None = None,
    ) -> None:
        if type(allow_http) is not bool:
            raise UserError(
                f"image.allow_http={allow_http} is not true or false: type one of them."
            )
        address = Address(str(url), allow_http)
        if not re.fullmatch(r"[0-9a-f]{64}", str(sha256).lower()):
            raise UserError(
                f"image.sha256={sha256} is not the SHA-256 of a file, 64 hexadecimal digits: "
                "type what sha256sum prints of the picture you mean."
            )
        for key, value in (("max_bytes", max_bytes), ("max_seconds", max_seconds)):
            if type(value) not in (int, float) or not 0 < value < math.inf:
                raise UserError(f"image.{key}={value} is not a number over 0: type a larger one.")
        self.address, self.sha256 = address, str(sha256).lower()
        self.limits = Limits(max_bytes, max_seconds)
        self.background, self.max_pixels = _colour(background), max_pixels
        self.name = safe_name(name or Path(address.path).stem)

    def __len__(self) -> int:
        return 1

    def load(self, k: int) -> Image.Image:
        """The image; the first call on a machine downloads it."""
        suffix = Path(self.address.path).suffix.lower()
        file = cache_folder() / f"{self.sha256}{suffix if suffix in SUFFIXES else ''}"
        if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != self.sha256:
            download(self.address, self.sha256, self.limits, file)
        return _load(file, self.background, self.max_pixels, self.where(k), _stamp(file))

    def where(self, k: int) -> str:
        """Its address."""
        return f"image.url={self.address.url}"


def safe_name(text: str) -> str:
    """``text`` with everything but letters, digits, ``-`` and ``_`` turned into ``_``; 1 … 100."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", str(text)).strip("_")[:100] or "image"


def _check_name(name: str) -> None:
    if name != safe_name(name):
        raise UserError(
            f"image.name={name} is not made of letters, digits, - and _: type for example "
            f"image.name={safe_name(name)}."
        )


def _colour(background: Sequence[int]) -> tuple[int, ...]:
    colour = tuple(background)
    if len(colour) != 3 or not all(type(c) is int and 0 <= c <= 255 for c in colour):
        raise UserError(
            f"image.background={list(colour)} is not a colour, three whole numbers from 0 to 255: "
            "type for example image.background=[255,255,255]."
        )
    return colour


# --- decoding ------------------------------------------------------------------------------------


@lru_cache(maxsize=_LOADED)
def _load(
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


def _stamp(path: Path) -> tuple[int, int, int] | None:
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
