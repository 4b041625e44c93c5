"""Command lines that we print can be typed as they stand."""

from __future__ import annotations

import re
import sys

import pytest

from singleimg.config.command_line import as_started, command, program, quoted
from tests.conftest import ROOT


@pytest.mark.parametrize(("started", "said"), [
    ("run.py", "python run.py"), ("/home/me/singleimg/run.py", "python run.py"),
    ("/venv/bin/singleimg", "singleimg"), ("/venv/Scripts/singleimg.exe", "singleimg"),
    ("/site-packages/singleimg/__main__.py", "singleimg"),
    ("/site-packages/pytest/__main__.py", "python run.py"), ("", "python run.py"),
])  # fmt: skip
def test_a_command_is_said_as_it_was_started(monkeypatch, started, said):
    monkeypatch.setattr(sys, "argv", [started])
    assert program() == said
    assert command("-cp", "a b") == f"{said} -cp 'a b'"
    assert as_started("x: python run.py --help says more.") == f"x: {said} --help says more."


def test_without_a_checkout_it_is_the_installed_command(monkeypatch, tmp_path):
    monkeypatch.setattr("singleimg.config.command_line.CONF", tmp_path / "singleimg" / "conf")
    monkeypatch.setattr(sys, "argv", ["train.py"])
    assert program() == "singleimg"


def test_a_word_is_the_same_in_every_shell():
    assert quoted("num_imgs=1M") == "num_imgs=1M"
    assert quoted("scale=[500,1]") == "'scale=[500,1]'"
    assert quoted("a\\b'c") == """'a'"\\\\"'b'"'"'c'"""


def test_sentences_quote_what_zsh_would_take_for_a_pattern():
    """So do pages: tests/docs/test_commands.py."""
    for file in (ROOT / "singleimg").rglob("*.py"):
        found = re.findall(r"(?:type|example) [\w.{}]+=\[.*", file.read_text(encoding="utf-8"))
        assert not found, f"{file.name}: {found}"
