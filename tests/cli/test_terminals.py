"""Every long task on a real terminal, to each of its ends: no line of the last screen has a bar.

A quarter of an hour on two cores: ``python -m pytest -m slow tests/cli/test_terminals.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.terminal import Shown, run_process

pytestmark = pytest.mark.slow

NOISY = """
import warnings
from singleimg.errors import UserError

class Noisy:
    made = 0

    def __init__(self, fails_at=0):
        self.fails_at = fails_at

    def __call__(self, image):
        Noisy.made += 1
        if Noisy.made % 50 == 0:
            warnings.warn(f"a word of a library, {Noisy.made}")
            print("a print, not ended", end="")
        if Noisy.made == self.fails_at:
            raise UserError("A sentence of an error.")
        return image
"""
TRAIN = ("task=pretrain", "network=cifar_conv4", "method=rotnet", "augment=paper", "img_size=32",
         "num_imgs=500", "method.batch_size=16")  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where everything lies: a picture, a transform that says and prints, a labelled set."""
    place, random = tmp_path_factory.mktemp("terminals"), np.random.default_rng(0)
    (place / "noisy.py").write_text(NOISY)
    Image.fromarray(random.integers(0, 256, (200, 300, 3), np.uint8)).save(place / "photo.png")
    for split, count in (("train", 40), ("test", 5)):
        for number in range(10 * count):
            file = place / "labelled" / split / f"class{number % 10}" / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8)).save(file)
    return place


def shown(folder: Path, *typed: str, columns: int, stop_at: str = "") -> Shown:
    said = run_process(
        *typed, columns=columns, stop_at=stop_at, cwd=folder, PYTHONPATH=str(folder),
        SINGLEIMG_CACHE=str(folder / "cache"),
    )  # fmt: skip
    assert said.stale == [], "\n".join(said.screen)
    assert "\x1b[" not in said.received and "leaked" not in said.received
    return said


def ends(said: Shown, sentence: str) -> bool:
    """Whether it is the last on the screen; a line's last space is not seen there."""
    return "".join(said.screen).replace(" ", "").endswith(sentence.replace(" ", ""))


def noisy(fails_at: int = 0) -> str:
    crop = "{_target_: torchvision.transforms.v2.RandomResizedCrop, size: ${img_size}}"
    own = f"{{_target_: noisy.Noisy, fails_at: {fails_at}}}"
    return f"augment.transforms=[{own}, {crop}]"


def generate(folder: Path, name: str, *more: str) -> list[str]:
    common = ["imgpath=photo.png", "img_size=32", "output.shard_size=250", f"targetpath={name}"]
    return [*common, "trusted_modules=[noisy]", *more]


@pytest.mark.parametrize("columns", [20, 100])
@pytest.mark.parametrize("workers", [["threads=1"], ["threads=2", "backend.from_seconds=0"]])
def test_generate(folder, columns, workers):
    name = f"set{columns}{len(workers)}"
    said = shown(folder, *generate(folder, name, noisy(), "num_imgs=2000", *workers),
                 columns=columns)  # fmt: skip
    assert said.status == 0 and "2000/2000" in said.received
    assert "a word of a library" in said.received  # of workers too
    for first in (r"2000/1000000", r"(2[1-9]\d\d|[3-9]\d{3,})/1000000"):  # as it opens; later
        said = shown(folder, *generate(folder, name, noisy(), "num_imgs=1M", *workers),
                     columns=columns, stop_at=first)  # fmt: skip
        assert said.status == 130 and ends(said, "type the same command again to resume.")
    said = shown(folder, *generate(folder, f"{name}f", noisy(300), "num_imgs=1M", *workers),
                 columns=columns)  # fmt: skip
    assert said.status == 1 and ends(said, "A sentence of an error.")


@pytest.fixture(scope="module")
def made(folder) -> str:
    typed = generate(folder, "made", "augment=weak", "num_imgs=20000", "output.shard_size=100")
    assert shown(folder, *typed, columns=100).status == 0
    return "made"


@pytest.mark.parametrize("columns", [20, 100])
def test_verify_and_export(folder, made, columns):
    verify, export = (f"task={task}" for task in ("verify", "export"))
    target, one = f"targetpath={made}", "threads=1"
    to = [export, target, "output=webdataset", one, f"task.to=to{columns}"]
    assert shown(folder, verify, target, one, columns=columns).status == 0
    stopped = shown(folder, verify, target, one, columns=columns, stop_at=r"[1-9]\d\d+/20000")
    assert stopped.status == 130
    stopped = shown(folder, *to, columns=columns, stop_at=r"[1-9]\d\d+/20000")
    assert stopped.status == 130
    assert shown(folder, *to, columns=columns).status == 0
    image = next((folder / made / "train").rglob("patch_000001999.jpg"))
    before = image.read_bytes()
    image.write_bytes(before[:-1])
    try:
        assert shown(folder, verify, target, one, columns=columns).status == 1
        to[-1] = f"task.to=other{columns}"
        assert shown(folder, *to, columns=columns).status == 1
    finally:
        image.write_bytes(before)


@pytest.mark.parametrize("columns", [20, 100])
def test_pretrain_probe_and_study(folder, columns):
    typed = [*TRAIN, "imgpath=photo.png", f"targetpath=trained{columns}"]
    stopped = shown(folder, *typed, "method.updates=50", columns=columns, stop_at=r"[1-9]\d/50")
    assert stopped.status == 130
    assert shown(folder, *typed, "method.updates=50", columns=columns).status == 0
    failed = [*TRAIN, "imgpath=photo.png", f"targetpath=failed{columns}", "method.updates=50",
              "trusted_modules=[noisy]", noisy(300)]  # fmt: skip
    assert shown(folder, *failed, columns=columns).status == 1
    labelled = ["data=imagefolder", "data.path=labelled"]
    probe = ["task=probe", f"task.checkpoint=trained{columns}", *labelled]
    stopped = shown(folder, *probe, "probe.epochs=100000", columns=columns,
                    stop_at=r"[1-9]\d/100000")  # fmt: skip
    assert stopped.status == 130
    assert shown(folder, *probe, "probe.epochs=3", "probe.updates=0", columns=columns).status == 0
    study = [
        "task=study", "budget=smoke", "network=cifar_conv4", "augment=paper", "imgpath=photo.png",
        *labelled, "probe.epochs=1",
        "probe.updates=0", "shortcut.updates=30", "shortcut.images=400",
        "shortcut.tested=20", "shortcut.sources=2", "shortcut.tested_sources=1",
        *(f"budget.{method}.images=64" for method in ("supervised", "rotnet", "bigan")),
        "budget.deepcluster.images=128", "budget.untrained.images=250", "probe.images=100",
        *(f"budget.{method}.seeds=1" for method in ("untrained", "supervised", "deepcluster")),
        f"targetpath=study{columns}", "task.parts=[table]", "threads=2",
    ]  # fmt: skip
    for stop_at in (r"noise.*[1-9]\d/400", r"[1-9]/\d+ .*row" if columns > 60 else r" [1-9]/\d"):
        assert shown(folder, *study, columns=columns, stop_at=stop_at).status in (0, 130)
    assert shown(folder, *study, columns=columns).status == 0
