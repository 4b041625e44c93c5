"""``image=file``: one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from singleimg.errors import UserError, file_path
from singleimg.sources.base import (
    WHITE,
    Decoded,
    Source,
    check_pixels,
    checked_colour,
    safe_name,
    shrunk,
)
from singleimg.sources.decoding import check_picture, file_stamp, load_picture


class File(Source):
    """One image file."""

    def __init__(
        self,
        path: str | None,
        background: Sequence[int] = WHITE,
        max_pixels: int | None = None,
        name: str | None = None,
        pixels: int | None = None,
    ) -> None:
        if path is None:
            raise UserError(
                "imgpath is missing: type imgpath=photo.jpg, or with image=folder "
                "imgpath=my/pictures."
            )
        check_pixels(pixels)
        self.path, self.pixels = Path(file_path(str(path))), pixels
        self.background, self.max_pixels = checked_colour(background), max_pixels
        self.name = safe_name(name or self.path.stem)
        self.files = self._find()

    def _find(self) -> list[Path]:
        return [self.path]

    def __repr__(self) -> str:
        several = f", {len(self)} pictures" if len(self) > 1 else ""
        return f"{type(self).__name__}({str(self.path)!r}{several})"

    def __len__(self) -> int:
        return len(self.files)

    def check(self) -> None:
        for k, file in enumerate(self.files):
            check_picture(file, self.max_pixels, self.where(k))

    def load(self, k: int) -> np.ndarray:
        """Image ``k``; each process keeps the last few decoded."""
        return self.decoded(k).pixels

    def decoded(self, k: int, convert: bool = True) -> Decoded:
        file, where = self.files[k], self.where(k)
        stamp = file_stamp(file)
        whole = load_picture(file, self.background, self.max_pixels, where, stamp, convert)
        return shrunk(whole, self.pixels)

    def where(self, k: int) -> str:
        return f"imgpath={self.files[k]}"
