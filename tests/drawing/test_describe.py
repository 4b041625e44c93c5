"""Which transforms are known by their laws, and that a law draws what its transform draws."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import v2

from singleimg.config.make import instantiate_transforms
from singleimg.dataset.open import steps_of
from singleimg.drawing.describe import LAWS, step_of_entry
from singleimg.drawing.pipeline import Pipeline
from singleimg.drawing.steps import LawStep
from singleimg.drawing.stream import Stream, Streams
from singleimg.drawing.texts import plain
from singleimg.drawing.torch_steps import TorchStep, step_of
from tests.config.test_checks import loaded

V2 = "torchvision.transforms.v2"
SIZE = (96, 131)
KNOWN = [
    {"_target_": f"{V2}.RandomHorizontalFlip"},
    {"_target_": f"{V2}.RandomVerticalFlip", "p": 0.3},
    {"_target_": f"{V2}.RandomInvert", "p": 1},
    {"_target_": f"{V2}.RandomGrayscale"},
    {"_target_": f"{V2}.RandomSolarize", "threshold": 130},
    {"_target_": f"{V2}.RandomPosterize", "bits": 3, "p": 0.9},
    {"_target_": f"{V2}.Identity"},
    {"_target_": f"{V2}.Grayscale", "num_output_channels": 3},
    {"_target_": f"{V2}.Resize", "size": 40},
    {"_target_": f"{V2}.Resize", "size": [40], "max_size": 45},
    {"_target_": f"{V2}.Resize", "size": [30, 50], "interpolation": 3},
    {"_target_": f"{V2}.CenterCrop", "size": 31},
    {"_target_": f"{V2}.CenterCrop", "size": [200, 20]},
    {"_target_": f"{V2}.RandomCrop", "size": [96, 60]},
    {"_target_": f"{V2}.RandomCrop", "size": 50},
    {"_target_": f"{V2}.ColorJitter", "brightness": 0.4, "hue": 0.1},
    {"_target_": f"{V2}.ColorJitter", "contrast": [0.2, 3], "saturation": 2, "hue": [0.1, 0.5]},
    {"_target_": f"{V2}.ColorJitter", "brightness": 0, "saturation": [1, 1]},
    {"_target_": f"{V2}.GaussianBlur", "kernel_size": 7},
    {"_target_": f"{V2}.GaussianBlur", "kernel_size": [3, 9], "sigma": 1.5},
    {"_target_": "singleimg.transforms.RandomSquareCrop", "fraction": 0.5},
    {"_target_": "singleimg.transforms.CropResizeAffine", "size": 32, "degrees": 30, "shear": 9},
    {"_target_": "singleimg.transforms.RotatedCrop", "size": 32, "area": "log"},
]
# What torchvision takes and a law does not, and what torchvision refuses.
LEFT = [
    {"_target_": f"{V2}.RandomResizedCrop", "size": 32},
    {"_target_": f"{V2}.RandomCrop", "size": 50, "padding": 4},
    {"_target_": f"{V2}.RandomCrop", "size": 500, "pad_if_needed": True},
    {"_target_": f"{V2}.Resize", "size": None, "max_size": 40},
    {"_target_": f"{V2}.ColorJitter", "hue": 0.6},
    {"_target_": f"{V2}.ColorJitter", "brightness": "0.4"},
    {"_target_": f"{V2}.GaussianBlur", "kernel_size": 4},
    {"_target_": f"{V2}.RandomHorizontalFlip", "p": 1.5},
    {"_target_": f"{V2}.RandomHorizontalFlip", "q": 0.5},
    {"_target_": f"{V2}.RandomPosterize"},
    {"_target_": "singleimg.transforms.RotatedCrop", "size": 32, "degrees": 181},
    {"_target_": f"{V2}.RandomApply", "transforms": []},
    {"_target_": f"{V2}.RandomApply", "transforms": [{"_target_": f"{V2}.RandomAffine"}]},
    {"_target_": f"{V2}.RandomChoice", "transforms": [{"_target_": f"{V2}.Identity"}]},
    {"_target_": "mine.Crop", "size": 3},
    {},
]


def made(entry: dict) -> v2.Transform:
    cfg = loaded()
    cfg.augment.transforms = [entry]
    return instantiate_transforms(cfg)[0]


def label(entry: dict) -> str:
    return str(entry).replace(f"{V2}.", "").replace("_target_", "")


@pytest.mark.parametrize("entry", KNOWN, ids=label)
def test_a_law_draws_number_for_number_what_torchvision_draws(entry):
    transform = made(entry)
    ours = step_of_entry(entry, 0)
    torchs = TorchStep(transform, 0, getattr(transform, "p", None))
    assert isinstance(ours, LawStep) and ours.name == torchs.name == type(transform).__name__
    for index in range(50):
        drawn = [plain(one.draw_one(Stream(7, index), SIZE)) for one in (ours, torchs)]
        assert drawn[0] == drawn[1]


@pytest.mark.parametrize("entry", KNOWN, ids=label)
def test_a_law_tells_the_size_that_comes_out(entry):
    step, image = step_of_entry(entry, 0), Image.new("RGB", SIZE[::-1])
    for index in range(5):
        drawn = step.draw(Streams(0, np.array([index])), lambda: np.array([SIZE]))
        out = step.render(image, drawn.dicts(1)[0], Stream(1, index))
        measured = step.output_sizes(np.array([SIZE]), drawn)
        assert measured.dtype == np.int64
        assert measured.tolist() == [list(v2.functional.get_size(out))]


@pytest.mark.parametrize("entry", KNOWN, ids=label)
def test_an_object_is_known_by_the_same_law_as_its_entry(entry):
    assert step_of(made(entry), 3) == step_of_entry(entry, 3)


def test_every_law_is_tried_here():
    assert {entry["_target_"] for entry in KNOWN} == set(LAWS)


@pytest.mark.parametrize("entry", LEFT, ids=label)
def test_what_a_law_does_not_take_is_left_to_torchvision(entry):
    assert step_of_entry(entry, 0) is None


class Mirror(v2.RandomHorizontalFlip):
    """Whoever subclasses a transform may have changed it."""

    def transform(self, inpt, params):
        return inpt


def test_a_subclass_is_not_known_by_the_law_of_its_base():
    assert isinstance(step_of(Mirror(p=1), 0), TorchStep)


@pytest.mark.parametrize("augment", ["none", "weak", "script", "strong", "paper"])
def test_a_preset_is_known_by_laws_alone_and_draws_as_its_objects_do(augment):
    cfg = loaded(f"augment={augment}")
    pipeline, objects = Pipeline(steps_of(cfg)), Pipeline(instantiate_transforms(cfg))
    assert pipeline.steps == objects.steps
    assert all(isinstance(leaf, LawStep) for step in pipeline.steps for leaf in step.leaves())


def test_containers_are_walked_without_torch():
    code = (
        "import sys\n"
        "from singleimg.drawing.describe import step_of_entry\n"
        "v2 = 'torchvision.transforms.v2'\n"
        "flip = {'_target_': f'{v2}.RandomHorizontalFlip'}\n"
        "order = {'_target_': f'{v2}.RandomOrder', 'transforms': [flip, flip]}\n"
        "entry = {'_target_': f'{v2}.RandomApply', 'transforms': [order, flip], 'p': 0.7}\n"
        "step = step_of_entry(entry, 0)\n"
        "assert step.p == 0.7 and len(list(step.leaves())) == 3\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_what_was_rendered_with_travels_without_it():
    step = step_of_entry(KNOWN[0], 0)
    small = pickle.dumps(step)
    step.render(Image.new("RGB", (9, 9)), {"apply": True}, Stream(0, 0))
    assert pickle.dumps(step) == small and len(small) < 300
