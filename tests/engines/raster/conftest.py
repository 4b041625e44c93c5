"""C compilers, as far as this machine has them."""

from __future__ import annotations

import importlib.util
import shutil
import sys

import pytest

from singleimg.engines.raster.build import Compiler

ZIG = (sys.executable, "-m", "ziglang", "cc")
COMPILERS = {"gcc": ("gcc",), "clang": ("clang",), "zig": ZIG}


def compiler_named(name: str, **target: str) -> Compiler:
    """Skips where it is missing."""
    command = COMPILERS.get(name, (name,))
    there = importlib.util.find_spec("ziglang") if name == "zig" else shutil.which(name)
    if not there:
        pytest.skip(f"{name} is not on this machine")
    return Compiler(command, **target)


@pytest.fixture(params=COMPILERS)
def compiler(request) -> Compiler:
    return compiler_named(request.param)
