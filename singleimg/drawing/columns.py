"""What was drawn for an image as a flat row of typed columns, for tables.

A column is named after its transform and its parameter, ``crop_resize_affine_angle``; each element
of a short list has one (``color_jitter_fn_idx_0``). Which columns there are, and of which type,
depends on the transforms alone, not on what happened to be drawn: a transform that an image did
without has nulls in that row.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from singleimg.drawing.drawn import Drawn
from singleimg.drawing.draws import Draws, Sample
from singleimg.drawing.pipeline import Pipeline
from singleimg.drawing.steps import (
    ApplyStep,
    ChoiceStep,
    ContainerStep,
    LawStep,
    Leaf,
    OrderStep,
    Step,
    repeated,
)
from singleimg.drawing.stream import Streams
from singleimg.drawing.texts import plain
from singleimg.errors import UserError
from singleimg.transforms.base import Measure, Size

_TRIALS = 16  # draws of each transform from which the types of its parameters are known
_WIDEST = 64  # elements of a list that get a column each; a longer one is a text of JSON
_ABSENT = object()  # no value, and no null either
_KINDS = {bool: "bool", int: "int64", float: "float64", str: "string"}


class Columns:
    """The columns of a pipeline; ``types`` by name, each bool, int64, float64 or string.

    ``always``: those that have a value in every row.
    """

    def __init__(self, pipeline: Pipeline, size: Size) -> None:
        self._steps = pipeline.steps
        self._prefixes: list[str] = []  # of the leaves, in their order
        self.types: dict[str, str] = {}
        self.always: set[str] = set()
        measure: Measure = lambda: np.array([size])  # noqa: E731
        for place, step in enumerate(self._steps):
            measure = self._add(step, place, measure, always=True)
        self._index()

    def _index(self) -> None:
        leaves = [leaf for step in self._steps for leaf in step.leaves()]
        self._prefix_of = dict(zip(map(id, leaves), self._prefixes, strict=True))
        self._by_columns = all(map(_in_order, self._steps))
        self._last: tuple[Draws, list[dict[str, Any]]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_last": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state
        self._index()  # in another process the steps are other objects

    def row(self, sample: Sample) -> dict[str, Any]:
        """The values of one image; a column that is left out is null.

        Raises UserError when a value does not fit the type of its column.
        """
        if sample.drawn is not None and self._by_columns:
            draws, place = sample.drawn
            if self._last is None or self._last[0] is not draws:
                self._last = draws, self.rows(draws)
            return self._last[1][place]
        row: dict[str, Any] = {}
        for step, params in zip(self._steps, sample.params, strict=True):
            for name, value in self._values(step, params):
                row[name] = self._fitting(name, value)
        return row

    def rows(self, draws: Draws) -> list[dict[str, Any]]:
        """The rows of many images, of a pipeline of laws that happen in their order."""
        everyone = np.ones(len(draws), bool)
        columns = [
            column
            for step, drawn in zip(self._steps, draws.steps, strict=True)
            for column in self._filled(step, drawn, everyone)
        ]
        if not columns:
            return [{} for _ in range(len(draws))]
        names = [name for name, _ in columns]
        return [
            {name: value for name, value in zip(names, row, strict=True) if value is not _ABSENT}
            for row in zip(*(values for _, values in columns), strict=True)
        ]

    def _filled(self, step: Step, drawn: Drawn, on: np.ndarray) -> Iterator[tuple[str, list[Any]]]:
        """The columns of a step and their values, absent where not ``on``."""
        if isinstance(step, ContainerStep):
            for position, child in enumerate(step.children):
                happens = on & (drawn.order == position).any(axis=1)
                yield from self._filled(child, drawn.children[position], happens)
            return
        prefix = self._prefix_of[id(step)]
        if drawn.gated:
            yield f"{prefix}_apply", _where(on, drawn.on)
            on = on & drawn.on
        for name, column in drawn.columns.items():
            if column is None or column.ndim == 1:
                yield f"{prefix}_{name}", _where(on, column)
                continue
            for place, part in enumerate(column.T):
                yield f"{prefix}_{name}_{place}", _where(on, part)

    def _fitting(self, name: str, value: Any) -> Any:
        kind, own = self.types.get(name), _KINDS.get(type(value))
        if kind == own or value is None:
            return value
        if kind == "float64" and own == "int64":
            return float(value)
        if kind == "string":
            return str(value)
        fits = f"does not fit its column of {kind}" if kind else "has no column"
        raise UserError(
            f"the drawn {name}={value!r} {fits}: type save_params=false, or let its transform draw "
            "values of one type."
        )

    def _values(self, step: Step, params: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        if isinstance(step, ContainerStep):
            for position, drawn in zip(params["order"], params["transforms"], strict=True):
                yield from self._values(step.children[position], drawn["params"])
        else:
            yield from _flat(self._prefix_of[id(step)], plain(params))

    # --- which columns there are ---

    def _add(self, step: Step, place: int, size: Measure, always: bool) -> Measure:
        """Takes in the columns of a step that gets a picture of ``size``; the size that it gives.

        Measured when asked for, as draws do: a transform that is tried on a black picture may fail.
        """
        if isinstance(step, ContainerStep):
            always = always and not isinstance(step, ApplyStep | ChoiceStep)
            after = size
            for child in step.children:  # of a choice each gets the picture as it comes
                one = size if isinstance(step, ChoiceStep) else after
                after = self._add(child, place, one, always)
            return after
        prefix, gated = self._add_prefix(step), step.p is not None
        if gated:
            self._take_in(f"{prefix}_apply", {"bool"}, always)
        seen: dict[str, list[str]] = {}
        drawn = step.draw_params(Streams(0, np.arange(_TRIALS), place), repeated(size, _TRIALS))
        for params in drawn.dicts(_TRIALS):
            for name, value in _flat(prefix, plain(params)):
                if value is not None:
                    seen.setdefault(name, []).append(_KINDS[type(value)])
        for name, kinds in seen.items():
            self._take_in(name, set(kinds), always and not gated and len(kinds) == _TRIALS)
        one = drawn.of(np.array([0]))
        return step.after(size, one.gated_by(np.array([True])) if gated else one)

    def _take_in(self, name: str, kinds: set[str], always: bool) -> None:
        self.types[name] = _joint(kinds)
        if always:
            self.always.add(name)

    def _add_prefix(self, leaf: Leaf) -> str:
        """A name of its own for a leaf: that of its transform, with a number when it is taken."""
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", leaf.name).lower()
        name, number = words, 1
        while name in self._prefixes:
            number += 1
            name = f"{words}_{number}"
        self._prefixes.append(name)
        return name


def _in_order(step: Step) -> bool:
    """Whether a step is of laws that happen in the order in which they stand."""
    if isinstance(step, ContainerStep):
        return not isinstance(step, OrderStep) and all(map(_in_order, step.children))
    return isinstance(step, LawStep)


def _where(on: np.ndarray, column: np.ndarray | None) -> list[Any]:
    values = [None] * len(on) if column is None else column.tolist()
    if on.all():
        return values
    return [value if here else _ABSENT for value, here in zip(values, on.tolist(), strict=True)]


def _joint(kinds: set[str]) -> str:
    if len(kinds) == 1:
        return next(iter(kinds))
    return "float64" if kinds == {"int64", "float64"} else "string"


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """``value`` as plain values, each under a name of its own."""
    if not isinstance(value, dict | list):
        yield name, value
        return
    items = value.items() if isinstance(value, dict) else enumerate(value)
    parts = [part for key, inner in items for part in _flat(f"{name}_{key}", inner)]
    if isinstance(value, list) and len(parts) > _WIDEST:
        yield name, json.dumps(value)
    else:
        yield from parts
