"""Which rows there are: each is a command line of ``task=pretrain``, run for several seeds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from singleimg.errors import UserError

RANDOM, RANDOM_CRITIC, SUPERVISED = "random", "random (critic)", "supervised"
ONE, FULL = "one image", "full set"
METHODS = {"rotnet": "RotNet", "deepcluster": "DeepCluster", "bigan": "MonoGAN"}
# The untrained row of the same trunk.
BASELINES = {"rotnet": RANDOM, "deepcluster": RANDOM, "bigan": RANDOM_CRITIC}
THIRDS = (1 / 3, 2 / 3)
EARLY = [0, 1]  # layers whose gaps are followed through the training, 0 …
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


@dataclass(frozen=True)
class Row:
    """One training and its probes.

    overrides: what is typed after ``task=pretrain``. full: trains on the labelled set's own images,
    not on the photograph's. early: probes at thirds of the training too.
    """

    name: str
    seed: int
    overrides: tuple[str, ...]
    full: bool = False
    early: bool = False

    @property
    def label(self) -> str:
        """For people: with its seed."""
        return f"{self.name}, seed {self.seed}"

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return re.sub(r"[^a-z0-9+]+", "-", self.label.lower()).strip("-")


def table_name(method: str, images: str) -> str:
    """The name of a method's row."""
    return f"{METHODS[method]}, {images}"


def ablation_name(factors: Sequence[str]) -> str:
    """``rotation+scale``; ``none``, ``all``."""
    return {0: "none", len(_OFF): "all"}.get(len(factors), "+".join(factors))


PARTS = ("table", "ablation")


def rows_of(parts: Sequence[str], budget: Mapping[str, Any]) -> tuple[list[Row], list[Row]]:
    """The rows of the table, and those of the ablation that are not rows of the table too."""
    unknown = [part for part in parts if part not in PARTS]
    if unknown or not parts:
        raise UserError(
            f"task.parts=[{','.join(parts)}] is not a list of {', '.join(PARTS)}: type for example "
            "'task.parts=[ablation]'."
        )
    rows = table_rows(budget)
    if "table" not in parts:
        rows = [row for row in rows if row.name in (RANDOM, table_name("deepcluster", ONE))]
    return rows, ablation_rows(budget) if "ablation" in parts else []


def left_out(made: Sequence[Row], budget: Mapping[str, Any]) -> list[str]:
    """Names of rows of the whole design of which ``made`` has none: of another part, or of a
    budget that gives them no seed."""
    each = {key: {**one, "seeds": 1} if isinstance(one, Mapping) else one
            for key, one in budget.items()}  # fmt: skip
    names = {row.name for row in made}
    whole = dict.fromkeys(row.name for row in (*table_rows(each), *ablation_rows(each)))
    return [name for name in whole if name not in names]


def table_rows(budget: Mapping[str, Any]) -> list[Row]:
    """Random, supervised, and each method on one image and on the full set: equal updates."""
    rows = []
    for name, method in ((RANDOM, "untrained"), (RANDOM_CRITIC, "untrained_critic")):
        rows += _rows(name, budget[method])
    rows += _rows(SUPERVISED, budget["supervised"], full=True)
    for method in METHODS:
        for images in (ONE, FULL):
            rows += _rows(table_name(method, images), budget[method], images == FULL, early=True)
    return rows


def ablation_rows(budget: Mapping[str, Any]) -> list[Row]:
    """DeepCluster under each subset of the preset's three factors; ``all`` is its table row."""
    rows = []
    for factors in ABLATION[:-1]:
        off = tuple(text for factor, text in _OFF.items() if factor not in factors)
        for row in _rows(ablation_name(factors), budget["deepcluster"]):
            rows.append(replace(row, overrides=(*row.overrides, *off)))
    return rows


def _rows(
    name: str, settings: Mapping[str, Any], full: bool = False, early: bool = False
) -> Iterator[Row]:
    """A row for each seed; the number of images is a key of its own for the two kinds of sets."""
    key = "task.images" if full else "num_imgs"
    for seed in range(settings["seeds"]):
        overrides = (*settings["overrides"], f"{key}={settings['images']}", f"seed={seed}")
        yield Row(name, seed, overrides, full, early)
