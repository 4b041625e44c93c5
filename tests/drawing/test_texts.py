"""Records from columns: the text and the rows that each image's record gives alone."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import pytest
from torchvision.transforms import v2

from singleimg.config import make
from singleimg.drawing.columns import Columns
from singleimg.drawing.pipeline import Pipeline
from tests.config.test_checks import loaded
from tests.drawing.test_steps import every_kind

SIZE = (90, 120)
LAWS = [
    v2.RandomApply([v2.GaussianBlur(3), v2.RandomApply([v2.RandomCrop(64)]), v2.Identity()], p=0.6),
    v2.RandomChoice([v2.RandomGrayscale(0.5), v2.RandomCrop(60), v2.ColorJitter(hue=0.1)]),
    v2.Compose([v2.RandomSolarize(100), v2.Resize(40), v2.CenterCrop(32)]),
]
PIPELINES = {
    **{name: None for name in ("none", "weak", "script", "strong", "paper")},
    "nothing": [],
    "laws": LAWS,
    "in random order": [v2.RandomOrder([v2.ColorJitter(0.4), LAWS[2], v2.RandomInvert()])],
    "without laws": every_kind(),
}


@pytest.fixture(params=PIPELINES)
def pipeline(request) -> Pipeline:
    transforms = PIPELINES[request.param]
    if transforms is None:
        transforms = make.instantiate_transforms(loaded(f"augment={request.param}", "img_size=32"))
    return Pipeline(transforms)


@pytest.mark.parametrize("count", [1, 60])
def test_many_at_once_have_the_text_and_the_row_that_each_has_alone(pipeline, count):
    samples = pipeline.draw_many(4, range(count), 3, lambda k: SIZE).samples
    columns = Columns(pipeline, SIZE)
    for sample in samples:
        alone = replace(sample, drawn=None)
        assert sample == alone and pickle.loads(pickle.dumps(sample)).drawn is None
        assert sample.text() == alone.text() == json.dumps(sample.record())
        assert sample.transforms_text() == json.dumps(sample.record()["transforms"])
        found, expected = columns.row(sample), columns.row(alone)
        assert list(found.items()) == list(expected.items())
        assert list(map(type, found.values())) == list(map(type, expected.values()))


def test_two_lots_of_draws_are_not_mixed_up():
    pipeline = Pipeline([v2.RandomCrop(30)])
    columns = Columns(pipeline, SIZE)
    lots = [pipeline.draw_many(seed, range(5), 1, lambda _: SIZE).samples for seed in (1, 2)]
    for both in zip(*lots, strict=True):
        for sample in both:
            assert columns.row(sample)["random_crop_top"] == sample.params[0]["top"]
    assert columns.types == pickle.loads(pickle.dumps(columns)).types
