"""Fingerprints, draws and pixels of every preset, as they were when they were written down.

``tests/fixtures/golden.json`` holds them. ``python -m tests.test_golden`` writes it anew, which is
right only when a change to a recipe is meant: then datasets that people have cannot be gone on
with. Pixels are compared where the versions of the libraries are those of that time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from singleimg import SingleImage, compose
from singleimg.config.location import CONF
from singleimg.dataset.recipe import Recipe
from singleimg.jobs.job import prepare
from tests.fixtures.make import HERE, PICTURE
from tests.written import others, same_bytes

GOLDEN = HERE / "golden.json"
PRESETS = ("none", "weak", "script", "strong", "paper")
ENGINES = ("reference", "native")
ENCODERS = {
    "jpeg": (),
    "png": ("encode=png",),
    "webp": ("encode=webp",),
}
OF_KEYS = {  # what is off in the presets, one recipe each
    "vflip": ("augment=script", "vflip=true"),
    "no crop first": ("augment=script", "cropfirst=false", "randinterp=true"),
    "no scale": ("augment=script", "scale=null", "corners=reflect"),
    "log areas": ("augment=paper", "augment.area=log", "deg=0"),
    "fixed square": ("augment=paper", "scale=null", "augment.hflip=0"),
    "jpeg": ("encode.quality=90", "encode.subsampling=4:4:4"),
    "seed": ("augment=strong", "seed=9223372036854775807", "img_size=224"),
}
DRAWN, RENDERED = range(64), (0, 1, 7, 63)
BY_EXPERIMENT = sorted(
    file.stem for file in (CONF / "experiment").glob("*.yaml")
    if file.stem.startswith(("script", "paper", "followup"))
)  # fmt: skip


@cache
def composed(*typed: str) -> DictConfig:
    return compose(f"imgpath={PICTURE}", "img_size=32", "num_imgs=64", *typed)


def recipe(*typed: str) -> Recipe:
    """The recipe of what is typed; nothing is rendered or written."""
    return prepare(composed(*typed).copy()).recipe


def images(*typed: str) -> SingleImage:
    return SingleImage.from_config(composed(*typed))


def digest(value: Any) -> str:
    return sha256(json.dumps(value).encode()).hexdigest()


def fingerprints_of_presets(preset: str, engine: str) -> dict[str, str]:
    typed = (f"augment={preset}", f"engine={engine}")
    return {name: recipe(*typed, *more).fingerprint for name, more in ENCODERS.items()}


def draws(typed: Sequence[str]) -> str:
    """One number for what is drawn for 64 images."""
    made = images(*typed)
    return digest([made.draw(index).record() for index in DRAWN])


def pixels(preset: str, engine: str) -> list[str]:
    made = images(f"augment={preset}", f"engine={engine}")
    made.set_up_process()
    return [sha256(made.render(index).tobytes()).hexdigest() for index in RENDERED]


def golden() -> dict[str, Any]:
    return json.loads(GOLDEN.read_text())


# --- the recipe, to the byte ---------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("preset", PRESETS)
def test_the_fingerprint_of_a_preset_with_every_encoder(preset, engine):
    expected = golden()["fingerprints"][f"{preset} {engine}"]
    assert fingerprints_of_presets(preset, engine) == expected


def test_every_preset_engine_and_experiment_is_in_the_table():
    for group, names in (("augment", PRESETS), ("engine", ENGINES)):
        assert sorted(names) == sorted(file.stem for file in (CONF / group).glob("*.yaml"))
    assert sorted(golden()["experiments"]) == BY_EXPERIMENT


@pytest.mark.parametrize("name", OF_KEYS)
def test_the_fingerprint_and_the_draws_with_other_keys(name):
    found = [recipe(*OF_KEYS[name]).fingerprint, draws(OF_KEYS[name])]
    assert found == golden()["keys"][name]


@pytest.mark.parametrize("name", BY_EXPERIMENT)
def test_the_fingerprint_of_an_experiment_with_another_picture(name):
    found = recipe(f"experiment={name}", "image=file").fingerprint
    assert found == golden()["experiments"][name]


# --- draws and pixels ----------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_what_a_preset_draws(preset):
    assert draws([f"augment={preset}", "engine=native"]) == golden()["draws"][preset]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("preset", PRESETS)
def test_the_pixels_of_a_preset(preset, engine):
    made_with = golden()["made_with"]
    if not same_bytes(made_with):
        pytest.skip(f"made with other versions: {', '.join(sorted(others(made_with)))}")
    assert pixels(preset, engine) == golden()["pixels"][f"{preset} {engine}"]


def write(file: Path) -> None:
    pairs = [(preset, engine) for preset in PRESETS for engine in ENGINES]
    values = {
        "made_with": recipe("engine=native").made_with,
        "fingerprints": {" ".join(pair): fingerprints_of_presets(*pair) for pair in pairs},
        "experiments": {
            name: recipe(f"experiment={name}", "image=file").fingerprint for name in BY_EXPERIMENT
        },
        "keys": {
            name: [recipe(*typed).fingerprint, draws(typed)] for name, typed in OF_KEYS.items()
        },
        "draws": {preset: draws([f"augment={preset}", "engine=native"]) for preset in PRESETS},
        "pixels": {" ".join(pair): pixels(*pair) for pair in pairs},
    }
    file.write_text(json.dumps(values, indent=2) + "\n")


if __name__ == "__main__":
    write(GOLDEN)
