"""The fast engine: the reference's draws, pictures alike, and help where it has no kernel."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms as v1
from torchvision.transforms import v2

from singleimg import SingleImage
from singleimg.drawing.pipeline import Pipeline
from singleimg.engines.native import NativeEngine
from singleimg.engines.picture import Picture
from singleimg.engines.reference import ReferenceEngine
from tests.benchmarks.equivalence import compare, psnr, short, sources
from tests.config.test_checks import loaded
from tests.conftest import summary_of
from tests.engines.raster.test_rules import picture as waves

PRESETS = ("script", "paper", "weak", "strong", "none")


def test_it_is_the_default():
    assert loaded().engine._target_ == "native"


@pytest.mark.parametrize("augment", PRESETS)
def test_draws_are_those_of_the_reference(picture, augment):
    typed = (f"imgpath={picture}", f"augment={augment}", "img_size=32")
    native, reference = (
        SingleImage.from_config(loaded(*typed, f"engine={name}"))
        for name in ("native", "reference")
    )
    for i in range(50):
        assert native.draw(i).record() == reference.draw(i).record()


@pytest.mark.parametrize("augment", PRESETS)
def test_every_transform_of_a_preset_has_a_kernel(picture, augment):
    assert not SingleImage.from_config(
        loaded(f"imgpath={picture}", f"augment={augment}")
    ).renderer.slow


@pytest.mark.parametrize(
    "preset, size, more",
    [
        ("script", 32, ()),
        ("script", 64, ("vflip=true",)),
        ("script", 64, ("corners=reflect",)),
        ("script", 64, ("corners=image", "shear=0")),
        ("script", 64, ("deg=0", "shear=0")),
        ("script", 64, ("randinterp=true",)),
        ("script", 64, ("scale=null", "cropfirst=false")),
        ("weak", 64, ()),
        ("strong", 64, ()),
        ("strong", 32, ("corners=fill", "deg=180")),
        ("none", 64, ()),
    ],
)
def test_pictures_are_alike(preset, size, more):
    row = compare("image=dead_leaves", preset, size, 60, *more)
    assert not short(row), row


def test_the_paper_is_alike():
    row = compare("image=dead_leaves", "paper", 64, 8)
    assert not short(row), row


@pytest.mark.slow
@pytest.mark.parametrize("size", [32, 64, 256])
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("source", sources())
def test_five_hundred_pictures_are_alike(source, preset, size):
    row = compare(source, preset, size, 500)
    assert not short(row), row


# --- transforms without a kernel -----------------------------------------------------------------


class PillowRoll:
    """A user's: knows Pillow images alone. On a tensor it would roll the channels."""

    def __call__(self, image):
        return Image.fromarray(np.roll(np.asarray(image), 5, axis=0))


class Tint(v2.Transform):
    """A user's, in torchvision's protocol: works on images and on tensors."""

    def make_params(self, flat_inputs):
        return {"by": float(torch.rand(1))}

    def transform(self, inpt, params):
        return v2.functional.adjust_gamma(inpt, 1 + params["by"])


class Rows(v2.Transform):
    """A user's, in torchvision's protocol, that thinks of Pillow images alone."""

    def transform(self, inpt, params):
        return Image.fromarray(np.asarray(inpt)[::-1])


def rendered(transforms: list, count: int = 12) -> tuple[dict, list[float]]:
    pipeline, source = Pipeline(transforms), Picture(np.array(waves()))
    plan, reference = (engine.renderer(pipeline) for engine in (NativeEngine(), ReferenceEngine()))
    found = []
    for i in range(count):
        draws = pipeline.draw_many(0, [i], 1, lambda _: source.size)
        shown, expected = (next(iter(one.render(draws, [source]))) for one in (plan, reference))
        found.append(psnr(shown, expected))
    return plan.slow, found


