"""The same draws on every processor: here and as an older one, which has fewer instructions."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

DIGEST = """
import sys
from hashlib import sha256
from singleimg import SingleImage
images = SingleImage.open({picture!r}, augment=sys.argv[1], img_size=64)
state, count = sha256(), int(sys.argv[2])
for start in range(0, count, 5000):
    draws = images.draw_many(range(start, min(start + 5000, count)))
    stack = list(draws.steps)
    while stack:
        step = stack.pop()
        stack += step.children
        for column in (step.on, step.order, *(step.columns or {{}}).values()):
            if column is not None:
                state.update(column.tobytes())
print(state.hexdigest())
"""


def digest_of_draws(preset: str, count: int, picture: str, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", DIGEST.format(picture=picture), preset, str(count)],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


PRESETS = ("weak", "script", "strong", "paper")
OLDER = "glibc.cpu.hwcaps=-FMA,-AVX2,-AVX512F"  # what libm looks at to choose among its variants


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    "count", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_an_older_processor_draws_the_same(picture, preset, count):
    here = digest_of_draws(preset, count, str(picture))
    older = {"GLIBC_TUNABLES": OLDER, "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F"}
    assert digest_of_draws(preset, count, str(picture), **older) == here
