"""The real command line, and pictures to feed it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

# Before a library counts its threads: two test workers share the cores, and with threads of their
# own they would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# As in an environment that was activated: commands are told by a name that a shell finds.
os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])

import numpy as np
from PIL import Image

from tests.in_process import run_script

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def photograph() -> Path:
    """The paper's Image A; lies beside the project on some machines, and never in it."""
    path = SHARED / "images" / "ameyoko.jpg"
    if not path.exists():
        pytest.skip(f"{path.name} is not on this machine (it has no licence to be shipped)")
    return path


@pytest.fixture(scope="session")
def picture(tmp_path_factory) -> Path:
    """A small picture that no flip, turn or exchange of channels leaves as it is."""
    rows, columns = np.mgrid[:150, :200]
    channels = [rows * 255 // 149, columns * 255 // 199, (rows // 10 + columns // 7) % 2 * 255]
    path = tmp_path_factory.mktemp("pictures") / "my-picture.png"
    Image.fromarray(np.stack(channels, -1).astype(np.uint8)).save(path)
    return path


Run = Callable[..., subprocess.CompletedProcess]


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory) -> Iterator[Path]:
    """The cache of all that this worker runs: a folder that is empty at first."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SINGLEIMG_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def run() -> Run:
    """``run("num_imgs=8", …)``: the command line as a user types it; ``code=0`` is checked.

    In this process, which spares the imports; ``run_process`` does the same in one of its own.
    """

    def command(
        *arguments: str, code: int | None = 0, cwd: Path = ROOT, **environment: str
    ) -> subprocess.CompletedProcess:
        result = run_script(ROOT / "run.py", arguments, cwd, environment)
        for stream in ("stdout", "stderr"):  # told as where run.py lies, wherever it was typed
            text = getattr(result, stream).replace(f"python {ROOT / 'run.py'}", "python run.py")
            setattr(result, stream, text)
        return _checked(result, code)

    return command


@pytest.fixture(scope="session")
def run_process() -> Run:
    """``run`` where a process is the point: its imports, its locks, its limits, its exit status."""

    def command(
        *arguments: str,
        code: int | None = 0,
        cwd: Path = ROOT,
        timeout: float = 300,
        **environment: str,
    ) -> subprocess.CompletedProcess:
        result = subprocess.run(
            [sys.executable, str(ROOT / "run.py"), *map(str, arguments)],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, **environment},
        )
        return _checked(result, code)

    return command


def _checked(result: subprocess.CompletedProcess, code: int | None) -> subprocess.CompletedProcess:
    if code is not None:
        assert result.returncode == code, result.stdout + result.stderr
    return result


def images_of(target: Path) -> dict[str, str]:
    """SHA-256 of every image file below ``train/``, by its path."""
    files = sorted((Path(target) / "train").rglob("patch_*"))
    return {
        str(file.relative_to(target)): sha256(file.read_bytes()).hexdigest()
        for file in files
        if file.is_file()
    }


def summary_of(target: Path) -> dict:
    """The content of ``dataset.json``."""
    return json.loads((Path(target) / "dataset.json").read_text())
