"""``task=preview``: a first look."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

import singleimg

SMALL = ("task=preview", "img_size=32", "preview.rows=2", "preview.columns=3", "preview.size=40")


def test_it_writes_a_picture_and_no_dataset(run, picture, tmp_path):
    said = run(*SMALL, f"imgpath={picture}", "augment=strong", "deg=60", cwd=tmp_path).stdout
    (file,) = tmp_path.rglob("*.png")
    assert file.parent == tmp_path / "outputs" / "previews"
    assert file.name.startswith(f"{picture.stem}-strong-32px-")
    assert said.splitlines()[-1] == f"Preview: {file}"
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["previews"]
    with Image.open(file) as shown:  # two rows of three, framed; 112×84 of the source; a legend
        assert shown.size == (3 * 42 + 16 + 320, 2 * 42 + 20)


def test_its_images_are_those_that_would_be_made(run, picture, tmp_path):
    run(*SMALL[:-1], "preview.size=32", f"imgpath={picture}", "encode=png", cwd=tmp_path)
    run(f"imgpath={picture}", "img_size=32", "num_imgs=6", "encode=png",
        f"targetpath={tmp_path}/set", cwd=tmp_path)  # fmt: skip
    (file,) = tmp_path.glob("outputs/previews/*.png")
    shown = np.asarray(Image.open(file))
    for index, made in enumerate(sorted((tmp_path / "set" / "train").rglob("*.png"))):
        top, left = 34 * (index // 3) + 1, 34 * (index % 3) + 1
        assert np.array_equal(shown[top : top + 32, left : left + 32], np.asarray(Image.open(made)))


def test_of_several_pictures_it_shows_one(run, picture, tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        Image.open(picture).save(folder / f"{number}.png")
    said = run(*SMALL, "image=folder", f"imgpath={folder}", cwd=tmp_path).stdout
    sources = [one.source for one in singleimg.SingleImage.open(folder).draw_many(range(6)).samples]
    most = max(map(sources.count, sources))
    assert f"Of 6 images {most} come from the picture that is shown." in said


def test_what_a_run_reads_may_stand_there(run, picture, tmp_path):
    run(*SMALL, f"imgpath={picture}", "num_imgs=9", "output=parquet", "threads=1",
        f"targetpath={tmp_path}/set", cwd=tmp_path)  # fmt: skip
    assert not (tmp_path / "set").exists()
    assert (tmp_path / "outputs" / "previews" / "set.png").exists()


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (
            "preview.rows=0",
            "preview.rows=0 is not a number of rows from 1 to 64: type for example ",
        ),
        ("preview.size=4", "preview.size=4 is not a whole number of pixels from 8 to 1024: type "),
        ("preview.side=4", "preview.side is not a key"),
        ("preview.rows=64 preview.columns=64 preview.size=1024", "a sheet of 64 × 64 images of "),
    ],
)
def test_mistakes(run, picture, tmp_path, typed, sentence):
    error = run(*SMALL, *typed.split(), f"imgpath={picture}", cwd=tmp_path, code=1).stderr
    assert error.startswith(sentence) and len(error.splitlines()) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="another system has another viewer")
def test_it_is_opened_by_the_viewer_of_the_system(run, picture, tmp_path):
    viewer, opened = tmp_path / "xdg-open", tmp_path / "opened"
    viewer.write_text(f'#!/bin/sh\necho "$1" > {opened}.part && mv {opened}.part {opened}\n')
    viewer.chmod(0o755)
    run(*SMALL, "preview.open=true", f"imgpath={picture}", cwd=tmp_path, PATH=f"{tmp_path}:/bin")
    from tests.scenarios import wait_until

    assert wait_until(opened.exists)
    assert opened.read_text().strip().endswith(".png")
    viewer.unlink()
    error = run(*SMALL, "preview.open=true", f"imgpath={picture}", cwd=tmp_path, code=1,
                PATH=str(tmp_path)).stderr  # fmt: skip
    assert error.startswith("preview.open=true finds no viewer on this machine: open ")
