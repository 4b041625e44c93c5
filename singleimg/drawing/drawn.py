"""What one step drew for many images, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from singleimg.transforms.base import Parameters, rows_of


@dataclass(frozen=True)
class Drawn:
    """What one step drew for n images.

    name: of the step. on: bool, n: the images for which it happens; None: all. gated: whether
    ``on`` was drawn by the step itself. columns: of a law, each parameter's values, n or n×k, those
    where it does not happen unspecified; None: no image has a value. order: of a container, int64
    n×children: which of its children happen, in their order, then −1. children: what those drew,
    each for all n images. params: of a step without a law, what was drawn image by image, None
    where it does not happen.
    """

    name: str
    on: np.ndarray | None = None
    gated: bool = False
    columns: Parameters | None = None
    order: np.ndarray | None = None
    children: tuple[Drawn, ...] = ()
    params: list[dict[str, Any] | None] | None = None

    def of(self, rows: np.ndarray) -> Drawn:
        """The same of some of the images, by their places (int64)."""
        picked = lambda column: None if column is None else column[rows]  # noqa: E731
        return Drawn(
            self.name,
            picked(self.on),
            self.gated,
            self.columns and {name: picked(column) for name, column in self.columns.items()},
            picked(self.order),
            tuple(child.of(rows) for child in self.children),
            None if self.params is None else [self.params[k] for k in rows.tolist()],
        )

    def gated_by(self, on: np.ndarray) -> Drawn:
        """The same of a leaf that drew whether it happens."""
        return Drawn(self.name, on, True, self.columns, params=self.params)

    def dicts(self, count: int) -> list[dict[str, Any]]:
        """The parameters image by image, plain Python values; ``count`` is n.

        Nothing of meaning where the step does not happen, unless it is ``gated``.
        """
        if self.order is not None:
            children = [child.dicts(count) for child in self.children]
            return [
                {
                    "order": (order := [position for position in row if position >= 0]),
                    "transforms": [
                        {"name": self.children[position].name, "params": children[position][k]}
                        for position in order
                    ],
                }
                for k, row in enumerate(self.order.tolist())
            ]
        rows = rows_of(self.columns, count) if self.params is None else self.params
        if not self.gated:
            return rows
        return [
            {"apply": True, **row} if on else {"apply": False}
            for row, on in zip(rows, self.on.tolist(), strict=True)
        ]


def joined(name: str, count: int, parts: Sequence[tuple[np.ndarray, Drawn]]) -> Drawn:
    """What one step drew for ``count`` images, from what it drew for some of them each time.

    Of each part the places of its images come first; it is of the others that it did not happen.
    """
    if len(parts) == 1 and len(parts[0][0]) == count > 0:
        return parts[0][1]
    first = parts[0][1]

    def spread(values: Sequence[np.ndarray | None], fill: Any = 0) -> np.ndarray | None:
        if values[0] is None:
            return None
        whole = np.full((count, *values[0].shape[1:]), fill, values[0].dtype)
        for (rows, _), value in zip(parts, values, strict=True):
            whole[rows] = value
        return whole

    on, params = np.zeros(count, bool), None if first.params is None else [None] * count
    for rows, part in parts:
        on[rows] = True if part.on is None else part.on
        for row, one in zip(rows.tolist(), part.params or (), strict=False):
            params[row] = one
    return Drawn(
        name,
        on,
        first.gated,
        first.columns
        and {key: spread([part.columns[key] for _, part in parts]) for key in first.columns},
        spread([part.order for _, part in parts], fill=-1),
        tuple(
            joined(child.name, count, [(rows, part.children[k]) for rows, part in parts])
            for k, child in enumerate(first.children)
        ),
        params,
    )
