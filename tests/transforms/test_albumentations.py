"""Albumentations' transforms in a preset: seeded for each image, named in the recipe, no more."""

from __future__ import annotations

import json
import pickle
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from singleimg import RenderedDataset, SingleImage, StoredDataset, UserError, compose
from singleimg.config import allowlist
from singleimg.drawing.pipeline import Pipeline
from singleimg.engines.native import NativeEngine
from singleimg.engines.picture import Picture
from singleimg.errors import UserError as Refused
from singleimg.transforms import Albumentations
from tests.conftest import ROOT

theirs = pytest.importorskip("albumentations", reason='pip install -e ".[albumentations]"')

PRESET = """\
# @package _global_
augment:
  name: theirs
  transforms:
    - _target_: torchvision.transforms.v2.RandomResizedCrop
      size: ${img_size}
    - _target_: singleimg.transforms.Albumentations
      transform:
        _target_: albumentations.Compose
        transforms:
          - _target_: albumentations.RandomBrightnessContrast
            p: 0.5
          - _target_: albumentations.GaussNoise
            p: 0.5
    - _target_: singleimg.transforms.Albumentations
      transform: {_target_: albumentations.InvertImg, p: 0.5}
"""


@pytest.fixture
def typed(picture, tmp_path) -> list[str]:
    (tmp_path / "conf/augment").mkdir(parents=True)
    (tmp_path / "conf/augment/theirs.yaml").write_text(PRESET)
    return ["--config-dir", f"{tmp_path}/conf", "augment=theirs", f"imgpath={picture}",
            "img_size=32", "num_imgs=40", "encode=png", "save_params=true"]  # fmt: skip


def test_images_depend_on_the_recipe_and_their_index_alone(run, typed, tmp_path):
    files = {}
    ways = ("sequential", "threading threads=3", "loky threads=2 backend.from_seconds=0")
    for number, way in enumerate(ways):
        target = tmp_path / str(number)
        run(*typed, f"backend={way.split()[0]}", *way.split()[1:], "output.shard_size=7",
            f"targetpath={target}")  # fmt: skip
        files[way] = [StoredDataset(target).file(k) for k in range(40)]
    assert files[ways[0]] == files[ways[1]] == files[ways[2]]
    assert len(set(files[ways[0]])) == 40
    dataset = RenderedDataset(target)
    assert [dataset.file(k) for k in reversed(range(40))] == files[ways[0]][::-1]
    made_with = json.loads((target / "recipe.json").read_text())["made_with"]
    assert made_with["albumentations"] == theirs.__version__ and "albucore" in made_with
    [draw] = [one for one in SingleImage.open(target).draw(3).record()["transforms"]][1:2]
    assert draw == {"name": "Albumentations", "seed": draw["seed"]} and draw["seed"] < 2**53


def test_pixels_are_those_that_the_library_gives_for_that_seed():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    inner = theirs.Compose([theirs.HueSaturationValue(p=0.5), theirs.RandomRotate90(p=0.5)])
    pipeline = Pipeline([v2.RandomHorizontalFlip(p=0), Albumentations(inner)])
    renderer, source = NativeEngine().renderer(pipeline), Picture(pixels)
    own = theirs.Compose([theirs.HueSaturationValue(p=0.5), theirs.RandomRotate90(p=0.5)])
    for index in range(20):
        draws = pipeline.draw_many(0, [index], 1, lambda _: source.size)
        seed = draws.samples[0].params[1]["seed"]
        own.set_random_state(np.random.default_rng(seed), random.Random(seed))
        [shown] = renderer.render(draws, [source])
        assert np.array_equal(shown, own(image=pixels.copy())["image"])
    assert renderer.slow == {}


def test_the_draws_of_two_transforms_are_unrelated():
    """As they would not be with one seed for each of them."""
    both = Albumentations(
        theirs.Compose([theirs.HorizontalFlip(p=0.5), theirs.VerticalFlip(p=0.5)])
    )
    image = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(2, 2, 3))
    seen = [both.transform(image, {"seed": seed}).tobytes() for seed in range(200)]
    assert sorted(map(seen.count, set(seen)))[0] > 25 and len(set(seen)) == 4


