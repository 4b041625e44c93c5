"""What hatchling runs in an install: the library compiled, and the wheel named for its machine.

``pip install -e .`` puts the library beside the sources; a wheel holds one of its own. Where there
is no C compiler the install's own environment gets one (``ziglang``), which goes with it.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ZIG = "ziglang>=0.16,<0.18"  # both ends were tried; 0.15 takes half a minute
PLACE = "singleimg/engines/raster"
OLDEST_GLIBC = (2, 17)  # of manylinux on every architecture


class RasterHook(BuildHookInterface):
    """Named in pyproject.toml, for wheels alone: the sdist holds the C files, and compiles none."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # By its path: no other singleimg that is installed may answer.
        name, file = "singleimg_raster_build", Path(self.root, PLACE, "build.py")
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec and spec.loader
        self.build = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.build)

    def dependencies(self) -> list[str]:
        """Asked for before the install's environment is complete."""
        if self._without():
            return []
        try:
            self.build.find_compiler()
        except self.build.CompileError:
            return [ZIG]
        return []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """``version``: editable or standard, which is a wheel to be installed."""
        if self._without():
            return
        try:
            if version == "editable":
                self.build.ensure(anew=True)
            else:
                self._into_wheel(build_data)
        except (self.build.CompileError, OSError) as error:
            self.app.abort(
                f"The raster (C) was not compiled: {error}\nInstall a C compiler (apt-get install "
                "gcc libc6-dev; xcode-select --install), or type CC=none before the command: "
                "then engine=reference alone will work."
            )

    def _without(self) -> bool:
        return os.environ.get("CC") == self.build.NO_COMPILER

    def _into_wheel(self, build_data: dict[str, Any]) -> None:
        self.folder = TemporaryDirectory()  # until hatchling has read it
        library = Path(self.folder.name, self.build.library_path().name)
        self.build.compile_library(library, self.build.find_compiler())
        build_data["force_include"][str(library)] = f"{PLACE}/{library.name}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{self._platform(library)}"

    def _platform(self, library: Path) -> str:
        """Where the library can be loaded: by the glibc whose functions it names (PEP 600)."""
        here = self.build.Compiler(())
        if here.system == "Darwin":
            machine = here.machine.replace("aarch64", "arm64")
            return f"macosx_{self.build.MACOS.replace('.', '_')}_{machine}"
        if self.build.libc() != "gnu":
            return f"linux_{here.machine}"
        named = re.findall(rb"\0GLIBC_(\d+)\.(\d+)", library.read_bytes())
        major, minor = max([OLDEST_GLIBC, *(tuple(map(int, one)) for one in named)])
        return f"manylinux_{major}_{minor}_{here.machine}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()
