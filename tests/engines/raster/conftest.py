"""C compilers, as far as this machine has them, a small raster to compile, and the compiled colour
steps of every instruction set that this processor has."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from singleimg.engines.raster import build
from singleimg.engines.raster.build import Compiler

HERE = Path(__file__).parent
ZIG = (sys.executable, "-m", "ziglang", "cc")
COMPILERS = {"gcc": ("gcc",), "clang": ("clang",), "zig": ZIG}
WARNINGS = ("-Wall", "-Wextra", "-Werror")


def compiler_named(name: str, **target: str) -> Compiler:
    """Skips where it is missing."""
    there = importlib.util.find_spec("ziglang") if name == "zig" else shutil.which(name)
    if not there:
        pytest.skip(f"{name} is not on this machine")
    return Compiler(COMPILERS.get(name, (name,)), **target)


@pytest.fixture(params=COMPILERS)
def compiler(request) -> Compiler:
    return compiler_named(request.param)


@pytest.fixture
def small(tmp_path, monkeypatch) -> Path:
    """A folder whose ``c`` has the raster's choice of a kernel, of kernels that have a name and
    nothing else, and no library; ``build`` is at home there."""
    folder = tmp_path / "raster"
    shutil.copytree(HERE / "small", folder / "c")
    for name in ("raster.c", "raster.h", "kernels.h", "isa.h", "processor.h"):
        shutil.copy(build.SOURCES / name, folder / "c")
    shutil.copy(build.__file__, folder)
    monkeypatch.setattr(build, "FOLDER", folder)
    monkeypatch.setattr(build, "SOURCES", folder / "c")
    monkeypatch.setattr(build, "__file__", str(folder / "build.py"))
    return folder


SOURCES = build.SOURCES
FLAGS = "-O3 -std=c11 -fno-math-errno -fno-trapping-math -ffp-contract=off -Wall -Wextra -Werror"
SETS = {
    "plain": "",
    "avx2": "-mavx2",
    "avx512": "-mavx512f -mavx512bw -mavx512vl -mavx512dq",
    "neon": "",
}
NEEDED = {"plain": (), "avx2": ("avx2",), "avx512": ("avx512f", "avx512bw", "avx512dq"), "neon": ()}


class Colour:
    """The functions of c/colour.c; pixels are …×4 in place, or copied to …×3."""

    def __init__(self, library: Path, isa: str) -> None:
        loaded = ctypes.CDLL(str(library))
        self._colour, self._packed = loaded[f"colour_{isa}"], loaded[f"packed_{isa}"]
        self._colour.argtypes = [
            ctypes.c_void_p,
            ctypes.c_int64,
            ctypes.c_void_p,
            ctypes.c_int32,
            ctypes.c_void_p,
        ]
        self._packed.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]
        self._colour.restype = self._packed.restype = None

    def in_place(self, pixels: np.ndarray, operations: Sequence[tuple[int, int]]) -> None:
        made = np.array(operations, np.int32).reshape(-1, 2)
        count = pixels.size // 4
        self._colour(pixels.ctypes.data, count, made.ctypes.data, len(made), None)

    def to_rgb(
        self, pixels: np.ndarray, operations: Sequence[tuple[int, int]], rgb: np.ndarray
    ) -> None:
        made = np.array(operations, np.int32).reshape(-1, 2)
        count = pixels.size // 4
        self._colour(pixels.ctypes.data, count, made.ctypes.data, len(made), rgb.ctypes.data)

    def packed(self, rgb: np.ndarray, pixels: np.ndarray) -> None:
        self._packed(rgb.ctypes.data, pixels.ctypes.data, pixels.size // 4)


def available() -> list[str]:
    if platform.machine() in ("aarch64", "arm64"):
        return ["plain", "neon"]
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return ["plain"]
    return [isa for isa in SETS if isa != "neon" and set(NEEDED[isa]) <= set(flags)]


def compiled(isa: str, output: Path, more: str, compiler: str = "cc") -> Path:
    """colour.c for one set; skips where there is no such compiler."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not on this machine")
    command = [compiler, *FLAGS.split(), *SETS[isa].split(), f"-DISA={isa}", f"-I{SOURCES}"]
    subprocess.run([*command, str(SOURCES / "colour.c"), *more.split(), "-o", output], check=True)
    return output


@pytest.fixture(scope="session")
def kernels(tmp_path_factory) -> dict[str, Colour]:
    """By instruction set; ``plain`` is the first."""
    folder = tmp_path_factory.mktemp("kernels")
    return {
        isa: Colour(compiled(isa, folder / f"{isa}.so", "-shared -fPIC"), isa)
        for isa in available()
    }


@pytest.fixture
def run_program(tmp_path):
    """Compiles a C program of this folder with colour.c, runs it, and gives what it prints."""

    def run(name: str, isa: str, more: str = "", compiler: str = "cc", under: str = "") -> str:
        program = compiled(isa, tmp_path / isa, f"{Path(__file__).parent / name} {more}", compiler)
        if under and shutil.which(under) is None:
            pytest.skip(f"{under} is not on this machine")
        command = [*under.split(), str(program)]
        # A sanitizer finds leaks through ptrace, which containers may forbid.
        environment = os.environ | {"ASAN_OPTIONS": "detect_leaks=0"}
        return subprocess.run(
            command, check=True, capture_output=True, text=True, env=environment
        ).stdout

    return run
