"""What was drawn as JSON, from columns: the text that ``json.dumps`` makes of a record, sooner."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from singleimg.drawing.drawn import Drawn


def transforms_texts(steps: tuple[Drawn, ...], count: int) -> list[str]:
    """``json.dumps(record["transforms"])`` of each of ``count`` images."""
    if not steps:
        return ["[]"] * count
    parts = [
        [f"{{{first}, {body}}}" if body else f"{{{first}}}" for body in _bodies(step, count)]
        for step in steps
        for first in [f'"name": {json.dumps(step.name)}']
    ]
    return [f"[{', '.join(row)}]" for row in zip(*parts, strict=True)]


def plain(value: Any) -> Any:
    """``value`` with tensors, arrays, tuples and enums turned into JSON values."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # of torch and NumPy
        return value.tolist()
    if isinstance(value, int | float | str | bool | None):
        return value.value if hasattr(value, "value") else value
    return plain(value.value) if hasattr(value, "value") else repr(value)


def _bodies(drawn: Drawn, count: int) -> list[str]:
    """The parameters of each image, without the braces around them."""
    if drawn.order is not None:
        children = [
            [f'{{"name": {json.dumps(child.name)}, "params": {{{body}}}}}' for body in bodies]
            for child in drawn.children
            for bodies in [_bodies(child, count)]
        ]
        orders = [[position for position in row if position >= 0] for row in drawn.order.tolist()]
        return [
            f'"order": {order}, "transforms": [{", ".join([children[p][k] for p in order])}]'
            for k, order in enumerate(orders)
        ]
    if drawn.params is not None:
        bodies = [json.dumps(plain(params or {}))[1:-1] for params in drawn.params]
    else:
        columns = [_texts(column, count) for column in drawn.columns.values()]
        template = ", ".join(f"{json.dumps(name)}: %s" for name in drawn.columns)
        bodies = [template % row for row in zip(*columns, strict=True)] if columns else [""] * count
    if not drawn.gated:
        return bodies
    return [
        (f'"apply": true, {body}' if body else '"apply": true') if on else '"apply": false'
        for body, on in zip(bodies, drawn.on.tolist(), strict=True)
    ]


def _texts(column: np.ndarray | None, count: int) -> list[str]:
    if column is None:
        return ["null"] * count
    if column.ndim == 1 and column.dtype.kind in "if":  # what they print as is what JSON has
        return list(map(repr, column.tolist()))
    known: dict[Any, str] = {}
    return [
        json.dumps(value) if isinstance(value, list) else known.setdefault(value, json.dumps(value))
        for value in column.tolist()
    ]
