"""Which law serves an entry of ``augment.transforms``. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from singleimg.drawing.steps import ApplyStep, ContainerStep, LawStep, OrderStep, Step
from singleimg.errors import UserError
from singleimg.transforms import geometry, torchvision
from singleimg.transforms.base import Law

_V2 = "torchvision.transforms.v2"
LAWS: dict[str, type[Law]] = {
    f"{law.home}.{law.name}": law
    for module in (geometry, torchvision)
    for law in vars(module).values()
    if isinstance(law, type) and issubclass(law, Law) and hasattr(law, "name")
}


def step_of_entry(entry: Mapping[str, Any], place: int) -> Step | None:
    """The step of one entry, plain values with a ``_target_``, or None: its object is needed.

    None also where torchvision takes settings that a law does not, and where it would refuse them:
    who makes the object then learns why.
    """
    settings = dict(entry)
    target = settings.pop("_target_", None)
    try:
        if target in LAWS:
            return LawStep(LAWS[target](**settings), place)
        kind = str(target).removeprefix(f"{_V2}.")
        if target not in (f"{_V2}.Compose", f"{_V2}.RandomApply", f"{_V2}.RandomOrder"):
            return None
        children = [step_of_entry(child, place) for child in settings.pop("transforms")]
        if not children or None in children:
            return None
        if kind == "RandomApply":
            p = settings.pop("p", 0.5)
            right = not settings and type(p) in (int, float) and 0 <= p <= 1
            return ApplyStep(kind, place, children, p) if right else None
        return (ContainerStep if kind == "Compose" else OrderStep)(kind, place, children)
    except (UserError, TypeError, ValueError, KeyError, AttributeError):
        return None
