"""``task=doctor``: what a machine has."""

from __future__ import annotations

import re

from singleimg.system import extras
from singleimg.tasks import doctor
from singleimg.version import __version__
from tests.conftest import ROOT


def test_it_says_what_is_there_and_how_fast_it_is(run, tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "_SECONDS", 0.1)
    lines = run("task=doctor", "img_size=32", cwd=tmp_path).stdout.splitlines()
    assert lines[0].startswith(f"singleimg: {__version__}, Python ")
    assert re.fullmatch(r"Libraries: torch \S+, torchvision \S+, .*", lines[1])
    assert any(re.fullmatch(r"Cores:     \d+ may be used by this process", one) for one in lines)
    assert any(re.fullmatch(r"Raster:    \w+ kernel", one) for one in lines)
    assert any(re.match(r"Extras:    .*parquet \(pyarrow \S+\)", one) for one in lines)
    assert re.match(
        r" +[\d,.]+ images/s a core \(augment=script, 32 px, engine=native\)", lines[-1]
    )
    assert list(tmp_path.iterdir()) == []


def test_it_says_what_to_install(run, tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "_SECONDS", 0.1)
    monkeypatch.setattr(extras, "requires", lambda name: [
        "torch>=2", 'no-such-thing>=2; extra == "strange"', 'numpy>=2; extra == "strange"',
        'other; python_version < "3.20" and extra == "test"',
    ])  # fmt: skip
    said = run("task=doctor", "img_size=32", cwd=tmp_path).stdout
    how = f"type pip install -e '{ROOT}[strange]'"
    assert f"Without:   strange (no-such-thing); {how}" in said
    monkeypatch.setattr(extras, "CHECKOUT", None)
    said = run("task=doctor", "img_size=32", cwd=tmp_path).stdout
    assert 'type pip install "no-such-thing>=2" "numpy>=2"' in said and "other" not in said
