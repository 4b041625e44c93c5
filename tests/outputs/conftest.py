"""A dataset in each format, made as datasets are made: killed, and gone on with by two workers."""

from __future__ import annotations

import io
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from singleimg import RenderedDataset, SingleImage, compose
from singleimg.config import make
from singleimg.drawing.pipeline import Sample
from tests import scenarios
from tests.conftest import Run
from tests.scenarios import Command, killed_at, wait_until
from tests.stubs import NAP

IMAGES = 400
SHARD = 20
SETTINGS = (
    f"num_imgs={IMAGES}",
    "img_size=32",
    "augment=strong",  # some of its transforms happen to some images only
    "save_params=true",
    f"output.shard_size={SHARD}",
)
STEPS = ("mkdir", "rename", "replace", "unlink", "rmdir", "open", "fsync")  # of a commit
SLOW = ("engine._target_=tests.stubs.SlowNativeEngine", "trusted_modules=[tests.stubs]")
TWO_WORKERS = ("threads=2", "backend.from_seconds=0")  # however small the run


@dataclass(frozen=True)
class Made:
    """A finished dataset, and a copy of it as ``kill -9`` had left it."""

    path: Path
    killed: Path
    committed: int  # shards that had a record then
    false: Sequence[str]  # records that spoke of what was not there then
    status: int  # of the same command, typed again
    said: str


def interrupted(
    typed: Sequence[str], target: Path, copy: Path, python: str = sys.executable
) -> Made:
    """Kills the command and its workers once some shards are committed, and types it again."""
    command = Command(*typed, *SLOW, f"targetpath={target}", python=python, **{NAP: "0.01"})
    # The driver itself makes one shard: with a second record there are workers at work.
    wait_until(lambda: command.ended() or scenarios.records(target) > 1)
    command.signal(signal.SIGKILL, everyone=True)
    command.end()
    wait_until(lambda: command.left_behind() == [])
    shutil.copytree(target, copy)
    committed, false = scenarios.records(target), scenarios.false_records(target)
    again = Command(*typed, f"targetpath={target}", python=python).end()
    return Made(target, copy, committed, false, again.status, again.output)


def stopped(run: Run, typed: Sequence[str], target: Path, copy: Path) -> Made:
    """The same without starting commands: a fork kills itself in the middle of a commit."""
    cfg = compose(*map(str, typed), f"targetpath={target}", "backend.name=sequential")
    begun = lambda: scenarios.records(target) > IMAGES // SHARD // 3  # noqa: E731
    assert killed_at(4, STEPS, lambda: make.task(cfg)(cfg), begun)
    shutil.copytree(target, copy)
    committed, false = scenarios.records(target), scenarios.false_records(target)
    again = run(*typed, f"targetpath={target}", code=None)
    return Made(target, copy, committed, false, again.returncode, again.stdout)


@pytest.fixture(scope="session")
def made(run, picture, tmp_path_factory) -> Callable[[str], Made]:
    """``made("parquet")``: that of a format, made when first asked for.

    In LMDB workers write one file at a time: there they are killed at work, as processes.
    """
    known: dict[str, Made] = {}

    def of_format(name: str) -> Made:
        if name not in known:
            folder = tmp_path_factory.mktemp(name)
            typed = (f"imgpath={picture}", *SETTINGS, *TWO_WORKERS, f"output={name}")
            places = (folder / "set", folder / "killed")
            known[name] = (
                interrupted(typed, *places) if name == "lmdb" else stopped(run, typed, *places)
            )
        return known[name]

    return of_format


@pytest.fixture(scope="session")
def files(picture) -> list[bytes]:
    """The file of every image, as the recipe makes it: what each format has to give back."""
    rendered = RenderedDataset(compose(f"imgpath={picture}", *SETTINGS))
    return [rendered.file(index) for index in range(IMAGES)]


@pytest.fixture(scope="session")
def draws(picture) -> list[Sample]:
    """What is drawn for every image."""
    images = SingleImage.from_config(compose(f"imgpath={picture}", *SETTINGS))
    return [images.draw(index) for index in range(IMAGES)]


def task(*typed: str) -> str:
    """What the command line does and prints, without the seconds that it takes to start."""
    said = io.StringIO()
    cfg = compose(*map(str, typed))
    with redirect_stdout(said):
        make.task(cfg)(cfg)
    return said.getvalue()


@pytest.fixture(scope="session")
def hugging_face() -> Iterator[ModuleType]:
    """The ``datasets`` library, which then asks no network."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
            patch.setenv(name, "1")
        yield pytest.importorskip("datasets", reason="pip install datasets")
