"""One library of the C files, whatever the compiler; never one of other files."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from singleimg.engines.raster import build
from singleimg.engines.raster.build import CompileError
from tests.engines.raster.conftest import HERE, WARNINGS, ZIG, compiler_named

SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover", "-g")
MOST_LINES = 600


def libraries(folder: Path) -> list[Path]:
    return sorted(folder.glob("raster-*.so"))


def kernels_of(library: Path) -> list[str]:
    """What a library has for this processor, the fastest first."""
    functions = ctypes.CDLL(str(library))
    functions.raster_kernels.restype = ctypes.c_void_p
    names = [b"avx512", b"avx2", b"neon", b"plain"]
    return [name.decode() for name in names if functions.raster_kernels(name)]


def exported(library: Path) -> set[str]:
    switches = ["-gU"] if platform.system() == "Darwin" else ["-D", "--defined-only"]
    listed = subprocess.check_output(["nm", *switches, library], text=True)
    return {line.split()[-1].lstrip("_") for line in listed.splitlines()}


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def processor() -> set[str]:
    """The flags of this machine's processor, as Linux lists them."""
    return set(Path("/proc/cpuinfo").read_text().split()) if platform.system() == "Linux" else set()


# --- compilers -----------------------------------------------------------------------------------


def test_every_compiler_makes_it_without_a_warning(compiler, tmp_path):
    build.compile_library(tmp_path / "raster.so", compiler, WARNINGS)
    made = kernels_of(tmp_path / "raster.so")
    assert made[-1] == "plain"
    if shutil.which("nm"):
        names = exported(tmp_path / "raster.so")
        assert "raster_version" in names
        assert {name for name in names if not name.startswith("raster_")} == set()


def test_it_compiles_for_the_systems_that_are_not_at_hand(tmp_path):
    build.compile_library(
        tmp_path / "raster.so", compiler_named("zig", machine="aarch64", system="Darwin"), WARNINGS
    )
    assert (tmp_path / "raster.so").read_bytes()[:4] == b"\xcf\xfa\xed\xfe"


def test_files_stay_short():
    lines = {file.name: len(file.read_text().splitlines()) for file in build.SOURCES.iterdir()}
    assert len(lines) > 3
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the sets of x86-64")
def test_a_kernel_is_there_where_the_processor_has_its_instructions(small, compiler, tmp_path):
    build.compile_library(tmp_path / "raster.so", compiler, WARNINGS)
    made = kernels_of(tmp_path / "raster.so")
    assert ("avx2" in made) == ("avx2" in processor())
    assert ("avx512" in made) == ({"avx512f", "avx512bw", "avx512vl", "avx512dq"} <= processor())


def test_a_warning_ends_it_only_where_that_is_asked(small, compiler, tmp_path):
    with open(small / "c" / "kernels.c", "a", encoding="utf-8") as file:
        file.write("static int unused(void) { return 1; }\n")
    build.compile_library(tmp_path / "raster.so", compiler)
    with pytest.raises(CompileError, match="unused"):
        build.compile_library(tmp_path / "raster.so", compiler, WARNINGS)


def test_a_program_of_it_runs_under_the_sanitizers(small, tmp_path):
    gcc = compiler_named("gcc")
    build.compile_program(tmp_path / "program", HERE / "small_main.c", gcc, SANITIZERS)
    said = subprocess.check_output([tmp_path / "program"], text=True).split()
    assert said[0] == "raster-1" and said[1] == said[2] and said[-1] == "plain"


def test_the_program_of_another_architecture_has_its_kernels(small, tmp_path):
    emulator = shutil.which("qemu-aarch64") or pytest.skip("qemu-aarch64 is not on this machine")
    compiler = compiler_named("aarch64-linux-gnu-gcc", machine="aarch64", system="Linux")
    static = ("-static", *WARNINGS)
    build.compile_program(tmp_path / "program", HERE / "small_main.c", compiler, static)
    said = subprocess.check_output([emulator, tmp_path / "program"], text=True)
    assert said == "raster-1 neon neon plain\n"


@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
@pytest.mark.parametrize("system", ["Linux", "Darwin"])
def test_zig_links_for_every_system_that_has_wheels(small, system, machine, tmp_path):
    zig = compiler_named("zig", machine=machine, system=system)
    build.compile_library(tmp_path / "raster.so", zig, WARNINGS)
    magic = {"Linux": b"\x7fELF", "Darwin": b"\xcf\xfa\xed\xfe"}
    assert (tmp_path / "raster.so").read_bytes()[:4] == magic[system]


# --- which compiler ------------------------------------------------------------------------------


