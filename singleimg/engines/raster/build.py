"""The C files made into one shared library beside this file, or into a program. Standard library
alone: the hook of the install runs this file before anything else is there.

Every ``c/*.c`` but ``raster.c`` is compiled once for each instruction set of the architecture
(see ``c/isa.h``). The library's name holds a hash of the C files and of this one, which holds the
flags: a library that is older than its sources has another name, and is not found.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory, mkstemp

FOLDER = Path(__file__).parent
SOURCES = FOLDER / "c"
ONCE = "raster.c"  # chooses among the instruction sets, and belongs to none
FLAGS = (
    "-O3", "-std=c11",
    "-fno-fast-math",  # which is the default of Intel's compiler
    "-fno-math-errno", "-fno-trapping-math",
    "-ffp-contract=off",  # a multiply-add that rounds once would give other numbers
    "-fvisibility=hidden", "-fPIC",
)  # fmt: skip
SETS: dict[str, dict[str, tuple[str, ...]]] = {
    "x86_64": {
        "plain": (),
        "avx2": ("-mavx2",),
        "avx512": ("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq"),
    },
    "aarch64": {"plain": (), "neon": ()},
}
# What a compiler may count on; the default of some distributions' compilers is a newer processor.
BASELINES = {"x86_64": "-march=x86-64", "aarch64": "-march=armv8-a"}
GLIBC, MACOS = "2.17", "11.0"  # the oldest that zig and clang link for
NO_COMPILER = "none"  # CC=none: as on a machine that has no compiler
MESSAGES = 3  # lines of a compiler that are passed on

_PROBE = "#include <stdint.h>\n#include <string.h>\nint probe(void) { return (int)sizeof(void *); }"


class CompileError(Exception):
    """What failed, and the compiler's first words about it, in a line or a few."""


