"""What a user sees of a mistake: one sentence, status 1, no traceback, nothing half-written."""

from __future__ import annotations

import os
import weakref

import pytest
from PIL import Image

from singleimg.cli import main as cli
from singleimg.errors import UserError


def mistake(run, *arguments: str, cwd) -> str:
    result = run(*arguments, code=1, cwd=cwd)
    assert "Traceback" not in result.stderr + result.stdout
    assert list(cwd.glob("outputs/*")) == []
    return result.stderr.strip()


SENTENCES = {
    ("num_img=5",): "num_img is not a key (did you mean num_imgs?): type python run.py --help to "
    "see all keys.",
    ("encode.qualty=3",): "encode.qualty is not a key (did you mean encode.quality?): type python "
    "run.py --help to see all keys.",
    ("augment=stong",): "augment=stong is not one of none, paper, script, strong, weak (did you "
    "mean strong?): type for example augment=strong.",
    ("deg=abc",): "deg=abc is not a number: type python run.py --help to see what it means.",
    (
        "batch_size=1.5",
    ): "batch_size=1.5 is not a whole number: type python run.py --help to see what it means.",
    (
        "vflip=perhaps",
    ): "vflip=perhaps is not true or false: type python run.py --help to see what it means.",
    ("num_imgs=1,2",): "num_imgs=1,2 lists several values: add -m to make one dataset of each, or "
    "write a list as 'key=[1,2]'.",
    ("--num_imgs", "100"): "--num_imgs is an option of the published script: type num_imgs=100.",
    (
        "--scale",
        "500",
        "1",
    ): "--scale is an option of the published script: type 'scale=[500,1]'.",
    ("--vflip",): "--vflip is an option of the published script: type vflip=true.",
    ("--deg=20",): "--deg is an option of the published script: type deg=20.",
    ("--treads", "3"): "--treads is not an option (did you mean threads?): keys are typed without "
    "dashes, such as num_imgs=100; type --help to see them.",
    ("foo",): "foo cannot be read: keys are typed as key=value, such as num_imgs=1000.",
    ("image.name=a (1)",): "image.name=a (1) cannot be read, since ( ) [ ] { } , = : and quotation "
    "marks mean something in a value: type 'image.name=\"a (1)\"' for a plain text.",
    ("image.name=it's",): "image.name=it's cannot be read, since ( ) [ ] { } , = : and quotation "
    "marks mean something in a value: type 'image.name=\"it'\"'\"'s\"' for a plain text.",
    ("-x",): "unrecognized arguments: -x: type python run.py --help to see what can be typed.",
    ("+foo=1",): "foo=1 has no effect, since nothing reads foo: leave it out, or refer to it "
    "(${foo}).",
    ("+augment.foo=1",): "augment.foo=1 has no effect, since nothing reads augment.foo: leave it "
    "out, or refer to it (${augment.foo}).",
    ("image.exponent=2",): "image.exponent is a key of image=noise: type that too, or leave "
    "image.exponent out.",
    ("method.lr=1", "task=pretrain"): "method.lr is a key of method=bigan, byol, deepcluster, "
    "dino, distil, monogan, rotnet, rotnet_cifar, simclr, supervised or vicreg: type that too, or "
    "leave method.lr out.",
    ("output=none", "targetpath=/x"): "targetpath=/x has no effect with output=none, which writes "
    "nothing: leave one of them out.",
    ("--config-dir", "/nowhere"): "--config-dir=/nowhere is not a folder: type one that holds "
    "YAML files.",
    ("image=url",): "image.url is missing: type image.url=….",
    ("image=file",): "imgpath is missing: type imgpath=photo.jpg, or with image=folder "
    "imgpath=my/pictures.",
    ("encode=gif",): "encode=gif is not one of jpeg, png, webp: type for example encode=jpeg.",
    ("output.encoding=png",): "output.encoding=png is typed in another way now: type encode=png.",
    ("output.quality=90",): "output.quality=90 is typed in another way now: type "
    "encode.quality=90.",
    ("encode.quality=101",): "encode.quality=101 is not a whole number from 1 to 100: type for "
    "example encode.quality=75.",
    ("output.shard_size=2000",): "output.shard_size=2000 is not a whole number of images "
    "from 1 to 1,000: type for example output.shard_size=1000.",
    ("output.class_name=a/b",): "output.class_name='a/b' is not the name of one folder (printable, "
    "at most 100 characters, no / or \\, no dot or space first or last): type for example "
    "output.class_name=dummy.",
    ("max_pixels=0",): "max_pixels=0 is not a number of pixels from 1 to 9,007,199,254,740,992: "
    "type for example max_pixels=1000, max_pixels=1e6 or max_pixels=1M.",
    ("seed=null",): "seed=null is not a value: leave seed out.",
    ("augment=5",): "Config group override must be a string or a list. Got int: type python "
    "run.py --help to see what can be typed.",
    ("trusted_modules=[a-b]",): "trusted_modules holds a-b, which is not the dotted name of a "
    "module: type for example 'trusted_modules=[my_package]'.",
    (
        "deg=${nowhere}",
    ): "deg refers to nowhere, which is not a key: type python run.py --help to see all keys.",
    ("image=url", 'image.url="https://[::1"', f"image.sha256={'0' * 64}"): "image.url is not the "
    "address of a file on the web: type for example image.url=https://example.org/photo.jpg.",
}


