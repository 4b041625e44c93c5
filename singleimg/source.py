"""Where source pixels come from: each source has a name, a length and ``load(k)``.

A source is small and picklable: it holds no pixels, every process loads its own, once. Whatever a
file's mode, it becomes 8-bit RGB by one rule: EXIF orientation is applied; of several frames the
first is taken; 16-bit and 32-bit integer levels are divided by 257 (0 … 65535 → 0 … 255), float
levels are cut to 0 … 255; transparency is laid over ``background``; the rest is Pillow's own
conversion (palette, 1 bit, grey, CMYK, YCbCr, Lab).
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from PIL import Image, ImageOps, UnidentifiedImageError

from singleimg.errors import UserError

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")  # EPS, say, would run a program
SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pbm",
)  # fmt: skip
WHITE = (255, 255, 255)
PIXELS = 89_478_485  # Pillow's own limit: a quarter of a gigabyte as RGB
_LOADED = 8  # images that a process keeps decoded
_CHUNK = 1 << 16
_SECONDS = 30  # without a byte, until a download is given up


class Source(Protocol):
    """One image or several. ``name`` (letters, digits, ``-_``) stands in names of folders."""

    name: str

    def __len__(self) -> int:
        """How many images."""

    def load(self, k: int) -> Image.Image:
        """Image ``k``, 0 … len - 1, as 8-bit RGB."""


def hashes(source: Source) -> list[str]:
    """SHA-256 of each image: of its size as ``2560x1920`` and a newline, and its RGB bytes."""
    return [_pixel_hash(source.load(k)) for k in range(len(source))]


def _pixel_hash(image: Image.Image) -> str:
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

    def __len__(self) -> int:
        return 1

    def load(self, k: int) -> Image.Image:
        """The image, from the cache folder when it lies there unharmed."""
        return _dead_leaves()


@lru_cache(maxsize=1)
def _dead_leaves() -> Image.Image:
    from singleimg.synthetic import DEAD_LEAVES_SHA256, dead_leaves

    file = cache_folder() / f"dead_leaves-{DEAD_LEAVES_SHA256[:16]}.png"
    try:
        with Image.open(file) as image:
            image.load()
        if _pixel_hash(image) == DEAD_LEAVES_SHA256:
            return image
    except (OSError, SyntaxError, ValueError):
        pass  # not there yet, or harmed: it is made anew
    image = dead_leaves()
    if _pixel_hash(image) != DEAD_LEAVES_SHA256:
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
        if not (8 <= self.width <= 16384 and 8 <= self.height <= 16384):
            raise UserError(
                f"image.width={self.width} and image.height={self.height} are not both from 8 to "
                "16384 pixels: type for example image.width=2560 image.height=1920."
            )
        if not 0 <= self.exponent <= 4:
            raise UserError(
                f"image.exponent={self.exponent:g} is not from 0 (white noise) to 4: "
                "type for example image.exponent=1."
            )

    def __len__(self) -> int:
        return 1

    def load(self, k: int) -> Image.Image:
        """The noise, made once in each process."""
        return _noise(self)


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
        self.name = name or safe_name(self.path.stem)
        self.files = self._find()

    def _find(self) -> list[Path]:
        return [self.path]

    def __len__(self) -> int:
        return len(self.files)

    def load(self, k: int) -> Image.Image:
        """Image ``k``; each process keeps the last few decoded."""
        path = self.files[k]
        return _load(path, self.background, self.max_pixels, f"imgpath={path}")


class Folder(File):
    """Every image file of a folder (by its ending; subfolders are not entered), sorted by name."""

    def _find(self) -> list[Path]:
        if not self.path.is_dir():
            raise UserError(
                f"imgpath={self.path} is not a folder: type a folder of pictures, or leave "
                "image=folder out for a single one."
            )
        files = sorted(p for p in self.path.iterdir() if p.suffix.lower() in SUFFIXES)
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
        background: Sequence[int] = WHITE,
        max_pixels: int | None = None,
        name: str | None = None,
    ) -> None:
        parts = urllib.parse.urlsplit(str(url))
        loopback = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
            raise UserError(f"image.url={url} does not start with https://: type one that does.")
        if not re.fullmatch(r"[0-9a-f]{64}", str(sha256).lower()):
            raise UserError(
                f"image.sha256={sha256} is not the SHA-256 of a file, 64 hexadecimal digits: "
                "type what sha256sum prints of the picture you mean."
            )
        self.url, self.sha256, self.max_bytes = str(url), str(sha256).lower(), max_bytes
        self.background, self.max_pixels = _colour(background), max_pixels
        self.name = name or safe_name(Path(parts.path).stem)

    def __len__(self) -> int:
        return 1

    def load(self, k: int) -> Image.Image:
        """The image; the first call on a machine downloads it."""
        file = cache_folder() / f"{self.sha256}{Path(urllib.parse.urlsplit(self.url).path).suffix}"
        if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != self.sha256:
            _download(self.url, self.sha256, self.max_bytes, file)
        return _load(file, self.background, self.max_pixels, f"image.url={self.url}")


def safe_name(text: str) -> str:
    """``text`` with everything but letters, digits, ``-`` and ``_`` turned into ``_``."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_") or "image"


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
def _load(path: Path, background: tuple[int, ...], max_pixels: int | None, key: str) -> Image.Image:
    if path.is_dir():
        raise UserError(
            f"{key} is a folder: type image=folder as well, or the name of one picture in it."
        )
    if not path.exists():
        raise UserError(f"{key} does not exist: type the path of a picture.")
    if path.stat().st_size == 0:
        raise UserError(f"{key} is empty: type the path of a picture.")
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
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise UserError(
            f"{key} cannot be read to its end ({error}): use a whole copy of the picture."
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Pillow's warning of large images: what is too large is refused in words of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield


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


# --- download ------------------------------------------------------------------------------------


def _download(url: str, sha256: str, max_bytes: int, file: Path) -> None:
    key = f"image.url={url}"
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".tmp-{os.getpid()}-{file.name}")
    try:
        found = _fetch(url, max_bytes, temporary, key)
        if found != sha256:
            raise UserError(
                f"{key} holds another file than image.sha256={sha256} (it has {found}): type the "
                "right one of the two."
            )
        temporary.replace(file)
    except urllib.error.HTTPError as error:
        raise UserError(f"{key} answers {error.code} {error.reason}: type another.") from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise UserError(
            f"{key} cannot be fetched ({reason}): check the network, or fetch it by hand and type "
            "imgpath=…."
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def _fetch(url: str, max_bytes: int, file: Path, key: str) -> str:
    """Writes what ``url`` gives into ``file`` under a progress bar; returns its SHA-256."""
    from tqdm import tqdm

    digest, received = hashlib.sha256(), 0
    request = urllib.request.Request(url, headers={"User-Agent": "singleimg"})
    with urllib.request.urlopen(request, timeout=_SECONDS) as answer, file.open("wb") as out:
        total = int(answer.headers.get("Content-Length") or 0) or None
        with tqdm(total=total, unit="B", unit_scale=True, desc="download", disable=None) as bar:
            while chunk := answer.read(_CHUNK):
                received += len(chunk)
                if received > max_bytes:
                    raise UserError(
                        f"{key} is larger than image.max_bytes={max_bytes}: type a larger limit "
                        "if you trust it."
                    )
                digest.update(chunk)
                out.write(chunk)
                bar.update(len(chunk))
        if total and received < total:
            raise OSError(f"the connection ended after {received:,} of {total:,} bytes")
    return digest.hexdigest()
