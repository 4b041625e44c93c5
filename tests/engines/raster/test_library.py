"""The compiled raster is found or made, and the kernel is the one that was asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from singleimg.engines.raster import build, library
from singleimg.engines.raster.library import KERNELS, load
from singleimg.errors import UserError
from tests.conftest import ROOT


@pytest.fixture
def forgotten(monkeypatch):
    """As in a process that has not loaded it yet."""
    monkeypatch.delenv("SINGLEIMG_KERNEL", raising=False)
    monkeypatch.setattr(library, "_load", library.cache(library._load.__wrapped__))
    monkeypatch.setattr(library, "_functions", library.cache(library._functions.__wrapped__))


@pytest.fixture
def elsewhere(small, forgotten):
    """A checkout whose library was never made."""
    return small


def usable() -> list[str]:
    """The kernels of this processor, as the library itself says."""
    return [name for name in KERNELS if load().functions.raster_kernels(name.encode())]


def test_the_fastest_kernel_is_taken(forgotten):
    assert load().functions.raster_version() == 1
    fastest = max(usable(), key=["plain", "neon", "avx2", "avx512"].index)
    assert load().kernel == fastest
    assert load() is load()


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_can_be_forced(name, forgotten, monkeypatch):
    there = usable()
    monkeypatch.setenv("SINGLEIMG_KERNEL", name)
    if name in there:
        assert load().kernel == name
        return
    with pytest.raises(UserError) as caught:
        load()
    assert str(caught.value) == (
        f"SINGLEIMG_KERNEL={name} is not supported by this processor: type {' or '.join(there)}, "
        "or leave it out for the fastest."
    )


def test_a_word_that_is_no_kernel_is_refused(forgotten, monkeypatch):
    monkeypatch.setenv("SINGLEIMG_KERNEL", "avx51")
    with pytest.raises(UserError) as caught:
        load()
    assert str(caught.value) == (
        "SINGLEIMG_KERNEL=avx51 is not a kernel (did you mean avx512?): type one of plain, avx2, "
        "avx512, neon, or leave it out for the fastest."
    )


def test_sources_that_changed_are_compiled_by_who_needs_them(elsewhere, caplog):
    file = elsewhere / "c" / "raster.c"
    file.write_text(file.read_text().replace("{ return 1; }", "{ return 7; }"))
    with caplog.at_level("INFO", "singleimg"):
        assert load().functions.raster_version() == 7
    assert caplog.messages == ["Compiling the raster, whose C files are new."]


def test_without_a_compiler_a_sentence_says_what_to_type(elsewhere, monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(elsewhere))
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError) as caught:
        load()
    assert str(caught.value) == (
        "The compiled raster cannot be used (no C compiler was found): fix that, or type pip "
        f"install -e {ROOT}, which compiles it again, or type engine=reference, which does not "
        "need it."
    )


def test_files_that_do_not_compile_end_in_a_sentence(elsewhere):
    with open(elsewhere / "c" / "raster.c", "a", encoding="utf-8") as file:
        file.write("int one = two;\n")
    with pytest.raises(UserError, match=r"\(compiling raster.c for plain by .*two.*\): fix that"):
        load()


def test_an_installed_package_compiles_nothing(elsewhere, monkeypatch):
    monkeypatch.setattr(library, "CHECKOUT", None)
    with pytest.raises(UserError, match="install singleimg again from its sources, or type engine"):
        load()
    assert list(elsewhere.glob("raster-*")) == []


def test_a_file_that_cannot_be_loaded_is_told(elsewhere):
    build.library_path().write_bytes(b"no library")
    with pytest.raises(UserError, match=r"cannot be used \(.*raster-.*\): fix that, or"):
        load()


def test_loading_it_needs_neither_torch_nor_numpy():
    code = (
        "import sys; from singleimg.engines.raster.library import load; load()\n"
        "sys.exit(', '.join({'torch', 'numpy', 'hydra'} & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
