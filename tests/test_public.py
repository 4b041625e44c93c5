"""The public face: what a person at a prompt, an editor and a type checker see of the package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jedi
import pytest

import singleimg
from singleimg import RenderedDataset, SingleImage, StoredDataset, UserError, compose
from singleimg.config.make import instantiate
from singleimg.learn.networks.cifar_conv4 import CifarConv4
from singleimg.sources.file import File
from singleimg.sources.folder import Folder
from singleimg.sources.url import Url
from tests.conftest import ROOT

API = ["RenderedDataset", "SingleImage", "StoredDataset", "UserError", "__version__", "compose",
       "load_trunk"]  # fmt: skip


def test_it_lists_itself_without_torch():
    code = "import singleimg, sys; print(dir(singleimg)); sys.exit('torch' in sys.modules)\n"  #
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (result.returncode, result.stdout.strip()) == (0, str(API))
    assert [name for name in API if not hasattr(singleimg, name)] == []


def test_an_editor_completes_names_and_shows_arguments():
    """jedi reads the code as editors do, and runs none of it."""

    def completed(code: str) -> set[str]:
        return {one.name for one in jedi.Script(code, project=jedi.Project(ROOT)).complete()}

    def arguments(code: str) -> list[str]:
        [signature] = jedi.Script(code, project=jedi.Project(ROOT)).get_signatures()
        return [one.name for one in signature.params]

    assert set(API) <= completed("import singleimg\nsingleimg.")
    assert {"open", "from_config", "render", "draw"} <= completed(
        "import singleimg\nsingleimg.SingleImage."
    )
    assert {"render", "file"} <= completed("import singleimg\nsingleimg.RenderedDataset('a').")
    assert arguments("import singleimg\nsingleimg.compose(") == ["overrides", "keys"]
    assert arguments("import singleimg\nsingleimg.StoredDataset(") == [
        "path", "transform", "trusted_modules",
    ]  # fmt: skip
    assert arguments("import singleimg\nsingleimg.SingleImage.open(")[:2] == [
        "source", "trusted_modules",
    ]  # fmt: skip
    assert (ROOT / "singleimg" / "py.typed").exists()  # PEP 561: checkers read the annotations


# --- what a prompt shows -------------------------------------------------------------------------


def test_datasets_say_how_many_of_what_and_where(picture, run, tmp_path):
    target = tmp_path / "set"
    typed = (f"imgpath={picture}", "img_size=32", "num_imgs=3", "output=webdataset")
    run(*typed, f"targetpath={target}")
    assert repr(StoredDataset(target)) == (
        f"StoredDataset({str(target)!r}, 3 images, output=webdataset)"
    )
    images = (
        f"SingleImage(File({str(picture)!r}), CropResizeAffine → RandomApply, img_size=32, seed=0, "
        "engine=raster-1)"
    )
    assert repr(SingleImage.open(target)) == images
    assert repr(RenderedDataset(target, "1M")) == f"RenderedDataset(1,000,000 images of {images})"
    none = SingleImage.open(picture, **{"augment.transforms": []})
    assert "no transforms" in repr(none)


def test_parts_say_what_they_are_in_one_line(picture):
    images = SingleImage.open(picture, img_size=32)
    assert repr(images.draw(7)) == "Sample(index=7, source=0, CropResizeAffine → RandomApply)"
    assert repr(File("a.jpg")) == "File('a.jpg')"
    assert repr(Folder(picture.parent)) == f"Folder({str(picture.parent)!r})"
    assert repr(Url("https://example.org/a.png", "0" * 64)) == "Url('https://example.org/a.png')"
    trunk = CifarConv4().trunk()
    weights = sum(weight.numel() for weight in trunk.parameters())
    assert repr(trunk) == f"Trunk(4 stages, {weights:,} weights)"
    cfg = compose("output=webdataset", "image=noise")
    for group in ("image", "engine", "encode", "output", "backend"):
        shown = repr(instantiate(cfg, group))
        assert "\n" not in shown and " object at 0x" not in shown


# --- a photograph by its path, keys by their names -----------------------------------------------


def test_a_photograph_and_keys_are_enough(picture):
    dataset = RenderedDataset(picture, augment="paper", img_size=48, num_imgs="1M")
    same = RenderedDataset(compose(f"imgpath={picture}", "augment=paper", "img_size=48"))
    assert len(dataset) == 1_000_000 and dataset[5][0].size == (48, 48)
    assert dataset.file(5) == same.file(5)
    images = SingleImage.open(str(picture), augment="paper", img_size=48)
    assert (images.render(5) == dataset.render(5)).all()


def test_a_folder_of_pictures_too(picture):
    dataset = RenderedDataset(picture.parent, img_size=32, num_imgs=4)
    typed = compose("image=folder", f"imgpath={picture.parent}", "img_size=32", "num_imgs=4")
    assert [dataset.file(k) for k in range(4)] == [RenderedDataset(typed).file(k) for k in range(4)]


def test_keys_change_a_configuration_too(picture):
    cfg = compose(imgpath=picture, img_size=32, num_imgs=9)
    changed = RenderedDataset(cfg, deg=0, scale=[10, 1], num_imgs=5)
    typed = compose(f"imgpath={picture}", "img_size=32", "deg=0", "scale=[10,1]")
    assert len(changed) == 5 and changed.file(1) == RenderedDataset(typed).file(1)
    assert cfg.deg == 30
    assert said(lambda: RenderedDataset(cfg, dge=3)) == (
        "dge is not a key (did you mean deg?): type python run.py --help to see all keys."
    )
    assert said(lambda: RenderedDataset(cfg, deg="x")) == (
        "deg=x is not a number: type python run.py --help to see what it means."
    )
    assert said(lambda: RenderedDataset(cfg, augment="paper")).startswith(
        "augment=paper names a group, and a saved configuration has no groups to choose from"
    )


def test_a_dataset_is_what_it_is(picture, run, tmp_path):
    run(f"imgpath={picture}", "img_size=32", "num_imgs=3", f"targetpath={tmp_path / 'set'}")
    for kind in (RenderedDataset, SingleImage.open):
        assert said(lambda kind=kind: kind(tmp_path / "set", deg=3, seed=1)) == (
            f"{tmp_path}/set is a dataset, whose images are fixed: leave deg, seed out, or give a "
            "photograph or a configuration."
        )


def said(act) -> str:
    with pytest.raises(UserError) as refused:
        act()
    return str(refused.value)


# --- a picture that is missing is told at once ---------------------------------------------------


@pytest.mark.parametrize("make", [RenderedDataset, SingleImage.open], ids=["dataset", "images"])
def test_a_picture_that_cannot_be_used_is_told_when_the_dataset_is_made(picture, tmp_path, make):
    assert said(lambda: make(tmp_path / "a.jpg")) == (
        f"imgpath={tmp_path}/a.jpg does not exist: type the path of a picture."
    )
    (tmp_path / "text.jpg").write_text("no picture")
    assert said(lambda: make(tmp_path / "text.jpg")).startswith(
        f"imgpath={tmp_path}/text.jpg is not a picture in a format that can be read: use JPEG, PNG"
    )
    (tmp_path / "cut.png").write_bytes(picture.read_bytes()[:-300])
    assert said(lambda: make(tmp_path / "cut.png")).startswith(
        f"imgpath={tmp_path}/cut.png cannot be read to its end ("
    )
    cfg = compose("image=url", f"image.sha256={'0' * 64}")
    assert said(lambda: make(cfg)) == "image.url is missing: type image.url=…."


def test_of_many_pictures_the_beginning_of_each_is_read(picture, tmp_path, monkeypatch):
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(picture.read_bytes())
    decoded: list[str] = []
    monkeypatch.setattr(File, "load", lambda self, k: decoded.append(k))
    RenderedDataset(tmp_path, img_size=32)
    assert decoded == []
    (tmp_path / "b.png").write_bytes(b"")
    assert said(lambda: RenderedDataset(tmp_path)) == (
        f"imgpath={tmp_path}/b.png is empty: type the path of a picture."
    )


def test_what_a_dataset_was_made_from_and_is_gone_is_told_at_once(picture, run, tmp_path):
    photo = Path(tmp_path / "photo.png")
    photo.write_bytes(picture.read_bytes())
    run(f"imgpath={photo}", "img_size=32", "num_imgs=3", f"targetpath={tmp_path / 'set'}")
    photo.unlink()
    for make in (RenderedDataset, SingleImage.open):
        assert said(lambda make=make: make(tmp_path / "set")) == (
            f"imgpath={photo} does not exist: type the path of a picture."
        )