@pytest.mark.parametrize(
    "transform, helper",
    [
        (PillowRoll(), "Pillow"),
        (v2.Lambda(PillowRoll()), "Pillow"),
        (v1.ColorJitter(0.4), "torchvision's tensor path"),
        (Rows(), "Pillow"),
        (Tint(), "torchvision's tensor path"),
        (v2.RandomAutocontrast(), "torchvision's tensor path"),
        (v2.RandomAdjustSharpness(2), "torchvision's tensor path"),
        (v2.RandomAffine(20, (0.1, 0.2), shear=10), "torchvision's tensor path"),
    ],
)
def test_a_transform_without_a_kernel_is_named_and_right(transform, helper):
    for place in range(3):  # first, in the middle, in a container
        steps = [v2.RandomHorizontalFlip(), v2.CenterCrop(60)]
        steps.insert(place, transform)
        slow, found = rendered(steps if place else [v2.RandomApply([transform], 0.7), *steps[1:]])
        assert slow == {type(transform).__name__: helper}
        assert min(found) > 30


def test_containers_choose_what_the_reference_chooses():
    steps = [
        v2.RandomChoice([v2.RandomInvert(1.0), v2.RandomSolarize(100, 1.0), PillowRoll()]),
        v2.RandomOrder([v2.CenterCrop(60), v2.Resize((70, 80))]),
        v2.Compose([v2.RandomVerticalFlip(), v2.Grayscale(3)]),
    ]
    slow, found = rendered(steps, 30)
    assert slow == {"PillowRoll": "Pillow"} and min(found) > 38


def test_the_log_names_it_once(run, picture, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import numpy as np\nfrom PIL import Image\n\n\nclass Roll:\n"
        "    def __call__(self, image):\n"
        "        return Image.fromarray(np.roll(np.asarray(image), 9, axis=0))\n"
    )
    (tmp_path / "conf" / "augment").mkdir(parents=True)
    (tmp_path / "conf" / "augment" / "mine.yaml").write_text(
        "# @package _global_\naugment:\n  name: mine\n  transforms:\n"
        "    - _target_: mine.Roll\n"
        "    - _target_: torchvision.transforms.v2.RandomCrop\n      size: ${img_size}\n"
    )
    typed = (f"imgpath={picture}", "augment=mine", "img_size=32", "num_imgs=40")
    typed = (*typed, f"hydra.searchpath=[file://{tmp_path}/conf]", "trusted_modules=[mine]")
    for engine in ("native", "reference"):
        run(*typed, f"engine={engine}", f"targetpath={tmp_path}/{engine}",
            "encode=png", PYTHONPATH=str(tmp_path))  # fmt: skip
    log = (tmp_path / "native" / "run.log").read_text()
    sentence = "Roll has no fast kernel: Pillow renders it correctly, but more slowly."
    assert log.count(sentence) == 1
    assert "kernel" not in (tmp_path / "reference" / "run.log").read_text()
    images = [sorted((tmp_path / one / "train").rglob("*.png")) for one in ("native", "reference")]
    assert len(images[0]) == 40
    for ours, theirs in zip(*images, strict=True):
        assert (np.asarray(Image.open(ours)) == np.asarray(Image.open(theirs))).all()


# --- the command ---------------------------------------------------------------------------------


def test_a_run_uses_it_untold(run, picture, tmp_path):
    run(f"imgpath={picture}", "num_imgs=20", "img_size=32", f"targetpath={tmp_path}/set")
    recipe = json.loads((tmp_path / "set" / "recipe.json").read_text())
    assert recipe["pixels"]["engine"] == "raster-1"
    assert recipe["pixels"]["encoder"]["jpeg"] == "simplejpeg"
    assert recipe["made_with"].keys() == {"singleimg", "simplejpeg"}
    assert summary_of(tmp_path / "set")["images"] == 20


def test_an_unknown_engine_is_answered_with_those_there_are(run):
    result = run("engine=fast", "num_imgs=8", code=1)
    assert re.fullmatch(
        r"engine=fast is not one of native, reference: type for example engine=native\.\n",
        result.stderr,
    )
