"""How what an extra needs is installed: never by a name on the public registry."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from singleimg.system import extras
from singleimg.system.extras import install
from tests.conftest import ROOT


def test_in_the_checkout_it_is_its_short_name(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert install("train") == 'pip install -e ".[train]"'


def test_elsewhere_the_checkout_is_named(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert install("train") == f"pip install -e '{ROOT}[train]'"


def test_a_wheel_names_the_packages(monkeypatch):
    monkeypatch.setattr(extras, "CHECKOUT", None)
    assert install("s3") == 'pip install "s3fs>=2025.3" "universal-pathlib>=0.3"'


def test_what_was_never_installed_has_no_extras(monkeypatch):
    def nobody(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(extras, "requires", nobody)
    assert extras.extras() == {}


@pytest.mark.parametrize("folder", ["singleimg", "docs", "conf"])
def test_nothing_advises_to_install_a_package_of_that_name_from_a_registry(folder):
    wrong = re.compile(r"pip install [^.\n]*[\"' ]singleimg\b(?!/)")
    pages = [p for p in (ROOT / folder).rglob("*") if p.suffix in (".py", ".md", ".yaml", ".html")]
    pages += [ROOT / "README.md"]
    found = [str(page) for page in pages if wrong.search(Path(page).read_text())]
    assert found == []
