"""Which rows there are: each is a command line of ``task=pretrain``, run for several seeds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from singleimg.errors import UserError

RANDOM, RANDOM_CRITIC, SUPERVISED = "random", "random (critic)", "supervised"
ONE, FULL, HALF = "one image", "full set", "half"
REAL = "the real images"
METHODS = {
    "rotnet": "RotNet",
    "simclr": "SimCLR",
    "vicreg": "VICReg",
    "byol": "BYOL",
    "dino": "DINO",
    "deepcluster": "DeepCluster",
    "bigan": "MonoGAN",
}
# The eight rows of the paper's table 1, as changes to the preset.
_OFF = {"rotation": "deg=0", "scale": "scale=null", "jitter": "augment.jitter=0"}
ABLATION = (
    (),
    ("jitter",),
    ("rotation",),
    ("scale",),
    ("rotation", "jitter"),
    ("rotation", "scale"),
    ("jitter", "scale"),
    ("rotation", "scale", "jitter"),
)
PARTS = ("table", "students", "ablation", "choices")


@dataclass(frozen=True)
class Row:
    """One training, and what is read of it.

    overrides: what is typed after ``task=pretrain``. labelled: trains on the labelled set's own
    images, not on the photograph's. recomputed: probed once more with the BatchNorm statistics of
    the labelled set. role: of a ``trunk``, which is probed; of the ``teacher``; or of a
    ``student`` of it, which is tested as a classifier.
    """

    name: str
    seed: int
    overrides: tuple[str, ...]
    labelled: bool = False
    recomputed: bool = False
    role: str = "trunk"

    @property
    def label(self) -> str:
        """For people: with its seed."""
        return f"{self.name}, seed {self.seed}"

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return re.sub(r"[^a-z0-9+]+", "-", self.label.lower()).strip("-")


TEACHER_ROW = Row("teacher", 0, (), labelled=True, role="teacher")  # its overrides: the budget's


def table_name(method: str, images: str) -> str:
    """The name of a method's row."""
    return f"{METHODS[method]}, {images}"


def student_name(source: str) -> str:
    """The name of a student's row."""
    return f"student of {source}"


def baseline(method: str) -> str:
    """The name of the untrained row of a method's trunk."""
    return RANDOM_CRITIC if method == "bigan" else RANDOM


def ablation_name(factors: Sequence[str] | None) -> str:
    """``rotation+scale``; ``none``; ``all``, also for None."""
    if factors is None or len(factors) == len(_OFF):
        return "all"
    return "+".join(factors) or "none"


def rows_of(parts: Sequence[str], budget: Mapping[str, Any]) -> dict[str, list[Row]]:
    """The rows of each part, in the order in which they are made."""
    unknown = [part for part in parts if part not in PARTS]
    if unknown or not parts:
        raise UserError(
            f"task.parts=[{','.join(parts)}] is not a list of {', '.join(PARTS)}: type for example "
            "'task.parts=[ablation]'."
        )
    makers = {"table": table_rows, "students": student_rows, "ablation": ablation_rows,
              "choices": choice_rows}  # fmt: skip
    return {part: list(makers[part](budget)) for part in PARTS if part in parts}


def left_out(made: Sequence[Row], budget: Mapping[str, Any]) -> list[str]:
    """Names of rows that the whole design has and ``made`` has not: of another part, or methods of
    which the budget has none."""
    names = {row.name for row in made}
    whole = [row.name for rows in rows_of(PARTS, budget).values() for row in rows]
    missing = [METHODS[method] for method in METHODS if method not in budget["methods"]]
    return [name for name in dict.fromkeys((*whole, *missing)) if name not in names]


def table_rows(budget: Mapping[str, Any]) -> Iterator[Row]:
    """Random, supervised, and each method on one image and on the full set, at all its updates and
    at half of them, in trainings of their own; a method may have a row of ``few`` real images."""
    yield from _rows(RANDOM, budget["untrained"], recomputed=True)
    if "bigan" in budget["methods"]:
        yield from _rows(RANDOM_CRITIC, budget["untrained_critic"])
    yield from _rows(SUPERVISED, budget["supervised"], labelled=True)
    for method, settings in budget["methods"].items():
        few = settings.get("few")
        if few:
            name = table_name(method, f"{few:,} real images")
            yield from _rows(name, {**settings, "images": few}, labelled=True)
        for images in (ONE, FULL):
            name, labelled = table_name(method, images), images == FULL
            yield from _rows(name, settings, labelled=labelled, recomputed=not labelled)
            half = {**settings, "updates": settings["updates"] // 2}
            yield from _rows(f"{name}, {HALF}", half, labelled=labelled)


def student_rows(budget: Mapping[str, Any]) -> Iterator[Row]:
    """The teacher, and a student of each source and one of the real images, at equal updates."""
    settings = budget["students"]
    for row in _rows(TEACHER_ROW.name, {**settings["teacher"], "seeds": 1}, labelled=True):
        yield replace(TEACHER_ROW, overrides=row.overrides)
    for name, source in {**settings["sources"], REAL: {}}.items():
        overrides = [*settings["overrides"], *source.get("overrides", ())]
        own = {**settings, **source, "overrides": overrides}
        for row in _rows(student_name(name), own, labelled=name == REAL):
            yield replace(row, role="student")


def ablation_rows(budget: Mapping[str, Any]) -> Iterator[Row]:
    """One method under each subset of the preset's three factors, and the random row."""
    yield from _rows(RANDOM, budget["untrained"], recomputed=True)
    for factors in ABLATION:
        off = [text for factor, text in _OFF.items() if factor not in factors]
        settings = budget["ablation"]
        yield from _rows(
            ablation_name(factors), {**settings, "overrides": [*settings["overrides"], *off]}
        )


def choice_rows(budget: Mapping[str, Any]) -> Iterator[Row]:
    """What was tried before a row was chosen, each with seed 0, for validation images alone."""
    for name, settings in budget["choices"].items():
        for images in (ONE, FULL) if settings.get("full", True) else (ONE,):
            yield from _rows(
                f"{name}, {images}, tried", {**settings, "seeds": 1}, labelled=images == FULL
            )


def _rows(
    name: str, settings: Mapping[str, Any], labelled: bool = False, recomputed: bool = False
) -> Iterator[Row]:
    """A row for each seed; the number of images is a key of its own for the two kinds of sets."""
    key = "task.images" if labelled else "num_imgs"
    updates = [f"method.updates={settings['updates']}"] if "updates" in settings else []
    images = [f"{key}={settings['images']}"] if "images" in settings else []
    for seed in range(settings["seeds"]):
        overrides = (*settings["overrides"], *updates, *images, f"seed={seed}")
        yield Row(name, seed, overrides, labelled, recomputed=recomputed)
