"""The page of a student: that of its training, and what it knows of a labelled set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from singleimg.dataset.target import PAGE
from singleimg.learn.distil.compare import RECORD as RECORD
from singleimg.learn.distil.compare import STUDENT, Comparison, Row, cells, read
from singleimg.learn.training.page import training_page
from singleimg.learn.training.trunk import fingerprint, load_record
from singleimg.report.results import Cell, Section, Table
from singleimg.storage.local import LocalStore

_HEADS = ("classifier", "images", "updates", "minutes", "test accuracy, %",
          "agrees with the teacher, %")  # fmt: skip


def write_page(folder: Path, trusted_modules: Sequence[str] = ()) -> Path:
    """Writes ``report.html`` beside the checkpoints of a student; where."""
    page, found = training_page(folder, trusted_modules), read(folder)
    if found.of.get(STUDENT) == fingerprint(load_record(folder)):  # else of a training before it
        page.sections.insert(0, section(found))
    store = LocalStore(folder)
    with store.errors():
        store.write(PAGE, page.html())
    return folder / PAGE


def section(comparison: Comparison) -> Section:
    """The table, and through what the labelled set reached the student."""
    data, tested = comparison.data, f"{comparison.tested:,}"
    said = [
        f"No image and no label of {data} reached the student but through its teacher, which was "
        "trained with labels: the student saw the images that are described below, and the scores "
        "that the teacher gives them.",
        f"The {tested} test images of {data} were read once, after the training.",
    ]
    if len(comparison.rows) > 2:
        said.append(
            "The row of real images is a student with the same settings and as many updates. It "
            f"saw the training images of {data}, without their labels."
        )
    table = Table(_HEADS, [_line(row) for row in comparison.rows])
    return Section(f"What it knows of {data}", said=said, tables=[table])


def _line(row: Row) -> list[Cell]:
    values = [None, None, row.updates, row.seconds, row.accuracy, row.agreement]
    return [Cell(text, value) for text, value in zip(cells(row), values, strict=True)]
