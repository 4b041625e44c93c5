"""The schema, the presets, and one clear error for each mistake."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torchvision.transforms import v2

import singleimg
from singleimg.config import checks, location, make, schema
from singleimg.config.tasks import TASKS
from singleimg.errors import UserError
from singleimg.learn.study import design
from singleimg.transforms.paper import RotatedCrop
from singleimg.transforms.published import CropResizeAffine, RandomSquareCrop
from tests.conftest import ROOT


def composed(*overrides: str):
    with initialize_config_dir(str(location.CONF), version_base="1.3"):
        return compose("config", list(overrides))


def loaded(*overrides: str):
    return checks.load(composed(*overrides), overrides)


def refused(*overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        make.instantiate_transforms(loaded(*overrides))
    return str(caught.value)


# --- the published script's flags ----------------------------------------------------------------

PUBLISHED = {
    "img_size": 256,
    "batch_size": 32,
    "num_imgs": 1281167,
    "vflip": False,
    "deg": 30,
    "shear": 30,
    "cropfirst": True,
    "initcrop": 0.5,
    "scale": [500, 1],
    "randinterp": False,
    "debug": False,
}


@pytest.mark.parametrize("key, value", PUBLISHED.items())
def test_the_published_flags_keep_their_names_and_defaults(key, value):
    assert composed()[key] == value


def test_counts_may_have_a_suffix():
    cfg = loaded("num_imgs=1.5k", "max_pixels=200M")
    assert (cfg.num_imgs, cfg.max_pixels) == (1500, 200_000_000)


def test_a_picture_of_ones_own_is_shrunk_by_a_key_of_every_image():
    for typed in ((), ("image=noise",), ("image=plain",), ("imgpath=a.png",)):
        assert loaded(*typed, "image.pixels=600").image.pixels == 600
        assert loaded(*typed).image.pixels is None


def test_the_three_that_differ():
    cfg = composed()
    assert (cfg.threads, cfg.imgpath, cfg.targetpath) == (None, None, None)


def test_the_script_preset_is_the_published_list_in_its_order():
    transforms = make.instantiate_transforms(loaded("vflip=true", "img_size=64"))
    kinds = [RandomSquareCrop, CropResizeAffine, v2.RandomVerticalFlip, v2.RandomApply]
    assert [type(one) for one in transforms] == kinds
    square, crop, flip, jitter = transforms
    assert square.law.fraction == 0.5 and flip.p == 0.5 and jitter.p == 0.5
    assert (crop.law.size, crop.law.canvas, crop.law.scale) == (64, 90, [500, 1])
    assert (crop.law.degrees, crop.law.shear, crop.law.corners) == (30, 30, "fill")
    (colours,) = jitter.transforms
    assert (colours.brightness, colours.hue) == ((0.6, 1.4), (-0.1, 0.1))


def test_when_leaves_a_transform_out():
    kinds = [type(one) for one in make.instantiate_transforms(loaded("cropfirst=false"))]
    assert kinds == [CropResizeAffine, v2.RandomApply]


def test_the_command_line_has_the_last_word_over_a_preset():
    assert composed("augment=paper").deg == 35
    (crop, *_) = make.instantiate_transforms(loaded("augment=paper", "deg=12"))
    assert (type(crop), crop.law.degrees, crop.law.scale) == (RotatedCrop, 12, [1000, 1])


# --- every group ---------------------------------------------------------------------------------

CHOICES = [
    (folder.name, file.stem)
    for folder in sorted(location.CONF.iterdir())
    if folder.is_dir() and folder.name != "experiment"
    for file in sorted(folder.glob("*.yaml"))
]


@pytest.mark.parametrize("group, choice", CHOICES)
def test_every_choice_of_every_group_can_be_made(group, choice, tmp_path):
    more = []
    if group == "image" and choice in ("file", "folder"):
        (tmp_path / "a.png").touch()
        more = [f"imgpath={tmp_path / 'a.png' if choice == 'file' else tmp_path}"]
    if choice == "url":
        more = ["image.url=https://example.org/a.png", f"image.sha256={'0' * 64}"]
    if group == "output" and choice == "folder":
        more = ["output.class_name=dummy"]
    if group in schema.OPTIONAL_GROUPS:
        more = [f"task={ {'budget': 'study', 'probe': 'probe'}.get(group, 'pretrain') }"]
    if group == "data":
        more.append("data.path=/nowhere")
    if choice == "alexnet_bn":
        more.append("method=rotnet")
    if group == "method":
        more.append("network=cifar_conv4")
    if (group, choice) == ("method", "distil"):
        more.append("method.teacher=timm:resnet18")
    cfg = loaded(f"{group}={choice}", *more)
    if group == "augment":
        assert make.instantiate_transforms(cfg)
    elif group == "budget":
        assert all(design.rows_of(design.PARTS, OmegaConf.to_container(cfg.budget)))
    elif group == "task":
        assert callable(make.task(cfg))
    else:
        assert make.instantiate(cfg, group) is not None


@pytest.mark.parametrize("file", sorted(location.CONF.rglob("*.yaml")), ids=lambda f: f.stem)
def test_every_number_that_a_user_may_change_has_a_comment(file):
    lines = file.read_text().splitlines()
    keys = [line for line in lines if line[:1].isalpha() and ": " in line]
    bare = [key for key in keys if "#" not in key and "${" not in key]
    assert all(key.startswith(("_target_", "name", "url", "sha256")) for key in bare) or (
        file.parent.name in ("experiment", "budget") and "# " in "".join(lines[:2])
    )


# --- numbers of images ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, count",
    [
        ("1e6", 10**6),
        ("1_000_000", 10**6),
        ("1M", 10**6),
        ("50k", 50_000),
        ("1.5k", 1500),
        ("7", 7),
    ],
)
def test_numbers_of_images_as_people_write_them(text, count):
    assert loaded(f"num_imgs={text}").num_imgs == count


# --- mistakes ------------------------------------------------------------------------------------

COUNT = "is not a number of images from 1 to 1,000,000,000: type for example num_imgs=1000, num_imgs=1e6 or num_imgs=1M."  # noqa: E501
SCALE = "is not an inverse area range, two numbers from 1 to 1,000,000,000, the larger first: type for example 'scale=[500,1]' for crops of 1/500 to all of the area."  # noqa: E501
UNUSED = "whose transforms do not use it: leave one of them out (the published script's keys belong to augment=script)."  # noqa: E501
MISTAKES = {
    ("num_imgs=0",): f"num_imgs=0 {COUNT}",
    ("num_imgs=-1",): f"num_imgs=-1 {COUNT}",
    ("num_imgs=abc",): f"num_imgs=abc {COUNT}",
    ("num_imgs=1e15",): f"num_imgs=1000000000000000.0 {COUNT}",
    ("num_imgs=1.5",): f"num_imgs=1.5 {COUNT}",
    ("scale=[1,500]",): f"scale=[1,500] {SCALE}",
    ("scale=[0,1]",): f"scale=[0,1] {SCALE}",
    ("scale=[9]",): f"scale=[9] {SCALE}",
    ("scale=[inf,1]",): f"scale=[inf,1] {SCALE}",
    ("scale=[nan,1]",): f"scale=[nan,1] {SCALE}",
    ("deg=-5",): "deg=-5 is not an angle in degrees from 0 to 180: type for example deg=0.",
    ("shear=90",): "shear=90 is not an angle in degrees from 0 to 80: type for example shear=80.",
    ("threads=0",): "threads=0 is not a number of workers of 1 or more: type for example "
    "threads=1.",
    ("img_size=7",): "img_size=7 is not a whole number of pixels from 8 to 4096: type for example "
    "img_size=8.",
    ("batch_size=0",): "batch_size=0 is not a whole number of 1 or more: type for example "
    "batch_size=1.",
    ("initcrop=1.5",): "initcrop=1.5 is not a fraction over 0 and up to 1: type for example "
    "initcrop=0.5, or cropfirst=false for no such crop.",
    ("corners=refect",): "corners=refect is not one of fill, reflect, image (did you mean "
    "reflect?): type for example corners=image.",
    ("imgpath=a.png", "image=noise"): "imgpath=a.png and image=noise exclude each other: leave "
    "one of them out (imgpath alone means image=file).",
    (
        "debug=true",
        "num_imgs=5",
    ): "debug=true makes 64 images, not num_imgs=5: leave one of them out.",
    (
        "debug=true",
        "output=none",
    ): "debug=true makes a picture, and output=none writes nothing: leave one of them out.",
    ("augment=paper", "shear=10"): f"shear=10 has no effect with augment=paper, {UNUSED}",
    ("cropfirst=false", "initcrop=0.3"): f"initcrop=0.3 has no effect with cropfirst=false, "
    f"{UNUSED}",
    ("augment=none", "deg=3"): f"deg=3 has no effect with augment=none, {UNUSED}",
    ("augment.transforms=[{_target_: torchvision.transforms.v2.RandomCorp, size: 9}]",): (
        "augment.transforms[0]: torchvision.transforms.v2.RandomCorp does not exist (did you mean "
        "RandomCrop?): type the dotted path of a class that Python can import from here."
    ),
    ("augment.transforms=[{_target_: torchvision.transforms.v2.RandomCrop, siz: 9}]",): (
        "augment.transforms[0]: torchvision.transforms.v2.RandomCrop has no argument siz (did you "
        "mean size?): type one that it has, or leave it out."
    ),
    ("augment.transforms=[{_target_: nowhere.Crop}]", "trusted_modules=[nowhere]"): (
        "augment.transforms[0]: nowhere.Crop does not exist: type the dotted path of a class that "
        "Python can import from here."
    ),
    ("augment.transforms=[{size: 9}]",): (
        "augment.transforms[0] has no _target_: type the dotted path of a transform, such as "
        "torchvision.transforms.v2.RandomHorizontalFlip."
    ),
    ("augment.transforms=[{_target_: singleimg.transforms.RandomSquareCrop, fraction: 2}]",): (
        "RandomSquareCrop: fraction=2 is not over 0 and up to 1: type for example fraction=0.5."
    ),
}


@pytest.mark.parametrize("overrides, message", MISTAKES.items(), ids=lambda value: str(value)[:40])
def test_each_mistake_gets_its_sentence(overrides, message):
    assert refused(*overrides) == message


def test_a_group_cannot_be_changed_on_replay():
    cfg = composed()
    OmegaConf.set_struct(cfg, False)
    cfg.augment = "weak"  # what Hydra makes of augment=weak where there are no groups
    with pytest.raises(UserError) as caught:
        checks.load(cfg, ["augment=weak"])
    assert str(caught.value) == (
        "augment=weak names a group, and a saved configuration has no groups to choose from: type "
        "single keys of it, or leave -cp and -cn out to choose groups."
    )


# --- names and selection -------------------------------------------------------------------------


def test_imgpath_alone_selects_a_file_and_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = loaded("imgpath=a.png")
    assert cfg.image._target_ == "file"
    assert cfg.image.path == str(tmp_path / "a.png")


def test_the_package_imports_no_torch():
    code = (
        "import sys, singleimg, singleimg.config.checks, singleimg.cli.main; "
        "import singleimg.sources.decoding, singleimg.dataset.recipe, singleimg.storage.manifest; "
        "import singleimg.sources.synthetic, singleimg.jobs.driver; "
        "sys.exit('torch' in sys.modules or 'torchvision' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


# --- keys and tasks ------------------------------------------------------------------------------


def test_each_key_has_a_task_that_reads_it_and_tasks_name_keys_that_there_are():
    keys = {key for key, _ in schema.typed_keys(None)} - {"task", "trusted_modules"}
    sections = {field.metadata["section"] for _, field in schema.typed_keys(None)}
    read = {name for task in TASKS.values() for name in task.reads}
    assert read <= {"experiment", *keys, *sections}
    assert [key for key in keys if not checks._places(key) & read] == []
    assert {key for key in keys if checks._places(key) & {"augmentation"}} == {*schema.AUGMENT_KEYS}


FORMER = {
    ("repair=true", "task=verify"): "task=repair instead of task=verify",
    ("deep=true", "task=verify"): "task.deep=true",
    ("to=b", "task=export"): "task.to=b",
    ("dataset=a", "task=pretrain"): "task.dataset=a",
    ("resume=never", "task=pretrain"): "task.resume=never",
    ("train.keep=[0.5]", "task=pretrain"): "task.keep=[0.5]",
    ("train.images=9", "task=pretrain"): "task.images=9",
    ("checkpoint=[a,b]", "task=probe"): "task.checkpoint=[a,b]",
    ("study.parts=[table]", "task=study"): "task.parts=[table]",
}


@pytest.mark.parametrize("typed, now", FORMER.items(), ids=lambda value: str(value)[:30])
def test_a_key_by_its_former_name_is_answered_by_what_to_type_now(typed, now):
    with pytest.raises(UserError) as caught:
        singleimg.compose(*typed)
    assert str(caught.value) == f"{typed[0]} is typed in another way now: type {now}."
    if "task." in now:
        assert singleimg.compose(now, typed[1]).task.name == typed[1].removeprefix("task=")
