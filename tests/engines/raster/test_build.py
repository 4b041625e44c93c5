"""One library of the C files, whatever the compiler; never one of other files."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from singleimg.engines.raster import build
from singleimg.engines.raster.build import CompileError, Compiler
from tests.engines.raster.conftest import ZIG, compiler_named

WARNINGS = ("-Wall", "-Wextra", "-Werror")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover", "-g")
HERE = Path(__file__).parent
MOST_LINES = 600


@pytest.fixture
def folder(tmp_path) -> Path:
    """The sources in a folder of their own, without a library."""
    place = tmp_path / "raster"
    kept = shutil.ignore_patterns("raster-*", "__pycache__")
    shutil.copytree(build.FOLDER, place, ignore=kept)
    return place


@pytest.fixture
def copied(folder, monkeypatch):
    """``build`` as it is in that folder."""
    spec = importlib.util.spec_from_file_location("copied_build", folder / "build.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "copied_build", module)
    spec.loader.exec_module(module)
    return module


def libraries(folder: Path) -> list[Path]:
    return sorted(folder.glob("raster-*.so"))


def kernels_of(library: Path) -> list[str]:
    """What a library has for this processor, the fastest first."""
    functions = ctypes.CDLL(str(library))
    functions.raster_kernels.restype = ctypes.c_void_p
    names = [b"avx512", b"avx2", b"neon", b"plain"]
    return [name.decode() for name in names if functions.raster_kernels(name)]


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


# --- compilers -----------------------------------------------------------------------------------


def test_every_compiler_makes_it_without_a_warning(compiler, tmp_path):
    build.compile_library(tmp_path / "raster.so", compiler, WARNINGS)
    fastest = kernels_of(tmp_path / "raster.so")
    assert fastest[-1] == "plain"
    flags = Path("/proc/cpuinfo").read_text() if platform.system() == "Linux" else ""
    assert ("avx2" in fastest) == ("avx2" in flags.split())
    assert ("avx512" in fastest) == (
        {"avx512f", "avx512bw", "avx512vl", "avx512dq"} <= set(flags.split())
    )


def test_nothing_but_its_functions_is_seen_from_outside(compiler, tmp_path):
    if not shutil.which("nm"):
        pytest.skip("nm is not on this machine")
    build.compile_library(tmp_path / "raster.so", compiler)
    switches = ["-gU"] if platform.system() == "Darwin" else ["-D", "--defined-only"]
    listed = subprocess.check_output(["nm", *switches, tmp_path / "raster.so"], text=True)
    names = {line.split()[-1].lstrip("_") for line in listed.splitlines()}
    assert "raster_version" in names
    assert {name for name in names if not name.startswith("raster_")} <= {"init", "fini"}


def test_a_warning_ends_it_only_where_that_is_asked(compiler, copied, folder, tmp_path):
    with open(folder / "c" / "kernels.c", "a", encoding="utf-8") as file:
        file.write("static int unused(void) { return 1; }\n")
    copied.compile_library(tmp_path / "raster.so", compiler)
    with pytest.raises(CompileError, match="unused"):
        copied.compile_library(tmp_path / "raster.so", compiler, WARNINGS)


@pytest.mark.parametrize("name", ["gcc", "clang"])
def test_a_program_of_it_runs_under_the_sanitizers(name, tmp_path):
    compiler = compiler_named(name)
    build.compile_program(tmp_path / "kernels", HERE / "print_kernels.c", compiler, SANITIZERS)
    said = subprocess.check_output([tmp_path / "kernels"], text=True).split()
    assert said[0] == "raster-1" and said[1] == said[2] and said[-1] == "plain"


@pytest.mark.parametrize("name", ["aarch64-linux-gnu-gcc", "zig"])
def test_the_program_of_another_architecture_has_its_kernels(name, tmp_path):
    emulator = shutil.which("qemu-aarch64") or pytest.skip("qemu-aarch64 is not on this machine")
    compiler = compiler_named(name, machine="aarch64", system="Linux")
    static = ("-static", *WARNINGS)
    if name == "zig":
        compiler = Compiler((*ZIG, "-target", "aarch64-linux-musl"), "aarch64", "Linux")
    build.compile_program(tmp_path / "kernels", HERE / "print_kernels.c", compiler, static)
    said = subprocess.check_output([emulator, tmp_path / "kernels"], text=True)
    assert said == "raster-1 neon neon plain\n"


@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
@pytest.mark.parametrize("system", ["Linux", "Darwin"])
def test_zig_links_it_for_every_system_that_has_wheels(system, machine, tmp_path):
    zig = compiler_named("zig", machine=machine, system=system)
    build.compile_library(tmp_path / "raster.so", zig, WARNINGS)
    magic = {"Linux": b"\x7fELF", "Darwin": b"\xcf\xfa\xed\xfe"}
    assert (tmp_path / "raster.so").read_bytes()[:4] == magic[system]


def test_files_stay_short():
    lines = {file.name: len(file.read_text().splitlines()) for file in build.SOURCES.iterdir()}
    assert len(lines) > 3
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


# --- which compiler ------------------------------------------------------------------------------


def test_the_compiler_that_is_named_is_taken_at_its_word(monkeypatch):
    monkeypatch.setenv("CC", "ccache 'my cc'")
    assert build.find_compiler().command == ("ccache", "my cc")
    monkeypatch.setenv("CC", "none")
    assert build.find_compiler() is None


def test_one_that_cannot_compile_is_passed_over(monkeypatch, tmp_path):
    monkeypatch.delenv("CC", raising=False)
    script(tmp_path / "cc", "echo 'no developer tools were found' >&2; exit 1")
    script(tmp_path / "clang", f'exec {shutil.which("cc")} "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path}")
    real = build.subprocess.run
    path = os.pathsep.join([str(tmp_path), os.defpath])
    monkeypatch.setattr(
        build.subprocess, "run",
        lambda *args, env, **more: real(*args, env={**env, "PATH": path}, **more),
    )  # fmt: skip
    assert build.find_compiler().command == ("clang",)


def test_zig_is_taken_where_there_is_no_other(monkeypatch, tmp_path):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    assert build.find_compiler() is None
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: name == "ziglang")
    zig = build.find_compiler()
    assert zig.command == ZIG
    assert zig.target[0] == "-target"  # else it compiles for the processor that it runs on


# --- the library beside the sources --------------------------------------------------------------


def test_it_is_made_once_and_other_sources_have_another(copied, folder):
    first = copied.ensure()
    assert libraries(folder) == [first] and first.stat().st_mode & 0o777 == 0o755
    made = first.stat().st_mtime_ns
    assert copied.ensure().stat().st_mtime_ns == made
    assert copied.ensure(anew=True).stat().st_mtime_ns > made
    text = (folder / "c" / "raster.c").read_text()
    (folder / "c" / "raster.c").write_text(text.replace("{ return 1; }", "{ return 7; }"))
    second = copied.ensure()
    assert second != first and libraries(folder) == [second]  # the older one is gone
    assert ctypes.CDLL(str(second)).raster_version() == 7
    (folder / "c" / "raster.c").write_text(text)
    assert copied.library_path() == first


def test_flags_and_the_names_of_files_are_part_of_its_name(copied, folder):
    names = {copied.library_path()}
    (folder / "c" / "isa.h").rename(folder / "c" / "sets.h")
    names.add(copied.library_path())
    with open(folder / "build.py", "a", encoding="utf-8") as file:
        file.write('FLAGS += ("-O2",)\n')
    names.add(copied.library_path())
    assert len(names) == 3


def test_libraries_of_other_machines_in_the_same_folder_stay(copied, folder):
    other = folder / "raster-riscv64-linux-gnu-0123456789abcdef.so"
    other.touch()
    assert libraries(folder) == [other]
    assert copied.ensure() != other and len(libraries(folder)) == 2


def test_processes_that_need_it_at_once_compile_it_once(folder, tmp_path):
    script(tmp_path / "cc", f'echo "$@" >> {tmp_path}/calls; exec {shutil.which("cc")} "$@"')
    code = "import build; print(build.ensure())"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code], cwd=folder, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "CC": str(tmp_path / "cc")},
        )
        for _ in range(4)
    ]  # fmt: skip
    said = {process.communicate(timeout=120)[0].strip() for process in started}
    assert said == {str(path) for path in libraries(folder)} and len(said) == 1
    calls = (tmp_path / "calls").read_text().splitlines()
    assert sum("-shared" in call for call in calls) == 1


def test_what_a_killed_process_left_goes_with_the_next(copied, folder):
    left = folder / f"{copied.library_path().stem}.abc.tmp"
    left.touch()
    copied.ensure()
    assert {file.name for file in folder.glob("raster-*")} == {
        copied.library_path().name, "raster-build.lock",
    }  # fmt: skip


def test_an_error_is_told_in_the_compilers_first_words(copied, folder, monkeypatch):
    with open(folder / "c" / "kernels.c", "a", encoding="utf-8") as file:
        file.write("int one = two;\n" + "".join(f"int a{i} = b{i};\n" for i in range(50)))
    with pytest.raises(copied.CompileError) as caught:
        copied.ensure()
    first, *more = str(caught.value).splitlines()
    assert first.startswith("compiling kernels.c for ") and first.endswith(" failed:")
    assert "c/kernels.c:" in more[0] and "two" in more[0] and len(more) == build.MESSAGES
    assert libraries(folder) == [] and list(folder.glob("*.tmp")) == []
    monkeypatch.setenv("CC", "/no/such/cc")
    with pytest.raises(copied.CompileError, match=r"^/no/such/cc cannot be run \(No such file"):
        copied.ensure()
    monkeypatch.setenv("CC", "false")
    with pytest.raises(copied.CompileError, match=r"by false failed:\nexit status 1$"):
        copied.ensure()
    monkeypatch.setenv("CC", "none")
    with pytest.raises(copied.CompileError, match=r"^no C compiler was found$"):
        copied.ensure()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_an_error_of_the_system(copied, folder):
    folder.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            copied.ensure()
    finally:
        folder.chmod(0o700)
