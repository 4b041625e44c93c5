"""What one image draws, from the documentation: words by ``hashlib``, laws in plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from singleimg.transforms import elementary

V2 = "torchvision.transforms.v2"
OURS = "singleimg.transforms"
Size = tuple[int, int]


class Words:
    """The stream of (seed, index, lane)."""

    def __init__(self, *key: int) -> None:
        self.key, self.taken = key, 0

    def word(self) -> int:
        block, place = divmod(self.taken, 8)
        data = b"".join(n.to_bytes(8, "little") for n in (*self.key, block))
        digest = blake2b(data, digest_size=64, person=b"singleimg.draw.1").digest()
        self.taken += 1
        return int.from_bytes(digest[8 * place : 8 * place + 8], "little")

    def uniform(self) -> float:
        return (self.word() >> 11) / 2**53

    def below(self, n: int) -> int:
        return self.word() * n >> 64

    def corner(self, rows: int, columns: int) -> tuple[int, int]:
        row, column = self.uniform(), self.uniform()
        return int(row * (rows + 1)), int(column * (columns + 1))

    def order(self, n: int) -> list[int]:
        order = list(range(n))
        for last in range(n - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order


def log_uniform(low: float, high: float, u: float) -> float:
    start = elementary.log(low)
    return elementary.exp(start + (elementary.log(high) - start) * u)


def square_crop(words: Words, size: Size, fraction: float) -> dict[str, Any]:
    side = int(fraction * min(size))
    top, left = words.corner(size[0] - side, size[1] - side)
    return {"top": top, "left": left, "height": side, "width": side}


def crop_resize_affine(
    words: Words, size: Size, scale: list | None, degrees: float, shear: float, randinterp: bool
) -> dict[str, Any]:
    height, width = size
    if scale is None:
        h = w = min(size)
        top, left = (height - h) // 2, (width - w) // 2
    else:
        low, high = height * width / scale[0], height * width / scale[1]
        h = w = 0
        while not (0 < w <= width and 0 < h <= height):
            first, second = words.uniform(), words.uniform()
            area = low + (high - low) * first
            aspect = log_uniform(3 / 4, 4 / 3, second)
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        top, left = words.corner(height - h, width - w)
    angle, slant, choice = (words.uniform() for _ in range(3))
    names = ("bilinear", "bicubic", "lanczos")
    return {
        "top": top, "left": left, "height": h, "width": w,
        "angle": (2 * angle - 1) * degrees, "shear": (2 * slant - 1) * shear,
        "interpolation": names[int(choice * 3)] if randinterp else "bicubic",
    }  # fmt: skip


def rotated_crop(
    words: Words, size: Size, scale: list | None, degrees: float, log: bool
) -> dict[str, Any]:
    H, W = size
    u = [words.uniform() for _ in range(5)]
    angle = (2 * u[0] - 1) * degrees
    if scale is None:
        worst = min(degrees, 45) * (math.pi / 180)
        side = min(size) / (elementary.cos(worst) + elementary.sin(worst))
        return {"angle": angle, "width": side, "height": side, "u": 0.0, "v": 0.0}
    cos = abs(elementary.cos(angle * (math.pi / 180)))
    sin = abs(elementary.sin(angle * (math.pi / 180)))
    aspect = log_uniform(3 / 4, 4 / 3, u[1])
    tallest = min(W / (aspect * cos + sin), H / (aspect * sin + cos))
    low, high = H * W / scale[0], min(H * W / scale[1], aspect * (tallest * tallest))
    area = log_uniform(low, high, u[2]) if log else low + (high - low) * u[2]
    w, h = math.sqrt(area * aspect), math.sqrt(area / aspect)
    return {
        "angle": angle, "width": w, "height": h,
        "u": (2 * u[3] - 1) * max(0.0, W - w * cos - h * sin) / 2,
        "v": (2 * u[4] - 1) * max(0.0, H - w * sin - h * cos) / 2,
    }  # fmt: skip


def random_crop(words: Words, size: Size, height: int, width: int) -> dict[str, Any]:
    rows, columns = size[0] - height, size[1] - width
    return {
        "needs_crop": rows > 0 or columns > 0,
        "top": words.below(rows + 1) if rows else 0,
        "left": words.below(columns + 1) if columns else 0,
        "height": height, "width": width, "needs_pad": False, "padding": [0, 0, 0, 0],
    }  # fmt: skip


def jitter(words: Words, size: Size, **ranges: tuple[float, float] | None) -> dict[str, Any]:
    params: dict[str, Any] = {"fn_idx": words.order(4)}
    for name in ("brightness", "contrast", "saturation", "hue"):
        bounds = ranges.get(name)
        between = lambda low, high: words.uniform() * (high - low) + low  # noqa: E731
        params[f"{name}_factor"] = None if bounds is None else between(*bounds)
    return params


def blur(words: Words, size: Size, low: float, high: float) -> dict[str, Any]:
    return {"sigma": [words.uniform() * (high - low) + low] * 2}


def gated(p: float, **params: Any) -> Callable[..., dict[str, Any]]:
    return lambda words, size: (
        {"apply": True, **params} if words.uniform() < p else {"apply": False}
    )


def nothing(words: Words, size: Size) -> dict[str, Any]:
    return {}


def by(function: Callable, *values: Any, **more: Any) -> Callable[..., dict[str, Any]]:
    return lambda words, size: function(words, size, *values, **more)


ENTRIES: list[tuple[dict[str, Any], Callable[..., dict[str, Any]]]] = [
    ({"_target_": f"{OURS}.RandomSquareCrop", "fraction": 0.5}, by(square_crop, 0.5)),
    (
        {"_target_": f"{OURS}.CropResizeAffine", "size": 32, "degrees": 30, "shear": 9},
        by(crop_resize_affine, [500, 1], 30, 9, False),
    ),
    (  # where many tries are needed: more words than two blocks have
        {"_target_": f"{OURS}.CropResizeAffine", "size": 32, "scale": [4, 1], "randinterp": True},
        by(crop_resize_affine, [4, 1], 0, 0, True),
    ),
    (
        {"_target_": f"{OURS}.CropResizeAffine", "size": 32, "scale": None, "degrees": 180},
        by(crop_resize_affine, None, 180, 0, False),
    ),
    ({"_target_": f"{OURS}.RotatedCrop", "size": 32}, by(rotated_crop, [1000, 1], 35, False)),
    (
        {"_target_": f"{OURS}.RotatedCrop", "size": 32, "area": "log", "degrees": 180},
        by(rotated_crop, [1000, 1], 180, True),
    ),
    (
        {"_target_": f"{OURS}.RotatedCrop", "size": 32, "scale": None, "degrees": 20},
        by(rotated_crop, None, 20, False),
    ),
    ({"_target_": f"{V2}.RandomHorizontalFlip"}, gated(0.5)),
    ({"_target_": f"{V2}.RandomVerticalFlip", "p": 0.3}, gated(0.3)),
    ({"_target_": f"{V2}.RandomInvert", "p": 1}, gated(1)),
    ({"_target_": f"{V2}.RandomGrayscale"}, gated(0.1, num_input_channels=3)),
    ({"_target_": f"{V2}.RandomSolarize", "threshold": 130, "p": 0}, gated(0)),
    ({"_target_": f"{V2}.RandomPosterize", "bits": 3}, gated(0.5)),
    ({"_target_": f"{V2}.Identity"}, nothing),
    ({"_target_": f"{V2}.Grayscale"}, nothing),
    ({"_target_": f"{V2}.Resize", "size": 40}, nothing),
    ({"_target_": f"{V2}.CenterCrop", "size": 40}, nothing),
    ({"_target_": f"{V2}.RandomCrop", "size": [40, 48]}, by(random_crop, 40, 48)),
    (
        {"_target_": f"{V2}.ColorJitter", "brightness": 0.4, "hue": 0.1, "saturation": [1, 3]},
        by(jitter, brightness=(0.6, 1.4), hue=(-0.1, 0.1), saturation=(1.0, 3.0)),
    ),
    (
        {"_target_": f"{V2}.GaussianBlur", "kernel_size": 7, "sigma": [0.2, 2.5]},
        by(blur, 0.2, 2.5),
    ),
]
