"""A recipe in words: one sentence for each transform."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Settings = Mapping[str, Any]


def sentences(transforms: Sequence[Settings]) -> list[str]:
    """A sentence for each entry of a recipe's ``transforms``: values with a ``_target_``."""
    return [f"{text[:1].upper()}{text[1:]}." for text in map(_words, transforms)]


def _words(entry: Settings) -> str:
    name = str(entry.get("_target_", "")).rpartition(".")[2]
    settings = {key: value for key, value in entry.items() if key != "_target_"}
    if name in ("RandomApply", "Compose", "RandomOrder", "RandomChoice", "Sequential"):
        inner = "; ".join(_words(one) for one in settings.get("transforms", ()))
        how = {
            "RandomApply": f"with probability {_n(settings.get('p', 0.5))}: ",
            "RandomOrder": "in random order: ",
            "RandomChoice": "one of: ",
        }
        return how.get(name, "") + inner
    try:
        if name in _OWN:
            return _OWN[name](settings)
        values = {"p": 0.5, **_DEFAULTS.get(name, {}), **settings}
        return _SAY[name].format_map({key: _n(value) for key, value in values.items()})
    except (KeyError, TypeError, IndexError, ValueError):  # settings of another kind
        given = ", ".join(f"{key}={_n(value)}" for key, value in settings.items())
        return f"{name}({given})"


def _n(value: Any) -> str:
    """A setting as a person writes it: 30, not 30.0."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_n, value))}]"
    return str(value)


def _area(scale: Sequence[float] | None) -> str:
    if scale is None:
        return "the largest square"
    return f"1/{_n(scale[0])} … {'all' if scale[1] == 1 else '1/' + _n(scale[1])} of it"


def _aspect(s: Settings) -> str:
    low, high = s.get("ratio", (3 / 4, 4 / 3))
    return f"of an aspect of {low:.3g} … {high:.3g}"


def _crop_resize_affine(s: Settings) -> str:
    corners = {
        "fill": "corners that the rotation uncovers are black",
        "reflect": "corners that the rotation uncovers are reflected",
        "image": "corners that the rotation uncovers show what is around the crop",
    }[s.get("corners", "fill")]
    kind, scale = s.get("interpolation", "bicubic"), s.get("scale", (500, 1))
    how = "" if scale is None else f", {_aspect(s)},"
    kind = "by one of three interpolations" if s.get("randinterp") else kind
    angle, shear, size = _n(s.get("degrees", 0)), _n(s.get("shear", 0)), _n(s["size"])
    return (
        f"cut {_area(scale)}{how} and resize it ({kind}); turn it by "
        f"up to ±{angle}°, shear it by up to ±{shear}°, and keep the middle {size} × {size} "
        f"pixels; {corners}"
    )


def _rotated_crop(s: Settings) -> str:
    size, angle = _n(s["size"]), _n(s.get("degrees", 35))
    spread = "log-uniform" if s.get("area") == "log" else "uniform"
    how = "" if s.get("scale", 1) is None else f", {_aspect(s)}, areas {spread}"
    return (
        f"cut {_area(s.get('scale', (1000, 1)))}{how}, turned by up to ±{angle}° and wholly within "
        f"the picture, and resize it to {size} × {size} pixels"
    )


def _color_jitter(s: Settings) -> str:
    keys = [key for key in ("brightness", "contrast", "saturation", "hue") if s.get(key)]
    changed = ", ".join(
        f"{key} by {s[key][0]:g} … {s[key][1]:g}"
        if isinstance(s[key], Sequence)
        else f"{key} by up to {_n(s[key])}"
        for key in keys
    )
    return f"change {changed or 'no colour'}, in random order"


_SAY = {
    "RandomSquareCrop": "cut a square at random, {fraction} of the shorter side",
    "RandomHorizontalFlip": "with probability {p} flip it left to right",
    "RandomVerticalFlip": "with probability {p} flip it top to bottom",
    "RandomGrayscale": "with probability {p} make it grey",
    "Grayscale": "make it grey",
    "RandomInvert": "with probability {p} invert its colours",
    "RandomSolarize": "with probability {p} invert levels from {threshold} on",
    "RandomPosterize": "with probability {p} keep {bits} bits of each level",
    "GaussianBlur": "blur it (Gaussian, sigma {sigma} pixels, kernel {kernel_size})",
    "Resize": "resize it to {size} pixels",
    "CenterCrop": "keep the middle, {size} pixels",
    "RandomCrop": "cut {size} pixels at random",
    "RandomResizedCrop": "cut {scale} of its area at random and resize it to {size} pixels",
    "Identity": "leave it as it is",
}
_DEFAULTS: dict[str, Settings] = {
    "RandomGrayscale": {"p": 0.1},
    "GaussianBlur": {"sigma": (0.1, 2.0)},
    "RandomResizedCrop": {"scale": (0.08, 1.0)},
}
_OWN: dict[str, Callable[[Settings], str]] = {
    "CropResizeAffine": _crop_resize_affine,
    "RotatedCrop": _rotated_crop,
    "ColorJitter": _color_jitter,
}
