"""docs/reference/ says what the schema, conf/ and the docstrings say."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

import singleimg
from singleimg.config.explain import keys
from tests.conftest import ROOT

FOLDER = ROOT / "docs" / "reference"


@pytest.fixture(scope="module")
def pages() -> Iterator[dict[str, str]]:
    """What ``python docs/reference.py`` would write."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs")
        import reference

        yield reference.pages()


@pytest.mark.parametrize("name", ["settings.md", "interfaces.md"])
def test_the_pages_are_those_of_the_code(pages, name):
    there = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    written = pages[name].splitlines()
    differ = [line for line in written if line not in there] or written != there
    assert not differ, f"docs/reference/{name} is stale: type python docs/reference.py ({differ})"


def test_every_key_of_the_command_line_is_there(pages):
    text = pages["settings.md"]
    hidden = re.compile(r"(_\w+|.*\._target_|.*\.name|.*\.transforms)$")
    budgets = "budget."  # shown as files
    for key in keys():
        if not hidden.match(key) and not key.startswith(budgets):
            assert f"`{key}`" in text or f"`{key}=`" in text or f"`{key}." in text, key


def test_every_public_name_is_there(pages):
    for name in singleimg.__all__:
        assert f"### `{name}` {{#{name.strip('_')}}}" in pages["interfaces.md"]


def test_nothing_depends_on_the_machine(pages):
    for text in pages.values():
        assert " at 0x" not in text and str(ROOT) not in text and "ForwardRef" not in text
