"""Which output wrote a dataset, by the layout in its recipe."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from singleimg.encoders.base import suffix_of
from singleimg.errors import UserError

if TYPE_CHECKING:
    from singleimg.outputs.base import Output


def described(
    layout: Mapping[str, Any], like: Output | None = None, *, encoding: str = "jpeg"
) -> Output:
    """The output that wrote a dataset of that ``layout`` (the part of its recipe).

    ``like``: an output whose class may be meant; ``encoding`` of its images. Raises UserError when
    there is none of that name, or when it refuses the layout.
    """
    name = str(layout.get("output"))
    try:
        kind = type(like) if like is not None and like.name == name else _kind(name)
        own = {key: layout[key] for key in (*kind.own, "shard_size")}
        return kind(**own, image_suffix=suffix_of(encoding))
    except (ImportError, AttributeError, KeyError, TypeError) as error:
        raise UserError(
            f"a dataset of output={name} cannot be read here ({type(error).__name__}: {error}), "
            "since its recipe.json is corrupted or of another version: type task=repair, or use "
            "that version."
        ) from None


def _kind(name: str) -> type[Output]:
    if not name.isidentifier():
        raise ImportError(f"{name!r} is not an output")
    module = importlib.import_module(f"singleimg.outputs.{name}")
    kinds = [one for one in vars(module).values() if isinstance(one, type)]
    found = [one for one in kinds if getattr(one, "name", None) == name]
    if not found:
        raise ImportError(f"{name} is not an output")
    return found[0]
