"""``image=folder``: every picture of a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from singleimg.errors import UserError
from singleimg.sources.base import WHITE
from singleimg.sources.decoding import SUFFIXES
from singleimg.sources.file import File
from singleimg.system.logs import log

_NAMED = 3  # files left out that are named


class Folder(File):
    """Every image file of a folder (by its ending), sorted by name; hidden files are none.

    recursive: those of its subfolders too.
    """

    def __init__(
        self,
        path: str | None,
        background: Sequence[int] = WHITE,
        max_pixels: int | None = None,
        name: str | None = None,
        recursive: bool = False,
        pixels: int | None = None,
    ) -> None:
        if type(recursive) is not bool:
            raise UserError(f"image.recursive={recursive} is not true or false: type one of them.")
        self.recursive = recursive
        super().__init__(path, background, max_pixels, name, pixels)

    def _find(self) -> list[Path]:
        if not self.path.is_dir():
            raise UserError(
                f"imgpath={self.path} is not a folder: type a folder of pictures, or leave "
                "image=folder out for a single one."
            )
        try:
            found = sorted(self.path.rglob("*") if self.recursive else self.path.iterdir())
            files = [one for one in found if one.is_file()]
        except OSError as error:
            raise UserError(
                f"imgpath={self.path} cannot be listed ({error.strerror}): type another folder."
            ) from None
        used = [one for one in files if self._is_picture(one)]
        if not used:
            hint = "" if self.recursive else ", or image.recursive=true for those of subfolders"
            raise UserError(
                f"imgpath={self.path} holds no picture ({', '.join(SUFFIXES)}): type another "
                f"folder{hint}."
            )
        others = [one for one in files if one not in set(used)]
        named = ", ".join(one.name for one in others[:_NAMED]) + ", …" * (len(others) > _NAMED)
        left = f"; {len(others)} other files are left out ({named})" if others else ""
        log.info("imgpath=%s: %d pictures%s.", self.path, len(used), left)
        return used

    def _is_picture(self, file: Path) -> bool:
        hidden = any(part.startswith(".") for part in file.relative_to(self.path).parts)
        return file.suffix.lower() in SUFFIXES and not hidden
