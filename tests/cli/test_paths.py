"""Where datasets lie: relative to the person, where they were moved to, and never by mistake."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Run, images_of

SMALL = ("num_imgs=2", "img_size=16", "augment=paper", "output.shard_size=2")


@pytest.fixture
def here(picture, tmp_path) -> Path:
    shutil.copy(picture, tmp_path / "photo (1).png")
    return tmp_path


@pytest.mark.parametrize("more", [
    ("-m", "seed=1,2"), ("-m", "seed=1,2", "hydra.job.chdir=true"),
    ("-m", "seed=1,2", "hydra/launcher=joblib"),
    ("-m", "seed=1,2", "hydra/launcher=joblib", "hydra.job.chdir=true"),
])  # fmt: skip
@pytest.mark.parametrize("target", [(), ("targetpath=my sets/Café",)])
def test_relative_paths_are_those_of_the_person(run: Run, here, more, target):
    run("imgpath=photo (1).png", *SMALL, *target, *more, cwd=here)
    folder = here / "my sets" / "Café" if target else here / "outputs"
    assert len(list(folder.glob("*-seed[12]-*/train"))) == 2


def test_a_dataset_that_was_moved_goes_on_where_it_is(run: Run, here):
    run("imgpath=photo (1).png", *SMALL, "targetpath=old", cwd=here)
    (here / "old").rename(here / "new")
    said = run("-cp", "new", "-cn", "config", "num_imgs=4", cwd=here).stdout
    assert said.startswith(f"2 of 4 images of 16 px into {here / 'new'}")
    assert not (here / "old").exists()
    run("-cp", "new", "-cn", "config", "targetpath=copy", "num_imgs=4", cwd=here)
    assert images_of(here / "copy") == images_of(here / "new")


def test_a_dataset_is_no_folder_of_choices(run: Run, here):
    run("imgpath=photo (1).png", *SMALL, "targetpath=set", cwd=here)
    for more in (("--config-name", "config"), ()):
        said = run("--config-dir", "set", *more, "num_imgs=3", code=1, cwd=here).stderr
        assert said == (
            f"{here}/set/config.yaml would be ignored, since --config-dir only adds choices to "
            f"groups: type python run.py -cp {here}/set -cn config to run it.\n"
        )
    assert sorted(path.name for path in here.iterdir()) == ["photo (1).png", "set"]


@pytest.mark.parametrize("url, why", [
    ("memory://bucket/set", "its files are lost when the run ends"),
    ("simplecache::s3://bucket/set", "it is a cache of another place"),
    ("local:///tmp/set", "type its path instead"),
])  # fmt: skip
def test_a_place_that_keeps_nothing_is_refused(run: Run, here, url, why):
    typed = ("imgpath=photo (1).png", *SMALL, "output=webdataset", f"targetpath={url}")
    assert run(*typed, code=1, cwd=here).stderr == (
        f"targetpath={url} cannot hold a dataset ({why}): type a folder, or a URL such as "
        "s3://bucket/name.\n"
    )


def test_a_url_of_this_machine_is_its_folder(run: Run, here):
    run(f"imgpath=file://{here}/photo%20(1).png", *SMALL, f"targetpath=file://{here}/a%20set",
        cwd=here)  # fmt: skip
    assert (here / "a set" / "dataset.json").exists()
