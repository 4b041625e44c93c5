"""A pipeline as steps of the raster, for many images at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from singleimg.drawing.draws import Drawn, Draws
from singleimg.drawing.steps import ContainerStep, LawStep, Leaf, Step, changed, of_some
from singleimg.engines.raster.call import STEP, Do
from singleimg.engines.raster.rules import RULES, Part, Rule, steps_of
from singleimg.transforms.base import Measure


@dataclass(frozen=True)
class Program:
    """``steps`` (``STEP``, n×m) and ``taps`` (int16, n×t) of n images.

    Where a step's operation is ``Do.PYTHON``, its first whole number is the place of its leaf among
    ``leaves``, and its second that of the image among ``params`` of that leaf.
    """

    steps: np.ndarray
    taps: np.ndarray
    leaves: Sequence[Leaf]
    params: Sequence[list[dict]]


def rule_of(step: Leaf) -> Rule | None:
    """The rule of a step's transform, or None: it has none, or none for these settings."""
    settings = step.settings()
    known = isinstance(step, LawStep) or type(settings).__module__.startswith("singleimg.")
    if not known:
        from torchvision.transforms import v2

        # torchvision's own, not a subclass of it
        known = getattr(v2, step.name, None) is type(settings)
    rule, serves = RULES.get(step.name, (None, None))
    return rule if known and rule and serves(settings) else None


class Programmer:
    """Makes programs of what a pipeline draws; ``python``: the leaves that have no rule."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps
        self._rules: dict[int, Rule] = {}
        self.python: list[Leaf] = []
        for leaf in (leaf for step in steps for leaf in step.leaves()):
            rule = rule_of(leaf)
            if rule is None:
                self.python.append(leaf)
            else:
                self._rules[id(leaf)] = rule

    def program(self, draws: Draws) -> Program:
        """What to do for each image."""
        params: list[list[dict]] = [[] for _ in self.python]
        parts, size = [], draws.size
        for step, drawn in zip(self._steps, draws.steps, strict=True):
            parts.append(self._part(step, drawn, size, len(draws), params))
            size = step.after(size, drawn)
        whole = _beside(parts, len(draws))
        return Program(
            np.ascontiguousarray(whole.steps), np.ascontiguousarray(whole.taps), self.python, params
        )

    def _part(
        self, step: Step, drawn: Drawn, size: Measure, count: int, params: list[list[dict]]
    ) -> Part:
        if isinstance(step, ContainerStep):
            return self._container(step, drawn, size, count, params)
        if id(step) in self._rules:
            columns = drawn.columns if drawn.params is None else _columns(drawn.params)
            part = self._rules[id(step)](step.settings(), columns, size, count)
        else:
            place = self.python.index(step)
            part = Part(steps_of(Do.PYTHON, count))
            part.steps["whole"][:, 0, 0] = place
            part.steps["whole"][:, 0, 1] = np.arange(count) + len(params[place])
            params[place] += drawn.dicts(count)
        if drawn.gated:
            part.steps["operation"][~drawn.on] = Do.NOTHING
        return part

    def _container(
        self, step: ContainerStep, drawn: Drawn, size: Measure, count: int, params: list[list[dict]]
    ) -> Part:
        """What comes first for each image, then what comes second …"""
        parts = []
        for place in drawn.order.T:
            for position, child in enumerate(step.children):
                rows = np.flatnonzero(place == position)
                if not len(rows):
                    continue
                some, own = of_some(size, rows), drawn.children[position].of(rows)
                part = self._part(child, own, some, len(rows), params)
                size = changed(size, rows, child.after(some, own))
                parts.append(part if len(rows) == count else _spread(part, rows, count))
        return _beside(parts, count)


def _columns(params: Sequence[dict]) -> dict[str, np.ndarray]:
    return {name: np.array([one[name] for one in params]) for name in (params[0] if params else ())}


def _spread(part: Part, rows: np.ndarray, count: int) -> Part:
    steps = np.zeros((count, part.steps.shape[1]), STEP)
    taps = np.zeros((count, part.taps.shape[1]), np.int16)
    steps[rows] = part.steps
    if part.taps.size:
        taps[rows] = part.taps
    return Part(steps, taps)


def _beside(parts: Sequence[Part], count: int) -> Part:
    """Parts one after the other; their blurs find their weights where those lie now."""
    first = 0
    for part in parts:
        if part.taps.size:
            for place in (0, 2):
                part.steps["whole"][..., place][part.steps["operation"] == Do.BLUR] += first
            first += part.taps.shape[1]
    taps = [part.taps for part in parts if part.taps.size]
    return Part(
        np.concatenate([np.zeros((count, 0), STEP), *(part.steps for part in parts)], axis=1),
        np.concatenate([np.zeros((count, 0), np.int16), *taps], axis=1),
    )
