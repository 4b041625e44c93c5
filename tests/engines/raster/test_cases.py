"""The C files as a program, which renders recorded cases: here, on another architecture, and under
sanitizers."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from singleimg.engines.raster import build
from singleimg.engines.raster.build import Compiler
from singleimg.system.cores import available_cores
from tests.engines.raster import cases
from tests.engines.raster.cases import (
    Levels,
    large_cases,
    random_cases,
    recorded,
    senseless_pictures,
)
from tests.engines.raster.compared import photograph, renderers, usable
from tests.engines.raster.conftest import HERE, WARNINGS, compiler_named
from tests.engines.raster.oracle.image import render
from tests.engines.raster.test_oracle import PRESETS, preset, sized, source

CHECKS = ("-O2", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
SIZES = {8: 12, 17: 9, 32: 9, 64: 5, 100: 2, 256: 1}  # pixels, and how many images of each kind
SHAPES = ((97, 61), (300, 200), (2, 3), (400, 1), (1, 1))
SMALL = 64  # pixels; larger images are made of the first two alone
EVERY = 20  # of these the oracle renders one

Program = Callable[..., list[str]]


class Recorded:
    """The file, and what the plain kernel of the library, or the oracle, says to each case."""

    def __init__(self, folder: Path) -> None:
        sources, made = [source(*shape) for shape in SHAPES], []
        self.lines: list[str] = []
        self.by_oracle: dict[int, str] = {}
        for typed, (size, count), place in product(PRESETS, SIZES.items(), range(len(SHAPES))):
            pipeline, photo = sized(preset(*typed), size), sources[place]
            draws = None
            if size <= SMALL or place < 2:
                draws = photo.draws(pipeline, range(count), seed=4)
            if draws is None:
                continue
            images = renderers(pipeline)["plain"].render(draws, [photo.native] * count)
            for sample, pixels in zip(draws.samples, images, strict=True):
                if len(self.lines) % EVERY == 0 and size < 256:
                    shown = render(photo.oracle, pipeline, sample)
                    self.by_oracle[len(self.lines)] = cases.line_of(shown)
                self.lines.append(cases.line_of(pixels))
            made += recorded(pipeline, draws, place)
        pictures = [Levels(photo.oracle.levels) for photo in sources]
        self.file = cases.write(folder / "recorded.cases", pictures, made)


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Recorded:
    return Recorded(tmp_path_factory.mktemp("recorded"))


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Callable[..., Program]:
    """``program("gcc", flags)``: cases.c compiled; that gives what it prints, line by line."""

    def make(name: str, flags: Sequence[str], under: Sequence[str] = (), **target: str) -> Program:
        compiler: Compiler = compiler_named(name, **target)
        path = tmp_path_factory.mktemp("program") / "cases"
        build.compile_program(path, HERE / "cases.c", compiler, flags)

        def run(*arguments: str | Path) -> list[str]:
            # Leaks are found through ptrace, which containers may forbid.
            done = subprocess.run(
                [*under, path, *arguments], capture_output=True, text=True,
                env={"ASAN_OPTIONS": "detect_leaks=0"},
            )  # fmt: skip
            assert (done.returncode, done.stderr) == (0, "")
            return done.stdout.splitlines()

        return run

    return make


def test_recorded_cases_are_many_and_the_oracles(images):
    assert len(images.lines) >= 2000 and len(set(images.lines)) > 1500
    assert len(images.by_oracle) > 80
    assert {k: images.lines[k] for k in images.by_oracle} == images.by_oracle


@pytest.mark.slow
def test_each_kernel_of_the_program_makes_the_same_images(images, program):
    native = program("gcc", WARNINGS)
    for kernel in usable():
        assert native(images.file, kernel) == images.lines


def test_the_kernels_of_another_architecture_make_the_same_images(images, program):
    emulator = shutil.which("qemu-aarch64") or pytest.skip("qemu-aarch64 is not on this machine")
    target = {"machine": "aarch64", "system": "Linux"}
    flags = ("-static", *WARNINGS)
    other = program("aarch64-linux-gnu-gcc", flags, [emulator], **target)
    for kernel in ("neon", "plain"):
        assert other(images.file, kernel) == images.lines


def generated(folder: Path, count: int, seed: int = 0, large: int = 0) -> Path:
    sources = [source(*shape) for shape in cases.SHAPES]
    wrong = senseless_pictures(photograph(60, 70))
    shapes = [*cases.SHAPES, *[(60, 70)] * len(wrong)]
    made = random_cases(np.random.default_rng(seed), shapes, count) + large_cases(0)[:large]
    pictures = [*(Levels(photo.oracle.levels) for photo in sources), *wrong]
    return cases.write(folder / f"generated-{seed}.cases", pictures, made)


def assert_mixed(lines: list[str], count: int) -> None:
    """One line a case, so that no two kernels differ; of all kinds some."""
    assert len(lines) == count
    codes = Counter(line for line in lines if line.startswith("code"))
    assert {"code -1", "code -2"} <= set(codes) <= {"code -1", "code -2", "code 1"}
    assert sum(codes.values()) < count / 2


@pytest.fixture(scope="module")
def checked(program) -> Program:
    """Under sanitizers, with all kernels of this processor."""
    return program("gcc", (*CHECKS, *WARNINGS))


def test_the_program_makes_the_same_images_and_sanitizers_find_nothing(images, checked):
    assert checked(images.file) == images.lines


def test_sanitizers_find_nothing_in_cases_at_random(checked, tmp_path):
    """Beyond the memory that is told to it the raster reads and writes nothing."""
    assert_mixed(checked(generated(tmp_path, 1000)), 1000)


@pytest.mark.slow
def test_sanitizers_find_nothing_in_many_cases(checked, program, tmp_path):
    """20,000, each by one kernel, a minute on two cores; without them all agree on each."""
    files = [generated(tmp_path, 2500, seed, large=4 if seed == 1 else 0) for seed in range(1, 9)]
    with ThreadPoolExecutor(available_cores()) as pool:
        lines = list(pool.map(lambda file: checked(file, "turns"), files))
    assert_mixed([line for some in lines for line in some], 20_004)
    plain = program("gcc", WARNINGS)
    assert lines == [plain(file) for file in files]
    assert all(line.startswith("4096 4096 ") for line in lines[0][-4:])
