"""Harmed files and random settings: a picture, or a sentence; nothing else."""

from __future__ import annotations

import math
import subprocess
import sys
from functools import cache
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from singleimg.config import checks, explain, location, make, saved
from singleimg.errors import UserError
from tests.conftest import ROOT
from tests.fuzzing import fuzzed_files, whole_files

# --- harmed files --------------------------------------------------------------------------------


def test_the_files_are_always_the_same_and_harmed(tmp_path):
    one, two = (fuzzed_files(folder, 18, 7) for folder in _folders(tmp_path, 2))
    assert [file.read_bytes() for file in one] == [file.read_bytes() for file in two]
    whole = [data for _, data in whole_files()]
    assert all(file.read_bytes() != data for file, data in zip(one, whole, strict=True))


def _folders(tmp_path, count):
    folders = [tmp_path / str(number) for number in range(count)]
    for folder in folders:
        folder.mkdir()
    return folders


def test_a_harmed_file_is_rendered_or_refused(tmp_path):
    fuzzed_files(tmp_path, 40, seed=3)
    child = subprocess.run(
        [sys.executable, "-m", "tests.fuzzing", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    outcomes = [line.split(" ", 2) for line in child.stdout.splitlines()]
    last = child.stdout.splitlines()[-1:]
    assert child.returncode == 0, f"the last file was {last}\n{child.stderr}"
    assert {outcome[1] for outcome in outcomes} == {"rendered", "refused"}
    assert len(outcomes) == 40
    assert child.stderr == ""


# --- random settings -----------------------------------------------------------------------------

EVERY = explain.keys()
KEYS = [key for key in EVERY if not key.startswith("task")]
NUMBERS = st.one_of(
    st.integers(-10, 10),
    st.integers(),
    st.floats(),
    st.sampled_from([0, 1, 0.5, 500, 1e6, 1e308, -1e308, 2**63, math.nan, math.inf, -math.inf]),
)
TEXTS = st.one_of(
    st.text("abcxyz019 ./\\-_~'\"[]{}()$:,=#é\n\0", max_size=12),
    st.sampled_from(
        ["", "???", "null", "${seed}", "${nowhere}", "..", "a/b", "inf", "1M", "x" * 300]
    ),
)
PLAIN = st.one_of(NUMBERS, NUMBERS, TEXTS, st.booleans(), st.lists(NUMBERS, min_size=2, max_size=2))
NESTED = st.recursive(
    st.one_of(st.none(), NUMBERS, TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["_target_", "name", "a", "when"]), inner, max_size=2),
    ),
    max_leaves=5,
)
VALUES = st.one_of(PLAIN, PLAIN, PLAIN, NESTED)


CHOICES = (
    (),
    ("image=noise", "augment=paper", "output=none"),
    ("image=file", "imgpath=a.png", "augment=strong", "engine=reference"),
    (
        "image=url",
        "image.url=https://example.org/a.png",
        f"image.sha256={'0' * 64}",
        "augment=weak",
    ),
)


@cache
def composed(*overrides: str) -> DictConfig:
    """What Hydra composes."""
    with initialize_config_dir(str(location.CONF), version_base="1.3"):
        return compose("config", list(overrides))


@settings(max_examples=200, deadline=None, derandomize=True, phases=[Phase.generate])
@given(
    choice=st.sampled_from(CHOICES),
    typed=st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=2),
)
def test_a_random_setting_works_or_gets_a_sentence(choice, typed):
    try:
        use(choice, typed)
    except UserError as error:
        assert len(str(error)) > 20
    except (HydraException, OmegaConfBaseException) as error:
        assert "\n" not in explain.explain(error)


def use(choice: tuple[str, ...], typed: dict[str, Any]) -> None:
    """All that is done with settings before work begins."""
    cfg = composed(*choice).copy()
    for key, value in typed.items():
        group, _, name = key.partition(".")
        if not name or (OmegaConf.is_dict(cfg[group]) and name in cfg[group]):
            OmegaConf.update(cfg, key, value)
    cfg = checks.load(cfg, [*choice, *(f"{key}={value}" for key, value in typed.items())])
    make.resolved_transforms(cfg)
    image = make.instantiate(cfg, "image")
    cfg.output.class_name = cfg.output.class_name or image.name
    make.instantiate(cfg, "encode").settings()
    make.instantiate(cfg, "output")
    make.instantiate(cfg, "backend").workers(cfg.threads)
    make.instantiate(cfg, "engine")
    make.instantiate_transforms(cfg)
    assert callable(make.task(cfg))
    assert "/" not in "".join([cfg.augment.name, *saved.differences(cfg)])
    saved.config_text(cfg), saved.resolved_text(cfg)
