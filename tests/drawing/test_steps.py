"""Image ``i`` depends on (transforms, seed, i) only, whoever draws it and wherever."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from singleimg.drawing.pipeline import Pipeline
from singleimg.drawing.stream import Stream
from singleimg.drawing.texts import plain
from singleimg.drawing.torch_random import StreamMode
from singleimg.errors import UserError
from singleimg.transforms.paper import RotatedCrop
from singleimg.transforms.published import CropResizeAffine, RandomSquareCrop

SIZE = (60, 80)


def picture() -> Image.Image:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return Image.fromarray(np.stack([rows * 4, columns * 3, rows + columns], -1).astype(np.uint8))


def draw(pipeline: Pipeline, index: int, seed: int = 0):
    return pipeline.draw(seed, index, 1, lambda _: SIZE)


def render(pipeline: Pipeline, index: int) -> bytes:
    return np.asarray(pipeline.render(picture(), draw(pipeline, index))).tobytes()


class NumpyShift(v2.Transform):
    """A user's transform that draws from NumPy's global generator."""

    def transform(self, inpt, params):
        return Image.fromarray(np.roll(np.asarray(inpt), np.random.randint(1, 50), axis=1))


class PythonCrop:
    """A user's plain callable that draws from Python's global generator."""

    def __call__(self, image):
        return image.crop((random.randint(0, 30), 3, 60, 40))


def every_kind() -> list:
    return [
        v2.RandomCrop(40),
        v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.5),
        v2.RandomChoice([v2.RandomRotation(20), v2.RandomAffine(10, shear=5)], p=[1, 3]),
        v2.RandomOrder([v2.RandomHorizontalFlip(), v2.RandomPosterize(3), v2.RandomGrayscale(0.3)]),
        v2.Compose([v2.RandomResizedCrop(32), v2.GaussianBlur(3)]),
        v2.RandomPerspective(0.3),
        v2.RandAugment(),
        v2.RandomEqualize(),
    ]


def test_the_same_index_gives_the_same_draws_and_pixels_in_any_order():
    first, second = Pipeline(every_kind()), Pipeline(every_kind())
    forward = [(draw(first, i).record(), render(first, i)) for i in range(30)]
    backward = [(draw(second, i).record(), render(second, i)) for i in reversed(range(30))]
    assert forward == backward[::-1]
    assert len({pixels for _, pixels in forward}) == 30


def test_threads_give_the_same_pixels_as_one():
    pipeline = Pipeline(every_kind())
    alone = [render(pipeline, i) for i in range(60)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda i: render(pipeline, i), range(60))) == alone


def test_global_generators_neither_matter_nor_change():
    pipeline = Pipeline([*every_kind(), PythonCrop(), NumpyShift()])
    torch.manual_seed(1), random.seed(1), np.random.seed(1)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    ours = [render(pipeline, i) for i in range(10)]
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert (np.random.get_state()[1] == before[2]).all()
    torch.manual_seed(2), random.seed(2), np.random.seed(2)
    assert [render(pipeline, i) for i in range(10)] == ours


def test_another_seed_is_another_dataset():
    pipeline = Pipeline([v2.RandomCrop(20)])
    ours = [draw(pipeline, i).params for i in range(20)]
    assert ours != [draw(pipeline, i, seed=1).params for i in range(20)]


def test_one_transform_more_leaves_the_draws_of_the_others_alone():
    crop, jitter = v2.RandomCrop(40), v2.ColorJitter(0.4)
    short, long = Pipeline([crop, jitter]), Pipeline([crop, jitter, v2.RandomHorizontalFlip()])
    for i in range(20):
        short_params = plain(draw(short, i).params)
        assert short_params == plain(draw(long, i).params)[:2]


def test_sizes_are_known_before_pixels_are():
    """The second crop draws its place in what the first will leave; no pixel has been made."""
    pipeline = Pipeline([v2.Resize((30, 50)), v2.RandomCrop((29, 10))])
    places = {
        tuple(draw(pipeline, i).params[1][key] for key in ("top", "left")) for i in range(500)
    }
    assert {top for top, _ in places} == {0, 1}
    assert {left for _, left in places} == set(range(41))


def test_sources_are_drawn_uniformly_and_recorded():
    pipeline = Pipeline([])
    drawn = [pipeline.draw(0, i, 10, lambda _: SIZE).source for i in range(10_000)]
    counts = np.bincount(drawn, minlength=10)
    assert ((counts - 1000) ** 2 / 1000).sum() < 27.9  # 99.9 %, 9 degrees of freedom


def test_a_record_is_plain_json():
    record = draw(Pipeline(every_kind()), 3).record()
    assert json.loads(json.dumps(record)) == record
    assert record["index"] == 3
    assert record["transforms"][0]["name"] == "RandomCrop"


def test_probabilities_are_kept():
    pipeline = Pipeline([v2.RandomHorizontalFlip(0.3), v2.RandomApply([v2.RandomCrop(9)], p=0.8)])
    params = [draw(pipeline, i).params for i in range(4000)]
    assert abs(np.mean([flip["apply"] for flip, _ in params]) - 0.3) < 0.03
    assert abs(np.mean([bool(inner["order"]) for _, inner in params]) - 0.8) < 0.03


def test_weights_of_a_choice_are_kept():
    pipeline = Pipeline([v2.RandomChoice([v2.RandomCrop(9), v2.RandomCrop(8)], p=[1, 3])])
    chosen = [draw(pipeline, i).params[0]["order"][0] for i in range(4000)]
    assert abs(np.mean(chosen) - 0.75) < 0.03


@pytest.mark.parametrize("transform", [NumpyShift(), PythonCrop()])
def test_global_draws_are_noticed_and_refused_in_threads(transform):
    pipeline = Pipeline([transform])
    render(pipeline, 0)
    name = type(transform).__name__
    assert pipeline.global_draws() == [name]
    with ThreadPoolExecutor(1) as pool, pytest.raises(UserError) as caught:
        pool.submit(render, pipeline, 0).result()
    assert str(caught.value) == (
        f"{name} draws from Python's or NumPy's global generator, which threads share: type "
        "backend=loky (or backend=sequential), or draw from torch there."
    )


def test_a_transform_that_fails_is_named_with_its_place():
    pipeline = Pipeline([v2.RandomHorizontalFlip(), v2.RandomCrop(500)])
    with pytest.raises(UserError, match=r"^augment.transforms\[1\] \(RandomCrop\) cannot be appli"):
        draw(pipeline, 0)


RANDOM_CALLS = {
    "rand": lambda: torch.rand(3),
    "rand, size=": lambda: torch.rand(size=(2, 2)),
    "rand, many": lambda: torch.rand(50, 50),
    "randint(high, size)": lambda: torch.randint(7, (4,)),
    "randint(low, high, size)": lambda: torch.randint(3, 9, (4,)),
    "randint, names": lambda: torch.randint(low=3, high=9, size=(4,)),
    "randint, size=": lambda: torch.randint(0, 5, size=(1,)),
    "randperm": lambda: torch.randperm(6),
    "uniform_": lambda: torch.empty(4).uniform_(2, 3),
    "uniform_, names": lambda: torch.empty(4).uniform_(to=3, **{"from": 2}),
    "normal_": lambda: torch.zeros(4).normal_(),
    "randn": lambda: torch.randn(4),
    "normal": lambda: torch.normal(0.0, 1.0, (4,)),
    "bernoulli": lambda: torch.bernoulli(torch.full((9,), 0.5)),
    "multinomial": lambda: torch.multinomial(torch.ones(5), 3),
    "rand_like": lambda: torch.rand_like(torch.zeros(3)),
    "randn_like": lambda: torch.randn_like(torch.zeros(3)),
    "poisson": lambda: torch.poisson(torch.full((9,), 4.0)),
    "exponential_": lambda: torch.zeros(4).exponential_(),
}


@pytest.mark.parametrize("call", RANDOM_CALLS.values(), ids=RANDOM_CALLS)
def test_every_random_function_of_torch_draws_from_the_stream(call):
    state = torch.get_rng_state()

    def values(index: int) -> list:
        with StreamMode(Stream(0, index)):
            return call().tolist()

    assert values(1) == values(1) and any(values(1) != values(i) for i in range(2, 9))
    assert torch.equal(torch.get_rng_state(), state)


def test_parameters_keep_53_bits():
    with StreamMode(Stream(0, 0), torch.float64):
        value = torch.empty(1).uniform_(0, 1).item()
    assert value == Stream(0, 0).uniform() != float(np.float32(value))


def test_integers_reach_both_ends():
    with StreamMode(Stream(0, 0)):
        assert set(torch.randint(3, 6, (200,)).tolist()) == {3, 4, 5}


@pytest.mark.parametrize(
    "transform",
    [
        v2.ColorJitter(0.4, 0.4, 0.4, 0.1),
        v2.ColorJitter(hue=0.3),
        v2.GaussianBlur(7, (0.1, 2.0)),
        CropResizeAffine(32, degrees=30, shear=30, randinterp=True),
        RotatedCrop(32),
        RandomSquareCrop(0.5),
    ],
)
def test_draws_without_torch_are_those_of_make_params(transform):
    pipeline = Pipeline([transform])
    for index in range(40):
        with StreamMode(Stream(5, index, 1), torch.float64):
            expected = transform.make_params([Image.new("RGB", SIZE[::-1])])
        assert plain(draw(pipeline, index, seed=5).params[0]) == plain(expected)
