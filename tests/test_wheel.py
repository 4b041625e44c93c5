"""A wheel, installed in a new environment and used from an empty folder, does what a checkout does.

``python -m pytest -m wheel``; libraries are those of the environment that runs the tests.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from pathlib import Path

import pytest

import singleimg
from tests.conftest import ROOT, images_of

pytestmark = pytest.mark.wheel
_LEFT = (".git", "build", "dist", "__pycache__")
RASTER = "singleimg/engines/raster"
SMALL = ("num_imgs=3", "img_size=32")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A copy, since a build leaves folders in the project."""
    folder = tmp_path_factory.mktemp("wheel") / "project"
    shutil.copytree(
        ROOT, folder,
        ignore=lambda place, names: {
            name for name in names
            if name in _LEFT or name.endswith(".egg-info") or Path(place, name) == ROOT / "outputs"
        },
    )  # fmt: skip
    (folder / "outputs" / "mine").mkdir(parents=True)
    (folder / "outputs" / "mine" / "patch_0.jpg").touch()
    (folder / RASTER / "raster-of-a-checkout.so").touch()
    return folder


def built(project: Path | str, *switches: str, code: int = 0, **environment: str) -> Path | str:
    """The wheel that pip makes of a folder or an sdist; where it should fail, what it says."""
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            [sys.executable, "-m", "pip", "wheel", project, "--no-deps", "-q", *switches,
             "-w", Path(project).parent / f"dist-{Path(empty).name}"],
            cwd=empty, env={**os.environ, **environment}, timeout=900,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert done.returncode == code, done.stdout
        if code:
            return done.stdout
        [made] = (Path(project).parent / f"dist-{Path(empty).name}").iterdir()
        return made


@pytest.fixture(scope="module")
def wheel(project) -> Path:
    return built(project, "--no-build-isolation")


def library_in(wheel: Path, folder: Path) -> Path:
    """The compiled raster of a wheel, taken out."""
    archive = zipfile.ZipFile(wheel)
    [name] = [name for name in archive.namelist() if name.endswith(".so")]
    return Path(archive.extract(name, folder))


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
    code = {
        str(file.relative_to(ROOT))
        for kind in ("py", "c", "h", "html", "md")
        for file in (ROOT / "singleimg").rglob(f"*.{kind}")
    }
    settings = {f"singleimg/{file.relative_to(ROOT)}" for file in (ROOT / "conf").rglob("*.yaml")}
    assert len(settings) > 50
    [library] = [name for name in names if name.startswith(f"{RASTER}/raster-")]
    assert {name for name in names if name.startswith("singleimg/")} == (
        code - {f"{RASTER}/hook.py"} | settings | {"singleimg/py.typed", library}
    )


# --- the compiled raster -------------------------------------------------------------------------


def test_its_name_says_any_python_3_on_this_kind_of_machine(wheel):
    tag = wheel.stem.split("-", 2)[2]
    machine = platform.machine()
    if sys.platform == "darwin":
        assert tag == f"py3-none-macosx_11_0_{machine}"
    else:
        assert re.fullmatch(rf"py3-none-manylinux_2_\d+_{machine}", tag)
    text = zipfile.ZipFile(wheel).read(f"singleimg-{singleimg.__version__}.dist-info/WHEEL")
    assert {f"Tag: {tag}", "Root-Is-Purelib: false"} <= set(text.decode().splitlines())


def test_auditwheel_finds_no_newer_glibc_in_it_than_its_name_says(wheel):
    pytest.importorskip("auditwheel", reason="auditwheel is not installed (it is for Linux alone)")
    said = subprocess.run(
        [sys.executable, "-m", "auditwheel", "show", wheel],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    [found] = re.findall(r'platform\s+tag:\s+"manylinux_2_(\d+)_', said)
    [named] = re.findall(r"manylinux_2_(\d+)_", wheel.name)
    assert int(found) <= int(named)
    assert set(re.findall(r"[\w.+-]+\.so[\w.]*", said)) <= {"libc.so.6"}  # nothing else is needed


def test_without_a_compiler_the_install_brings_one_along(project, tmp_path):
    """Needs the package registry: 101 MB."""
    programs = Path(sys.executable).parent  # those of Python, and no compiler
    made = built(project, PATH=str(programs), CC="")
    functions = ctypes.CDLL(str(library_in(made, tmp_path)))
    assert functions.raster_version() == 1
    if sys.platform == "linux":
        assert re.search(r"manylinux_2_17_", made.name)
        assert b"GCC: (" not in library_in(made, tmp_path).read_bytes()
    assert shutil.which("cc", path=str(programs)) is None


def test_an_sdist_holds_what_the_library_is_made_of(project, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path],
        cwd=project, check=True, capture_output=True, env={**os.environ, "CC": "false"},
    )  # fmt: skip
    [sdist] = tmp_path.iterdir()
    made = built(sdist, "--no-build-isolation")
    assert ctypes.CDLL(str(library_in(made, tmp_path))).raster_version() == 1


def test_a_build_that_fails_says_so_in_few_lines_of_pips(project):
    said = built(project, "--no-build-isolation", code=1, CC="/no/such/cc")
    assert (
        "The raster (C) was not compiled: /no/such/cc cannot be run (No such file or directory)\n"
        in said
    )
    assert "apt-get install gcc" in said and "Traceback" not in said
    assert built(project, "--no-build-isolation", CC="none").stem.endswith("py3-none-any")


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
    made = [one for one in (tmp_path / "empty" / "outputs").iterdir() if one.name != "sweeps"]
    assert [len(images_of(one)) for one in made] == [3, 3]


def test_its_help_and_its_sentences_name_the_command(start):
    page = start("singleimg", "--help").stdout
    assert "  singleimg num_imgs=1000 " in page and "run.py" not in page
    assert page == start("python", "-m", "singleimg", "-h").stdout
    assert start("singleimg", "num_img=5", code=1).stderr == (
        "num_img is not a key (did you mean num_imgs?): type singleimg --help to see all keys.\n"
    )


def test_the_package_from_python(start):
    said = start("python", "-c", (
        "import singleimg, sys; assert 'torch' not in sys.modules\n"
        "cfg = singleimg.compose('num_imgs=3', 'img_size=32')\n"
        "print(singleimg.__version__, len(singleimg.RenderedDataset(cfg)), singleimg.__file__)"
    )).stdout.split()  # fmt: skip
    assert said[1] == "3" and str(ROOT) not in said[2]
