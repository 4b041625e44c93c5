"""``image=folder``: every picture of a folder."""

from __future__ import annotations

from pathlib import Path

from singleimg.errors import UserError
from singleimg.sources.decoding import SUFFIXES
from singleimg.sources.file import File


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
