"""C compilers, as far as this machine has them, and a small raster to compile."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

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
    """A folder whose ``c`` has the raster's choice of a kernel and nothing else, and no library;
    ``build`` is at home there."""
    folder = tmp_path / "raster"
    shutil.copytree(HERE / "small", folder / "c")
    for name in ("isa.h", "processor.h"):
        shutil.copy(build.SOURCES / name, folder / "c")
    shutil.copy(build.__file__, folder)
    monkeypatch.setattr(build, "FOLDER", folder)
    monkeypatch.setattr(build, "SOURCES", folder / "c")
    monkeypatch.setattr(build, "__file__", str(folder / "build.py"))
    return folder
