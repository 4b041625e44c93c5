"""Where images lie in their pictures, against where Pillow takes their pixels from."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import singleimg
from singleimg.engines.raster.footprint import areas, footprints

WIDTH, HEIGHT = 300, 200  # of a picture whose colours are places: red across, green down


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    file = tmp_path_factory.mktemp("places") / "places.png"
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    pixels = np.stack([x * 255 / WIDTH, y * 255 / HEIGHT, np.full_like(x, 255)], 2)
    Image.fromarray(np.rint(pixels).astype(np.uint8)).save(file)
    return file


V2 = "torchvision.transforms.v2"
LISTS = {
    "of crops": [
        {"_target_": f"{V2}.RandomCrop", "size": [120, 150]},
        {"_target_": f"{V2}.RandomVerticalFlip", "p": 1.0},
        {"_target_": f"{V2}.RandomResizedCrop", "size": [64, 64], "scale": [0.2, 0.9]},
        {"_target_": f"{V2}.RandomHorizontalFlip", "p": 0.5},
    ],
    "in a container": [
        {"_target_": f"{V2}.RandomApply", "p": 0.5,
         "transforms": [{"_target_": f"{V2}.CenterCrop", "size": [150, 90]}]},
        {"_target_": "singleimg.transforms.RotatedCrop", "size": 64, "degrees": 180},
        {"_target_": f"{V2}.CenterCrop", "size": [40, 40]},
        {"_target_": f"{V2}.Resize", "size": [64, 64]},
    ],
}  # fmt: skip


@pytest.mark.parametrize("what", ["script", "paper", "weak", "none", *LISTS])
def test_corners_are_where_the_pixels_come_from(what, places):
    typed = {"augment": "none"} if what in LISTS else {"augment": what, "corners": "fill"}
    typed |= {"corners": "image"} if what in ("script", "weak") else {}
    typed = {key: value for key, value in typed.items() if key != "corners" or value == "image"}
    cfg = singleimg.compose(imgpath=str(places), img_size=64, engine="reference", **typed)
    if what in LISTS:
        cfg.augment.transforms = LISTS[what]
    else:
        cfg.augment.transforms = [
            one
            for one in cfg.augment.transforms
            if "Jitter" not in str(one) and "Gray" not in str(one)
        ]
    images = singleimg.SingleImage.from_config(cfg)
    draws = images.draw_many(range(24))
    corners, compared = footprints(images.pipeline, draws), 0
    for pixels, expected in zip(images.render_drawn(draws), corners, strict=True):
        inside = (pixels[8:-8, 8:-8, 2] == 255) & (pixels[8:-8, 8:-8, :2] > 6).all(2)
        inside &= (pixels[8:-8, 8:-8, :2] < 249).all(2)  # mirrored beyond the picture
        if inside.sum() < 500:
            continue
        row, column = np.nonzero(inside)
        at = np.stack([column + 8.5, row + 8.5, np.ones(len(row))], 1)
        seen = pixels[8:-8, 8:-8, :2][inside] * np.array([WIDTH, HEIGHT]) / 255
        fitted, *_ = np.linalg.lstsq(at, seen, rcond=None)
        found = np.array([[0, 0, 1], [64, 0, 1], [64, 64, 1], [0, 64, 1]]) @ fitted
        assert np.abs(found - expected).max() < 3, (found, expected)
        compared += 1
    assert compared > 8


def test_areas_are_those_of_the_drawn_boxes(places):
    images = singleimg.SingleImage.open(places, augment="paper", img_size=64)
    draws = images.draw_many(range(50))
    drawn = [one.params[0]["width"] * one.params[0]["height"] for one in draws.samples]
    assert areas(footprints(images.pipeline, draws)) == pytest.approx(drawn)


def test_where_a_transform_without_a_rule_leads_is_not_known(places):
    cfg = singleimg.compose(imgpath=str(places), img_size=64, augment="paper")
    cfg.augment.transforms = [
        {"_target_": f"{V2}.RandomApply", "p": 0.5,
         "transforms": [{"_target_": f"{V2}.RandomPerspective", "p": 1.0}]},
        *cfg.augment.transforms,
    ]  # fmt: skip
    images = singleimg.SingleImage.from_config(cfg)
    draws = images.draw_many(range(40))
    moved = np.array([bool(one.params[0]["order"]) for one in draws.samples])
    assert 5 < moved.sum() < 35
    assert np.array_equal(np.isnan(footprints(images.pipeline, draws)).any((1, 2)), moved)
