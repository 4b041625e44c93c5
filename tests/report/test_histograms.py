"""What is counted of draws, against the draws themselves."""

from __future__ import annotations

import numpy as np
import pytest

import singleimg
from singleimg.report.histograms import Histogram, Histograms


def counted(picture, *batches: range, **keys: object) -> dict[tuple[str, str], Histogram]:
    images = singleimg.SingleImage.open(picture, img_size=32, **keys)
    found = Histograms(images.pipeline.steps)
    for batch in batches:
        found.add(images.draw_many(batch))
    return {(one.transform, one.parameter): one for one in found.all()}


def test_every_draw_is_in_a_bin(picture):
    found = counted(picture, range(700), range(700, 2000), augment="paper")
    images = singleimg.SingleImage.open(picture, img_size=32, augment="paper")
    drawn = images.draw_many(range(2000)).samples
    angle = found["RotatedCrop", "angle"]
    assert (angle.low, angle.high, angle.counts.sum()) == (-35, 35, 2000)
    values = [one.params[0]["angle"] for one in drawn]
    assert np.array_equal(angle.counts, np.histogram(values, 40, (-35, 35))[0])
    assert angle.expected == pytest.approx(np.full(40, 1 / 40))
    areas = [one.params[0]["width"] * one.params[0]["height"] / (150 * 200) for one in drawn]
    area = found["RotatedCrop", "area"]
    assert area.expected is None and area.counts.sum() == 2000
    assert (area.low, area.high) == (min(areas[:700]), max(areas[:700]))
    flips = found["RandomHorizontalFlip", "happens"]
    count = sum(one.params[1]["apply"] for one in drawn)
    assert flips.labels == ["no", "yes"] and flips.counts.tolist() == [2000 - count, count]
    assert flips.expected.tolist() == [0.5, 0.5]


def test_what_is_drawn_is_as_it_was_meant(picture):
    found = counted(picture, range(20_000), augment="strong", randinterp=True)
    known = [one for one in found.values() if one.expected is not None]
    assert {one.parameter for one in known} >= {
        "angle", "shear", "brightness_factor", "hue_factor", "sigma", "happens"
    }  # fmt: skip
    for one in known:
        shares = one.counts / one.counts.sum()
        spread = np.sqrt(one.expected * (1 - one.expected) / one.counts.sum())
        assert (np.abs(shares - one.expected) < 5 * spread + 1e-9).all(), one
    interpolation = found["CropResizeAffine", "interpolation"]
    assert interpolation.labels == ["bicubic", "bilinear", "lanczos"]


def test_aspects_are_counted_on_a_scale_of_logarithms(picture):
    aspect = counted(picture, range(5000), augment="paper")["RotatedCrop", "aspect"]
    assert aspect.log and (aspect.low, aspect.high) == pytest.approx((3 / 4, 4 / 3))
    assert aspect.counts.min() > 60 and aspect.counts.sum() == 5000


def test_what_is_constant_or_not_drawn_is_left_out(picture):
    found = counted(picture, range(50), augment="script", deg=0, shear=0)
    assert ("CropResizeAffine", "angle") not in found
    assert ("CropResizeAffine", "interpolation") not in found
    assert ("CropResizeAffine", "left") in found


V2 = "torchvision.transforms.v2"


def listed(picture, *transforms: dict, count: int = 4000) -> dict[tuple[str, str], Histogram]:
    cfg = singleimg.compose(imgpath=str(picture), img_size=32, augment="none")
    cfg.augment.transforms = [*transforms, {"_target_": f"{V2}.Resize", "size": [32, 32]}]
    images = singleimg.SingleImage.from_config(cfg)
    found = Histograms(images.pipeline.steps)
    found.add(images.draw_many(range(count)))
    return {(one.transform, one.parameter): one for one in found.all()}


def test_transforms_of_one_name_are_counted_apart(picture):
    jitters = [{"_target_": f"{V2}.ColorJitter", "brightness": b} for b in (0.1, 0.5)]
    found = listed(picture, *jitters)
    first, second = (found[f"ColorJitter ({k})", "brightness_factor"] for k in (1, 2))
    assert (first.low, first.high, second.low, second.high) == (0.9, 1.1, 0.5, 1.5)
    assert first.counts.sum() == second.counts.sum() == 4000


def test_containers_take_what_they_hold_as_often_as_was_meant(picture):
    flips = [{"_target_": f"{V2}.RandomHorizontalFlip", "p": 0.9},
             {"_target_": f"{V2}.RandomGrayscale", "p": 0.3}]  # fmt: skip
    found = listed(
        picture,
        {"_target_": f"{V2}.RandomApply", "p": 0.25,
         "transforms": [{"_target_": f"{V2}.Compose", "transforms": flips}]},
    )  # fmt: skip
    taken = found["RandomHorizontalFlip", "RandomApply is applied"]
    assert taken.expected.tolist() == [0.75, 0.25] and 900 < taken.counts[1] < 1100
    happens = found["RandomHorizontalFlip", "happens"]
    assert happens.counts.sum() == taken.counts[1] and happens.expected.tolist() == [
        pytest.approx(0.1), 0.9
    ]  # fmt: skip


def test_whole_numbers_have_bins_of_whole_numbers(picture):
    found = listed(picture, {"_target_": f"{V2}.RandomCrop", "size": [100, 100]}, count=50_000)
    left = found["RandomCrop", "left"]  # 0 … 100, evenly
    assert (left.low, left.high, len(left.counts)) == (0, 102, 34)
    assert left.counts[:-1].min() > 0.9 * left.counts[:-1].mean()
