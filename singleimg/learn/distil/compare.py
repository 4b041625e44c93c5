"""A teacher and its students on the test images of a labelled set, read once, at the end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from singleimg.errors import UserError
from singleimg.learn.data.base import Labelled, targets
from singleimg.learn.data.batches import Images, open_images
from singleimg.learn.data.crops import centre
from singleimg.storage.local import LocalStore
from singleimg.system.bars import counted

RECORD = "distil.json"
TEACHER, STUDENT, REAL = "teacher", "student", "student, real images"  # names of rows
_CHUNK = 250  # images a pass


@dataclass(frozen=True)
class Row:
    """One classifier.

    images: what it was trained on, for people. updates, seconds: of its training, None where they
    are not known. accuracy: on the test images, 0 … 1. agreement: the share of them of which it
    says what the teacher says.
    """

    name: str
    images: str
    updates: int | None
    seconds: float | None
    accuracy: float
    agreement: float


@dataclass(frozen=True)
class Comparison:
    """data: the labelled set, and ``tested``: how many test images it has. of: what the result
    depends on (JSON), so that it is not computed twice. rows: the teacher first."""

    data: str
    tested: int
    of: Mapping[str, Any]
    rows: Sequence[Row]

    def markdown(self) -> str:
        """A line a row, shares in percent."""
        lines = ["| | images | updates | minutes | accuracy | agreement |",
                 "|---|---|---:|---:|---:|---:|"]  # fmt: skip
        lines += [f"| {' | '.join(cells(row))} |" for row in self.rows]
        return "\n".join(lines)


def cells(row: Row) -> list[str]:
    """What stands in the line of a row."""
    known = [
        "–" if value is None else form.format(value)
        for form, value in (
            ("{:,}", row.updates),
            ("{:.1f}", None if row.seconds is None else row.seconds / 60),
        )
    ]
    shares = [f"{100 * share:.1f}" for share in (row.accuracy, row.agreement)]
    return [row.name, row.images, *known, *shares]


def classes_said(
    models: Mapping[str, nn.Module],
    data: Labelled,
    size: int,
    device: torch.device,
    *,
    workers: int,
    memory: float,
) -> dict[str, Tensor]:
    """By the names of ``models`` the class that each says of each test image, ``int64`` N.

    size: side of the images that they see, pixels. memory: GB; a larger set is read in batches.
    """
    images = open_images(data.test(), size, workers=workers, memory=memory)
    said: dict[str, list[Tensor]] = {name: [] for name in models}
    for pixels in _batches(images):
        seen = centre(pixels.to(device).float() / 255, size)
        for name, model in models.items():
            with torch.no_grad():
                said[name].append(model.eval()(seen).argmax(1).cpu())
    return {name: torch.cat(parts) for name, parts in said.items()}


def _batches(images: Images) -> Any:
    starts = range(0, len(images), _CHUNK)
    batches = [np.arange(first, min(first + _CHUNK, len(images))) for first in starts]
    return counted(images.batches(batches), len(batches), "batch", "test images")


def shares(said: Mapping[str, Tensor], data: Labelled) -> dict[str, tuple[float, float]]:
    """Accuracy, and agreement with the teacher, 0 … 1, by the names of ``said``."""
    labels = torch.tensor(targets(data.test()))
    return {
        name: (share(classes, labels), share(classes, said[TEACHER]))
        for name, classes in said.items()
    }


def share(classes: Tensor, wanted: Tensor) -> float:
    """Of images whose class is the wanted one."""
    return (classes == wanted).double().mean().item()


def write(folder: Path, comparison: Comparison) -> None:
    """``distil.json`` into ``folder``, whole or not at all."""
    LocalStore(folder).write(RECORD, json.dumps(asdict(comparison), indent=2) + "\n")


def read(folder: Path) -> Comparison:
    """What :func:`write` wrote."""
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        rows = [Row(**row) for row in found["rows"]]
        return Comparison(found["data"], found["tested"], found["of"], rows)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder / RECORD} cannot be read ({' '.join(str(error).split())}): remove it, and "
            "type the command that wrote it again."
        ) from None