def test_the_compiler_that_is_named_is_taken_at_its_word(monkeypatch):
    monkeypatch.setenv("CC", "ccache 'my cc'")
    assert build.find_compiler().command == ("ccache", "my cc")
    monkeypatch.setenv("CC", "none")
    with pytest.raises(CompileError, match=r"^CC=none allows no C compiler$"):
        build.find_compiler()


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
    with pytest.raises(CompileError, match=r"^no C compiler was found$"):
        build.find_compiler()
    script(tmp_path / "gcc", "echo 'stdint.h: No such file'; exit 1")
    with pytest.raises(CompileError, match=r"^no C compiler works: a trial by gcc failed:\nstdint"):
        build.find_compiler()
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: name == "ziglang")
    zig = build.find_compiler()
    assert zig.command == ZIG
    assert zig.target[0] == "-target"  # else it compiles for the processor that it runs on


# --- the library beside the sources --------------------------------------------------------------


def test_it_is_made_once_and_other_sources_have_another(small):
    first = build.ensure()
    assert libraries(small) == [first] and first.stat().st_mode & 0o777 == 0o755
    made = first.stat().st_mtime_ns
    assert build.ensure().stat().st_mtime_ns == made
    assert build.ensure(anew=True).stat().st_mtime_ns > made
    text = (small / "c" / "raster.c").read_text()
    (small / "c" / "raster.c").write_text(text.replace("{ return 1; }", "{ return 7; }"))
    second = build.ensure()
    assert second != first and libraries(small) == [second]  # the older one is gone
    assert ctypes.CDLL(str(second)).raster_version() == 7
    (small / "c" / "raster.c").write_text(text)
    assert build.library_path() == first


def test_flags_and_the_names_of_files_are_part_of_its_name(small):
    names = {build.library_path()}
    (small / "c" / "isa.h").rename(small / "c" / "isb.h")
    names.add(build.library_path())
    with open(small / "build.py", "a", encoding="utf-8") as file:
        file.write('FLAGS += ("-O2",)\n')
    names.add(build.library_path())
    assert len(names) == 3


def test_libraries_of_other_machines_in_the_same_folder_stay(small):
    other = small / "raster-riscv64-linux-gnu-0123456789abcdef.so"
    other.touch()
    assert libraries(small) == [other]
    assert build.ensure() != other and len(libraries(small)) == 2


def test_processes_that_need_it_at_once_compile_it_once(small, tmp_path):
    script(tmp_path / "cc", f'echo "$@" >> {tmp_path}/calls; exec {shutil.which("cc")} "$@"')
    code = "import build; print(build.ensure())"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code], cwd=small, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "CC": str(tmp_path / "cc")},
        )
        for _ in range(4)
    ]  # fmt: skip
    said = {process.communicate(timeout=120)[0].strip() for process in started}
    assert said == {str(path) for path in libraries(small)} and len(said) == 1
    calls = (tmp_path / "calls").read_text().splitlines()
    assert sum("-shared" in call for call in calls) == 1


def test_what_a_killed_process_left_goes_with_the_next(small):
    left = small / f"{build.library_path().stem}.abc.tmp"
    left.touch()
    build.ensure()
    assert {file.name for file in small.glob("raster-*")} == {
        build.library_path().name, "raster-build.lock",
    }  # fmt: skip


def test_sources_that_change_meanwhile_give_no_library(small, tmp_path, monkeypatch):
    slow = f'echo "/* */" >> {small}/c/kernels.h; exec {shutil.which("cc")} "$@"'
    monkeypatch.setenv("CC", str(script(tmp_path / "cc", slow)))
    with pytest.raises(CompileError, match="changed while they were compiled"):
        build.ensure()
    assert libraries(small) == []


def test_an_error_is_told_in_the_compilers_first_words(small, monkeypatch):
    with open(small / "c" / "kernels.c", "a", encoding="utf-8") as file:
        file.write("int one = two;\n" + "".join(f"int a{i} = b{i};\n" for i in range(50)))
    with pytest.raises(CompileError) as caught:
        build.ensure()
    first, *more = str(caught.value).splitlines()
    assert first.startswith("compiling kernels.c for ") and first.endswith(" failed:")
    assert "c/kernels.c:" in more[0] and "two" in more[0] and len(more) == build.MESSAGES
    assert libraries(small) == [] and list(small.glob("*.tmp")) == []
    monkeypatch.setenv("CC", "/no/such/cc")
    with pytest.raises(CompileError, match=r"^/no/such/cc cannot be run \(No such file"):
        build.ensure()
    monkeypatch.setenv("CC", "false")
    with pytest.raises(CompileError, match=r"by false failed:\nexit status 1$"):
        build.ensure()
    monkeypatch.setenv("CC", "none")
    with pytest.raises(CompileError, match=r"^CC=none allows no C compiler$"):
        build.ensure()


def test_zig_in_a_folder_mounted_noexec_says_where_else_to_put_it(small, tmp_path, monkeypatch):
    denied = "echo 'PermissionError: [Errno 13] Permission denied'; exit 1"
    monkeypatch.setenv("CC", str(script(tmp_path / "zig", denied)))
    with pytest.raises(CompileError, match="failed:\nits folder lets no program run: TMPDIR="):
        build.ensure()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_an_error_of_the_system(small):
    small.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            build.ensure()
    finally:
        small.chmod(0o700)