@pytest.mark.parametrize("arguments, sentence", SENTENCES.items(), ids=lambda v: str(v)[:30])
def test_each_gets_its_sentence(run, tmp_path, arguments, sentence):
    assert mistake(run, *arguments, cwd=tmp_path) == sentence


def test_bad_files(run, tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    assert mistake(run, "text.jpg", cwd=tmp_path) == (
        "text.jpg cannot be read: keys are typed as key=value, such as imgpath=text.jpg."
    )
    assert mistake(run, "imgpath=text.jpg", cwd=tmp_path) == (
        f"imgpath={tmp_path}/text.jpg is not a picture in a format that can be read: use JPEG, "
        "PNG, WEBP, TIFF, BMP, GIF, PPM, AVIF or HEIF."
    )
    (tmp_path / "broken.yaml").write_text("seed: 1\nseed: 2\n")
    assert mistake(run, "-cp", str(tmp_path), "-cn", "broken", cwd=tmp_path) == (
        f"{tmp_path}/broken.yaml, line 2, cannot be read (found duplicate key seed): fix it."
    )


def test_an_image_smaller_than_the_crop_allows(run, tmp_path):
    Image.new("RGB", (9, 1)).save(tmp_path / "thin.png")
    assert mistake(run, "imgpath=thin.png", "num_imgs=4", cwd=tmp_path) == (
        "the source, 9×1 pixels, is too small for initcrop=0.5, which cuts less than one pixel of "
        "it: type a larger initcrop, or use a larger image."
    )


def test_a_transform_that_gives_another_size(run, tmp_path):
    own = "augment.transforms=[{_target_: torchvision.transforms.v2.CenterCrop, size: 9}]"
    assert mistake(run, own, "img_size=32", cwd=tmp_path) == (
        "augment.transforms give images of 9×9 pixels, not of img_size=32: end the "
        "list with torchvision.transforms.v2.Resize or CenterCrop of size ${img_size}."
    )


def test_targets_that_cannot_be_used(run, picture, tmp_path):
    common = (f"imgpath={picture}", "num_imgs=3", "img_size=32")
    (tmp_path / "file").write_text("")
    assert mistake(run, *common, "targetpath=file", cwd=tmp_path) == (
        f"targetpath={tmp_path}/file is a file, not a folder: type another targetpath."
    )
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    assert mistake(run, *common, "targetpath=mine", cwd=tmp_path) == (
        f"targetpath={tmp_path}/mine is not empty (thesis.tex is in it) and holds no dataset: type "
        "the name of a new or empty folder."
    )
    assert os.listdir(tmp_path / "mine") == ["thesis.tex"]
    assert mistake(run, *common, "targetpath=file/below", cwd=tmp_path) == (
        f"targetpath={tmp_path}/file/below is a file, not a folder: type another targetpath."
    )
    place = "/proc/dataset" if os.path.isdir("/proc/self") else "/dev/fd/dataset"
    assert mistake(run, *common, f"targetpath={place}", cwd=tmp_path).startswith(
        f"targetpath={place} "
    )


def test_a_target_that_holds_another_recipe(run, picture, tmp_path):
    common = (f"imgpath={picture}", "img_size=32", "targetpath=set")
    run(*common, "num_imgs=3", cwd=tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert mistake(run, *common, "num_imgs=3", "deg=45", cwd=tmp_path) == (
        f"targetpath={tmp_path}/set holds a dataset of another recipe "
        "(pixels.transforms[1].degrees: 30.0 → 45.0): type another targetpath, if_exists=overwrite "
        "to replace it, or the old values to resume it."
    )
    assert mistake(run, *common, "num_imgs=2", cwd=tmp_path) == (
        f"targetpath={tmp_path}/set already holds 3 images, more than num_imgs=2: type num_imgs=3 "
        "or more, another targetpath, or if_exists=overwrite to replace it."
    )
    assert sorted(tmp_path.rglob("*")) == before


def test_more_than_the_disk_holds(run, picture, tmp_path):
    said = mistake(run, f"imgpath={picture}", "num_imgs=1e9", "img_size=1024",
                   "encode=png", "targetpath=x", cwd=tmp_path)  # fmt: skip
    assert said.startswith(f"targetpath={tmp_path}/x needs about ")
    assert said.endswith(" are free: type a smaller num_imgs, or a targetpath on another disk.")


def test_a_group_on_replay(run, picture, tmp_path):
    run(f"imgpath={picture}", "num_imgs=2", "img_size=32", "targetpath=set", cwd=tmp_path)
    replay = ("-cp", str(tmp_path / "set"), "-cn", "config", "targetpath=again")
    assert mistake(run, *replay, "augment=weak", cwd=tmp_path) == (
        "augment=weak names a group, and a saved configuration has no groups to choose from: type "
        "single keys of it, or leave -cp and -cn out to choose groups."
    )
    said = mistake(run, *replay, "deg=abc", cwd=tmp_path)
    assert said == "deg=abc is not a number: type python run.py --help to see what it means."


def test_one_bad_job_of_a_sweep_does_not_stop_the_others(run, picture, tmp_path):
    result = run("-m", "deg=-5,3,-7,4", f"imgpath={picture}", "num_imgs=2", "img_size=32",
                 f"targetpath={tmp_path / 'sweep'}", code=1, cwd=tmp_path)  # fmt: skip
    assert len(list((tmp_path / "sweep").iterdir())) == 2
    for bad in ("-5", "-7"):
        sentence = f"deg={bad} is not an angle in degrees from 0 to 180: type for example deg=0."
        assert result.stderr.count(sentence) == 1
    assert "Traceback" not in result.stderr


class Work:
    """Worker processes, say, whose semaphores are given back when nobody holds them any more."""


def test_a_mistake_that_was_said_keeps_nothing_of_what_was_at_work(monkeypatch, capsys):
    at_work = []

    def fail(_: list[str]) -> None:
        work = Work()
        at_work.append(weakref.ref(work))
        raise UserError("seed=x is no number.")

    monkeypatch.setattr(cli, "_hydra", fail)
    monkeypatch.setattr(cli.guard, "install", lambda _: None)
    monkeypatch.setattr("sys.argv", ["run.py"])
    assert cli.main() == 1
    assert capsys.readouterr().err == "seed=x is no number.\n"
    assert at_work[0]() is None


def test_a_key_of_training_is_refused_where_it_has_no_effect(run):
    result = run("num_imgs=8", "method=rotnet", code=1)
    assert result.stderr.startswith("method=rotnet has no effect, since task=generate does not")
