"""Command lines that we print can be typed as they stand."""

from __future__ import annotations

import sys

import pytest

from singleimg.config.command_line import as_started, command, program


@pytest.mark.parametrize(("started", "said"), [
    ("run.py", "python run.py"), ("/home/me/singleimg/run.py", "python run.py"),
    ("/venv/bin/singleimg", "singleimg"), ("/venv/Scripts/singleimg.exe", "singleimg"),
    ("/site-packages/singleimg/__main__.py", "python -m singleimg"),
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
