"""``image=file``: one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from singleimg.errors import UserError
from singleimg.sources.base import WHITE, Source, checked_colour, safe_name
from singleimg.sources.decoding import file_stamp, load_picture


class File(Source):
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
        self.background, self.max_pixels = checked_colour(background), max_pixels
        self.name = safe_name(name or self.path.stem)
        self.files = self._find()

    def _find(self) -> list[Path]:
        return [self.path]

    def __len__(self) -> int:
        return len(self.files)

    def load(self, k: int) -> Image.Image:
        """Image ``k``; each process keeps the last few decoded."""
        return self._load(k, convert=True)

    def load_unconverted(self, k: int) -> Image.Image | None:
        return self._load(k, convert=False)

    def _load(self, k: int, convert: bool) -> Image.Image:
        file, where = self.files[k], self.where(k)
        stamp = file_stamp(file)
        return load_picture(file, self.background, self.max_pixels, where, stamp, convert)

    def where(self, k: int) -> str:
        return f"imgpath={self.files[k]}"
