"""``image=url``: a picture from the web, fetched once."""

from __future__ import annotations

import atexit
import hashlib
import math
import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from singleimg.errors import UserError
from singleimg.sources import cache
from singleimg.sources.base import (
    WHITE,
    Decoded,
    Source,
    check_pixels,
    checked_colour,
    safe_name,
    shrunk,
)
from singleimg.sources.decoding import SUFFIXES, file_stamp, load_picture
from singleimg.sources.download import Address, Limits, download
from singleimg.system.tempdir import scratch, temporary_errors

_unkept: dict[str, Path] = {}  # files that the cache could not take, by what they would be there
_until_the_end = ExitStack()
atexit.register(_until_the_end.close)


class Url(Source):
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
        pixels: int | None = None,
    ) -> None:
        check_pixels(pixels)
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
        self.background, self.max_pixels = checked_colour(background), max_pixels
        self.name, self.pixels = safe_name(name or Path(address.path).stem), pixels

    def __repr__(self) -> str:
        return f"Url({self.address.url!r})"

    def __len__(self) -> int:
        return 1

    def load(self, k: int) -> np.ndarray:
        """The image; the first call on a machine downloads it."""
        return self.decoded(k).pixels

    def decoded(self, k: int, convert: bool = True) -> Decoded:
        file = self._file()
        where, stamp = self.where(0), file_stamp(file)
        whole = load_picture(file, self.background, self.max_pixels, where, stamp, convert)
        return shrunk(whole, self.pixels)

    def _file(self) -> Path:
        """The file in the cache; where that cannot be written, one of this process alone."""
        suffix = Path(self.address.path).suffix.lower()
        name = f"{self.sha256}{suffix if suffix in SUFFIXES else ''}"
        if name in _unkept:
            return _unkept[name]
        kept = cache.read(name)
        if kept is not None and hashlib.sha256(kept).hexdigest() == self.sha256:
            return cache.cache_folder() / name
        data = download(self.address, self.sha256, self.limits)
        file = cache.keep(name, data)
        if file is None:
            with temporary_errors():
                file = _unkept[name] = _until_the_end.enter_context(scratch()) / name
                file.write_bytes(data)
        return file

    def where(self, k: int) -> str:
        return f"image.url={self.address.url}"