def test_threads_share_no_draws_and_pickles_make_the_same():
    noisy = Albumentations(theirs.GaussNoise(p=1))
    image = Image.new("RGB", (64, 64), "grey")
    alone = [noisy.transform(image, {"seed": seed}).tobytes() for seed in range(60)]
    with ThreadPoolExecutor(4) as threads:
        together = threads.map(lambda s: noisy.transform(image, {"seed": s}).tobytes(), range(60))
        assert list(together) == alone
    again = pickle.loads(pickle.dumps(noisy))
    assert [again.transform(image, {"seed": seed}).tobytes() for seed in range(60)] == alone
    torch.manual_seed(5)
    assert noisy(image).tobytes() != noisy(image).tobytes()  # in torchvision's Compose it draws


# --- what may be named, and mistakes -------------------------------------------------------------


def named(target: str, outer: str = "singleimg.transforms.Albumentations", *trusted: str) -> str:
    node = {"transform": {"_target_": target}, "_target_": outer}
    with pytest.raises(Refused) as caught:
        allowlist.check_objects(node, "augment", allowlist.allowed("augment", trusted))
    return str(caught.value)


def test_only_its_transforms_and_only_below_the_adapter():
    key = "augment.transform._target_"
    for target in ("os.system", "torchvision.transforms.v2.RandomCrop", "albumentationsevil.A"):
        assert named(target).startswith(
            f"{key}={target} is not trusted: a configuration may name albumentations.* here"
        )
    for outer in ("torchvision.transforms.v2.RandomApply", "singleimg.transforms.RotatedCrop"):
        assert named("albumentations.InvertImg", outer).startswith(
            f"{key}=albumentations.InvertImg is not trusted: a configuration may name torchvision"
        )
    assert named("albumentations.core.serialization.Serializable") == (
        f"{key}=albumentations.core.serialization.Serializable is not a transform of "
        "albumentations: type one, such as albumentations.CLAHE."
    )
    assert named("albumentations.core.composition.np.load").startswith(
        f"{key}=albumentations.core.composition.np.load is not trusted: it leads to numpy"
    )
    assert " is a function: " in named("albumentations.from_dict")
    assert " is a function: " in named("albumentations.Compose.from_pretrained")
    assert named("albumentations.InvrtImg") == (
        "augment.transform: albumentations.InvrtImg does not exist (did you mean InvertImg?): type "
        "the dotted path of a class that Python can import from here."
    )


def test_mistakes_have_their_sentences(picture):
    adapter = "augment.transforms=[{_target_: singleimg.transforms.Albumentations, transform: %s}]"

    def said(transform: str) -> str:
        with pytest.raises(UserError) as refused:
            RenderedDataset(compose(f"imgpath={picture}", adapter % transform))[0]
        return str(refused.value)

    assert said("{_target_: albumentations.InvertImg, q: 1}") == (
        "augment.transforms[0]: singleimg.transforms.Albumentations cannot be made (UserWarning: "
        "Argument(s) 'q' are not valid for transform BasicTransform): change its arguments."
    )
    assert said("5").startswith(
        "singleimg.transforms.Albumentations: transform=5 is not a transform of Albumentations: "
    )
    assert said("{_target_: albumentations.ToFloat}") == (
        "singleimg.transforms.Albumentations: ToFloat gives float32, not uint8 H×W×3: leave out "
        "what makes tensors or floats."
    )


def test_without_the_library_a_sentence_names_the_extra(run_process, typed, tmp_path):
    (tmp_path / "without").mkdir()
    code = "import sys\nsys.modules['albumentations'] = None\n"
    (tmp_path / "without/sitecustomize.py").write_text(code)
    said = run_process(*typed, f"targetpath={tmp_path}/set", code=1,
                       PYTHONPATH=str(tmp_path / "without"))  # fmt: skip
    assert said.stderr == (
        "augment.transforms[1].transform: albumentations.Compose needs the package albumentations, "
        'which is not installed: type pip install -e ".[albumentations]".\n'
    )


def test_naming_the_adapter_imports_no_other_library_and_asks_no_network():
    code = (
        "import os, sys; from singleimg.transforms import Albumentations\n"
        "assert 'albumentations' not in sys.modules\n"
        "assert os.environ['NO_ALBUMENTATIONS_UPDATE'] == '1'"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
