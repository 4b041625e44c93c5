"""The reference engine shows what torchvision's own functionals give for the same draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms.v2 import functional as F

from singleimg import SingleImage
from tests.config.test_checks import loaded


def images(picture, *overrides: str) -> SingleImage:
    return SingleImage.from_config(loaded(f"imgpath={picture}", "engine=reference", *overrides))


def jitter(image: Image.Image, params: dict) -> Image.Image:
    kernels = (
        (F.adjust_brightness, "brightness_factor"),
        (F.adjust_contrast, "contrast_factor"),
        (F.adjust_saturation, "saturation_factor"),
        (F.adjust_hue, "hue_factor"),
    )
    for place in params["fn_idx"]:
        kernel, name = kernels[place]
        image = kernel(image, params[name])
    return image


def published(source: Image.Image, sample: dict, size: int, shear: bool) -> Image.Image:
    """The published script's steps for drawn parameters, one functional after the other."""
    crop, *others = sample["transforms"]
    box = [crop[key] for key in ("top", "left", "height", "width")]
    canvas = int(math.sqrt(2) * size)
    mode = F.InterpolationMode(crop["interpolation"])
    image = F.resized_crop(source, *box, [canvas, canvas], mode)
    bilinear = F.InterpolationMode.BILINEAR
    if shear:
        image = F.affine(image, crop["angle"], [0, 0], 1.0, [crop["shear"], 0.0], bilinear)
    else:
        image = F.rotate(image, crop["angle"], bilinear)
    for other in others:
        if other["name"] == "RandomVerticalFlip" and other["apply"]:
            image = F.vertical_flip(image)
    image = F.center_crop(image, [size, size])
    for inner in others[-1]["transforms"]:
        image = jitter(image, inner["params"])
    return image


@pytest.mark.parametrize(
    "overrides, shear",
    [
        ((), True),
        (("shear=0",), False),
        (("vflip=true", "randinterp=true"), True),
        (("cropfirst=false", "deg=180"), True),
    ],
)
def test_script_equals_torchvisions_functionals(picture, overrides, shear):
    ours = images(picture, "img_size=64", *overrides)
    source = Image.open(picture).convert("RGB")
    jittered = 0
    for i in range(40):
        sample = ours.draw(i).record()
        jittered += bool(sample["transforms"][-1]["transforms"])
        expected = np.asarray(published(source, sample, 64, shear))
        assert (ours.render(i) == expected).all()
    assert 8 <= jittered <= 32


def test_jitter_happens_half_of_the_time_with_the_published_factors(picture):
    ours = images(picture, "img_size=32")
    last = [ours.draw(i).params[-1] for i in range(4000)]
    factors = [one["transforms"][0]["params"] for one in last if one["order"]]
    assert abs(len(factors) / 4000 - 0.5) < 0.03
    for key, low, high in (
        ("brightness_factor", 0.6, 1.4),
        ("contrast_factor", 0.6, 1.4),
        ("saturation_factor", 0.6, 1.4),
        ("hue_factor", -0.1, 0.1),
    ):
        values = np.array([one[key] for one in factors])
        assert low <= values.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < values.max() <= high
        assert abs(values.mean() - (low + high) / 2) < 0.05 * (high - low)


@pytest.mark.parametrize("augment", ["script", "paper", "weak", "strong", "none"])
def test_every_preset_gives_rgb_of_the_size(picture, augment):
    ours = images(picture, "img_size=40", f"augment={augment}")
    for i in range(10):
        pixels = ours.render(i)
        assert (pixels.shape, pixels.dtype) == ((40, 40, 3), np.uint8)


def test_strong_leaves_no_black_corner(tmp_path):
    Image.new("RGB", (90, 70), (250, 250, 250)).save(tmp_path / "white.png")
    for augment, black in (("strong", False), ("script", True)):
        ours = images(tmp_path / "white.png", "img_size=64", f"augment={augment}")
        corners = [ours.render(i)[[0, 0, -1, -1], [0, -1, 0, -1]].min() for i in range(150)]
        assert (min(corners) == 0) == black
