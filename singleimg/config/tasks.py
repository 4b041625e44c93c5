"""The keys of each task (``task.<key>``), and which keys of others it reads.

A key that one task reads is a field here: one line, with its default, its range and its help. A key
that several read is a top-level one of ``schema.Config``, in a section by which tasks name it here.
"""
# ruff: noqa: RUF009, since key() gives a field of dataclasses

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

from singleimg.config.ranges import Check, Choice, Count, Fractions, Range


def key(default: Any, help: str, check: Check | None = None, **more: bool | str) -> Any:
    """A key of a task. ``path``: as in ``schema``. ``typed``: taken from the command line alone."""
    metadata = {"help": help, "check": check, **more}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class Task:
    """What every task has. ``reads``: sections, or single keys. ``beside``: sections and keys that
    are not read beside a key of those that are: its images are taken as they are."""

    reads: ClassVar[tuple[str, ...]] = ()
    beside: ClassVar[dict[str, tuple[str, ...]]] = {}
    _target_: str = "???"
    name: str = "???"


_IMAGES = ("num_imgs", "img_size", "seed", "experiment", "source", "augmentation")
_LAYERS = Choice(tuple(f"conv{number}" for number in range(1, 6)), "conv2")


@dataclass
class Generate(Task):
    reads = (*_IMAGES, "targetpath", "work", "commit", "encode", "output", "debug", "slice",
             "report")  # fmt: skip


@dataclass
class Preview(Task):  # and what a run reads beside: its command is typed again with task=preview
    reads = (*_IMAGES, "targetpath", "work", "commit", "encode", "output", "debug",
             "slice", "report", "preview")  # fmt: skip


@dataclass
class Prepare(Task):
    reads = (*_IMAGES, "targetpath", "work", "commit", "encode", "output")
    slices: int | None = key(
        None, "in how many slices it will be made", Range(1, None, "a number of slices")
    )


@dataclass
class Finish(Task):
    reads = ("targetpath", "commit")


@dataclass
class Card(Task):
    reads = ("targetpath", "commit")
    licence: str | None = key(None, "of the source, as SPDX writes it or in words; null: as it was")


@dataclass
class Report(Task):
    reads = ("targetpath", "commit")


@dataclass
class Verify(Task):
    reads = ("targetpath", "work")
    deep: bool = key(False, "render a sample of the images again, and compare", typed=True)


@dataclass
class Repair(Verify):
    reads = ("targetpath", "work", "commit")


@dataclass
class Export(Task):
    reads = ("targetpath", "work", "commit", "output")
    to: str | None = key(None, "folder or URL of the new dataset", path="write", typed=True)


@dataclass
class Doctor(Task):
    reads = (*_IMAGES[1:], "encode")


@dataclass
class Pretrain(Task):
    reads = (*_IMAGES, "targetpath", "work", "method", "network", "data", "devices", "training")
    beside: ClassVar = {
        "data": ("task.dataset", "num_imgs", "source", "augmentation"),
        "task.dataset": ("num_imgs", "img_size", "source", "augmentation"),
    }
    dataset: str | None = key(
        None, "a dataset that was made, to train on; null: rendered as needed", path="read"
    )
    images: Any = key(None, "of task.dataset or data only so many; null: all", Count())
    resume: str = key(
        "auto",
        "a training in targetpath: auto (resume it) | never (replace it)",
        Choice(("auto", "never"), "auto"),
    )
    keep: list[float] = key(
        [], "fractions of the training whose checkpoints stay, 0 … 1", Fractions()
    )
    insist: bool = key(False, "train RotNet although black corners show the rotations")
    tensorboard: bool = key(True, "log for TensorBoard too, where it is installed")


@dataclass
class Probe(Task):
    reads = ("targetpath", "threads", "seed", "data", "probe", "devices")
    checkpoint: Any = key(
        None, "the folder of a training, or one of its .pt files, or a list", path="read"
    )
    layer: str | None = key(
        None, "whose accuracy a sweep compares: conv1, conv2 …; null: the last", _LAYERS
    )


@dataclass
class ExportTrunk(Task):
    checkpoint: str | None = key(
        None,
        "whose trunk: the folder of a training, one of its .pt files, or such a .safetensors file",
        path="read",
    )
    to: str | None = key(
        None, "the file to write, which ends in .safetensors", path="write", typed=True
    )
    head: bool = key(
        False, "write top and head of method=supervised too: a classifier, not its trunk alone"
    )


@dataclass
class Evaluate(Task):
    reads = (*_IMAGES, "targetpath", "work", "method", "network", "data", "probe", "devices",
             "training")  # fmt: skip
    layer: str | None = key(
        None, "whose accuracy it gives: conv1, conv2 …; null: the last", _LAYERS
    )
    resume: str = key(
        "auto",
        "a training in targetpath: auto (resume it) | never (replace it)",
        Choice(("auto", "never"), "auto"),
    )
    insist: bool = key(False, "train RotNet although black corners show the rotations")
    tensorboard: bool = key(True, "log for TensorBoard too, where it is installed")


@dataclass
class Distil(Task):
    reads = (*_IMAGES, "targetpath", "work", "method", "network", "data", "devices", "training")
    real: bool = key(
        False, "train a student on the training images of data too, without labels: the row above"
    )
    resume: str = key(
        "auto",
        "a training in targetpath: auto (resume it) | never (replace it)",
        Choice(("auto", "never"), "auto"),
    )
    keep: list[float] = key(
        [], "fractions of the training whose checkpoints stay, 0 … 1", Fractions()
    )
    tensorboard: bool = key(True, "log for TensorBoard too, where it is installed")


@dataclass
class Shortcut(Task):
    reads = (*_IMAGES[1:], "work", "devices", "shortcut")


@dataclass
class Study(Task):
    reads = ("targetpath", "experiment", "source", "work", "network", "data", "probe", "budget",
             "devices", "training", "shortcut")  # fmt: skip
    parts: list[str] = key(
        ["table", "students"], "which of table, students, ablation, choices it makes"
    )


TASKS: dict[str, type[Task]] = {
    re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower(): kind
    for kind in (
        Generate,
        Preview,
        Prepare,
        Finish,
        Card,
        Report,
        Verify,
        Repair,
        Export,
        Doctor,
        Pretrain,
        Probe,
        ExportTrunk,
        Evaluate,
        Distil,
        Shortcut,
        Study,
    )
}