@dataclass(frozen=True)
class Compiler:
    """A C compiler as it is typed, and what its code runs on (``uname`` words)."""

    command: tuple[str, ...]
    machine: str = platform.machine().replace("arm64", "aarch64")
    system: str = platform.system()

    @property
    def is_zig(self) -> bool:
        return "ziglang" in self.command or Path(self.command[0]).name == "zig"

    @property
    def sets(self) -> dict[str, tuple[str, ...]]:
        """The instruction sets of the architecture, each with its flags."""
        return SETS.get(self.machine, {"plain": ()})

    @property
    def target(self) -> tuple[str, ...]:
        """The flags by which its code runs on every processor of the architecture."""
        if self.is_zig:  # which compiles for the processor it runs on, unless it's told a target
            system = f"linux-{libc()}" if self.system == "Linux" else "macos"
            oldest = {"linux-gnu": f".{GLIBC}", "macos": f".{MACOS}"}.get(system, "")
            return ("-target", f"{self.machine}-{system}{oldest}")
        if self.system == "Darwin":
            return (f"-mmacosx-version-min={MACOS}",)
        return (BASELINES[self.machine],) if self.machine in BASELINES else ()

    def run(self, *arguments: str | Path, folder: Path, what: str) -> None:
        """Raises CompileError, which begins with ``what`` was to be done."""
        # zig's own cache: a home may be missing or read-only, and nothing is to stay.
        zig = {f"ZIG_{kind}_CACHE_DIR": str(folder / "zig") for kind in ("GLOBAL", "LOCAL")}
        try:
            done = subprocess.run(
                [*self.command, *self.target, *map(str, arguments)],
                cwd=folder, env={**os.environ, **zig, "LC_ALL": "C"}, text=True, errors="replace",
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
        except OSError as error:
            raise CompileError(f"{self.command[0]} cannot be run ({error.strerror})") from error
        if done.returncode:
            lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
            errors = [line for line in lines if re.search(r": (fatal )?error:|undefined", line)]
            said = errors[:MESSAGES] or lines[-MESSAGES:] or [f"exit status {done.returncode}"]
            if self.is_zig and "PermissionError" in done.stdout:  # a mount with noexec
                said = ["its folder lets no program run: TMPDIR=/another/folder before the command"]
            raise CompileError("\n".join([f"{what} by {shlex.join(self.command)} failed:", *said]))


def libc() -> str:
    """``gnu`` or ``musl``: the C library that this Python runs on. Source: packaging.tags."""
    try:
        return "gnu" if (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc") else "musl"
    except ValueError:
        return "musl"


def find_compiler() -> Compiler:
    """``CC`` where it is set, else the first of cc, gcc, clang and zig that is there and works.

    Raises CompileError where there is none.
    """
    if chosen := shlex.split(os.environ.get("CC", "")):
        if chosen == [NO_COMPILER]:
            raise CompileError(f"CC={NO_COMPILER} allows no C compiler")
        return Compiler(tuple(chosen))
    said = "no C compiler was found"
    for name in ("cc", "gcc", "clang"):
        # Some lack the headers, or are a stub that asks for an install, as on macOS.
        try:
            if shutil.which(name):
                return _probed(Compiler((name,)))
        except CompileError as error:
            said = f"no C compiler works: {error}"
    if importlib.util.find_spec("ziglang"):
        return Compiler((sys.executable, "-m", "ziglang", "cc"))
    raise CompileError(said)


def _probed(compiler: Compiler) -> Compiler:
    """The same, if it knows all flags, finds the headers and can link."""
    sets = [flag for flags in compiler.sets.values() for flag in flags]
    with TemporaryDirectory() as folder:
        Path(folder, "probe.c").write_text(_PROBE, encoding="utf-8")
        compiler.run(*FLAGS, *sets, "-shared", "probe.c", "-o", "probe.so",
                     folder=Path(folder), what="a trial")  # fmt: skip
    return compiler


def library_path() -> Path:
    """Where this machine's library of these sources lies, or would."""
    digest = sha256()
    for file in [Path(__file__), *sorted(SOURCES.glob("*.[ch]"))]:
        content = file.read_bytes()
        digest.update(f"{file.name} {len(content)}\n".encode() + content)
    return FOLDER / f"{_stem()}-{digest.hexdigest()[:16]}.so"


def _stem() -> str:
    """Of this machine: folders are shared between some that cannot load each other's libraries."""
    here = Compiler(())
    system = f"linux-{libc()}" if here.system == "Linux" else here.system.lower()
    return f"raster-{here.machine}-{system}"


def ensure(*, anew: bool = False) -> Path:
    """The library beside the sources, compiled where it is missing (``anew``: in any case).

    One process at a time compiles; the others wait for it. It's put in its place by a rename, and
    removes those of other sources.

    Raises CompileError, and OSError where the folder cannot be written.
    """
    if library_path().exists() and not anew:
        return library_path()
    with _alone():
        path = library_path()
        if path.exists() and not anew:
            return path
        with TemporaryDirectory() as folder:
            compile_library(Path(folder, path.name), find_compiler())
            content = Path(folder, path.name).read_bytes()
        if library_path() != path:
            raise CompileError("the C files changed while they were compiled")
        handle, name = mkstemp(prefix=f"{path.stem}.", suffix=".tmp", dir=FOLDER)
        try:
            with open(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o755)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
        # Of older sources, and what a killed process left.
        for other in FOLDER.glob(f"{_stem()}-*"):
            if other != path:
                other.unlink(missing_ok=True)
    return path


@contextmanager
def _alone() -> Iterator[None]:
    """Holds a lock of the system, which goes with its holder; without it work is done twice."""
    # To be read only: another user's umask may allow no more.
    handle = os.open(FOLDER / "raster-build.lock", os.O_RDONLY | os.O_CREAT, 0o666)
    try:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def compile_library(output: Path, compiler: Compiler, flags: Sequence[str] = ()) -> None:
    """One shared library, with the exported functions of ``raster.c``. Raises CompileError."""
    with TemporaryDirectory() as name:
        objects = _objects(Path(name), compiler, flags)
        # zig compiles a runtime first, for half a minute, and only the C library is needed.
        runtime = ("-nostdlib", "-lc") if compiler.is_zig else ()
        compiler.run("-shared", *flags, *objects, *runtime, "-o", output.resolve(),
                     folder=Path(name), what="linking the library")  # fmt: skip


def compile_program(
    output: Path, main: Path, compiler: Compiler, flags: Sequence[str] = ()
) -> None:
    """A program: ``main``, which finds the headers, and all of the C files. Raises CompileError.

    flags: of the compiler and the linker, as ``-static`` or ``-fsanitize=address``.
    """
    with TemporaryDirectory() as name:
        objects = _objects(Path(name), compiler, flags)
        compiler.run(*FLAGS, *flags, "-Ic", main.resolve(), *objects, "-o", output.resolve(),
                     folder=Path(name), what=f"compiling {main.name}")  # fmt: skip


def _objects(folder: Path, compiler: Compiler, flags: Sequence[str]) -> list[str]:
    """The C files, compiled in ``folder``: names of files there."""
    shutil.copytree(SOURCES, folder / "c")  # what an editor saves meanwhile is not in it

    def compile_one(name: str, isa: str) -> str:
        compiled = f"{Path(name).stem}-{isa}.o"
        compiler.run(
            *FLAGS, *compiler.sets[isa], f"-DISA={isa}", *flags,
            "-c", f"c/{name}", "-o", compiled,
            folder=folder, what=f"compiling {name} for {isa}",
        )  # fmt: skip
        return compiled

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [
            pool.submit(compile_one, file.name, isa)
            for file in sorted(SOURCES.glob("*.c"))
            for isa in (["plain"] if file.name == ONCE else compiler.sets)
        ]
        return [job.result() for job in jobs]
