"""A wheel, installed in a new environment and used from an empty folder, does what a checkout does.

``python -m pytest -m wheel``; libraries are those of the environment that runs the tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT, images_of

pytestmark = pytest.mark.wheel
_LEFT = (".git", "build", "dist", "__pycache__")
SMALL = ("num_imgs=3", "img_size=32")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, since a build leaves folders in the project."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(
        ROOT, folder / "project",
        ignore=lambda place, names: {
            name for name in names
            if name in _LEFT or name.endswith(".egg-info") or Path(place, name) == ROOT / "outputs"
        },
    )  # fmt: skip
    (folder / "project" / "outputs" / "mine").mkdir(parents=True)
    (folder / "project" / "outputs" / "mine" / "patch_0.jpg").touch()
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "-q",
         "-w", folder / "dist"],
        cwd=folder / "project", check=True, timeout=300,
    )  # fmt: skip
    [built] = (folder / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The programs of an environment that has the wheel, and sees the libraries of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    [packages] = folder.glob("lib/python*/site-packages")
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "libraries.pth").write_text("\n".join(libraries))
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "-q",
         "--no-deps", "--no-index", "--ignore-installed", wheel],
        check=True, timeout=300,
    )  # fmt: skip
    return folder / "bin"


@pytest.fixture
def start(installed, cache, tmp_path):
    """``start("singleimg", …)``: a program of that environment, in an empty folder."""
    (tmp_path / "empty").mkdir()

    def program(name: str, *arguments: object, code: int = 0) -> subprocess.CompletedProcess:
        done = subprocess.run(
            [installed / name, *map(str, arguments)],
            cwd=tmp_path / "empty", capture_output=True, text=True, timeout=300,
            env={**os.environ, "SINGLEIMG_CACHE": str(cache)},
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return program


def test_it_holds_the_code_and_every_setting_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert len(tops) == 2 and "singleimg" in tops  # and what pip keeps of it
    code = {str(file.relative_to(ROOT)) for file in (ROOT / "singleimg").rglob("*.py")}
    settings = {f"singleimg/{file.relative_to(ROOT)}" for file in (ROOT / "conf").rglob("*.yaml")}
    assert len(settings) > 50
    assert {name for name in names if name.startswith("singleimg/")} == (
        code | settings | {"singleimg/py.typed"}
    )


def test_the_command_the_module_and_a_checkout_make_the_same_bytes(start, run, tmp_path):
    said = start("singleimg", *SMALL).stdout
    [made] = (tmp_path / "empty" / "outputs").iterdir()
    assert "Extend:  singleimg img_size=32 num_imgs=6" in said
    start("python", "-m", "singleimg", *SMALL, f"targetpath={tmp_path / 'module'}")
    run(*SMALL, f"targetpath={tmp_path / 'checkout'}")
    assert len(images_of(made)) == 3
    assert images_of(made) == images_of(tmp_path / "module") == images_of(tmp_path / "checkout")


def test_a_folder_replays_by_its_absolute_and_its_relative_path(start, tmp_path):
    start("singleimg", *SMALL, "deg=7", "targetpath=first")
    first = tmp_path / "empty" / "first"
    assert "\n#   singleimg -cp " in (first / "config.yaml").read_text()
    start("singleimg", "-cp", first, "-cn", "config", "targetpath=second")
    start("singleimg", "-cp", "first", "-cn", "config", "targetpath=third")
    assert images_of(first) == images_of(first.with_name("second"))
    assert images_of(first) == images_of(first.with_name("third"))


def test_a_sweep_makes_a_folder_each_in_processes_as_well(start, tmp_path):
    start("singleimg", "-m", *SMALL, "deg=0,30", "hydra/launcher=joblib")
    made = [one for one in (tmp_path / "empty" / "outputs").iterdir() if one.name[0] != "."]
    assert [len(images_of(one)) for one in made] == [3, 3]


def test_its_help_and_its_sentences_name_the_command(start):
    page = start("singleimg", "--help").stdout
    assert "  singleimg num_imgs=1000 " in page and "run.py" not in page
    assert page == start("python", "-m", "singleimg", "-h").stdout
    assert start("singleimg", "num_img=5", code=1).stderr == (
        "num_img is no key (did you mean num_imgs?): singleimg --help lists them.\n"
    )


def test_the_package_from_python(start):
    said = start("python", "-c", (
        "import singleimg, sys; assert 'torch' not in sys.modules\n"
        "cfg = singleimg.compose('num_imgs=3', 'img_size=32')\n"
        "print(singleimg.__version__, len(singleimg.RenderedDataset(cfg)), singleimg.__file__)"
    )).stdout.split()  # fmt: skip
    assert said[1] == "3" and str(ROOT) not in said[2]
