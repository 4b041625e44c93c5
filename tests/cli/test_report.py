"""``report.html``: of a run, of a dataset that is there, and as a browser shows it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.browser import faults, opened

SMALL = ("img_size=32", "output=webdataset", "output.shard_size=50")


@pytest.fixture(scope="module")
def strange(picture, tmp_path_factory) -> Path:
    """A picture of a name that is HTML."""
    file = tmp_path_factory.mktemp("strange") / "<script>alert(1)<script>.png"
    file.write_bytes(picture.read_bytes())
    return file


@pytest.fixture(scope="module")
def made(run, strange, tmp_path_factory) -> Path:
    """A dataset with its page."""
    folder = tmp_path_factory.mktemp("made") / "<b>set<b>"
    run(f"imgpath={strange}", *SMALL, "num_imgs=150", "report=true", f"targetpath={folder}")
    return folder


def text_of(page: str) -> str:
    """Without what is only for browsers."""
    body = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.S)
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def test_it_says_what_the_dataset_is(made):
    page = (made / "report.html").read_text()
    said = text_of(page)
    summary, recipe = (json.loads((made / n).read_text()) for n in ("dataset.json", "recipe.json"))
    for part in ("150 images of 32 × 32 pixels", "made of one picture by the preset script",
                 summary["fingerprint"][:12], "webdataset", "Cut a square at random", "-cn config",
                 *recipe["made_with"].values()):  # fmt: skip
        assert part in said, part
    assert page.count('role="img" aria-label="Histogram of ') > 8
    assert "<b>set" not in page and "&lt;b&gt;set" in page


def test_a_browser_shows_it_alone_and_to_everyone(made, tmp_path):
    for dark, width in ((False, 1200), (True, 1200), (False, 390)):
        with opened(made / "report.html", dark=dark, width=width) as page:
            assert page.title() == "<b>set<b>"
            assert page.locator("h1").inner_text() == "<b>set<b>"
            assert faults(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            broken = "[...document.images].filter(one => !one.naturalWidth).length"
            assert page.evaluate(broken) == 0
            head = page.locator("table.sortable thead th").first
            head.locator("button").click()
            names = page.locator("table.sortable tbody tr td:first-child").all_inner_texts()
            assert head.get_attribute("aria-sort") == "ascending" and names == sorted(names)


def test_it_is_no_part_of_what_is_committed(run, made, strange, tmp_path):
    plain = tmp_path / "plain"
    run(f"imgpath={strange}", *SMALL, "num_imgs=150", f"targetpath={plain}")
    assert not (plain / "report.html").exists()
    assert (plain / "dataset.json").read_bytes() == (made / "dataset.json").read_bytes()
    run("task=verify", f"targetpath={made}")


def test_of_a_dataset_that_is_there(run, picture, tmp_path):
    typed = (f"imgpath={picture}", *SMALL, f"targetpath={tmp_path}/set")
    run(*typed, "num_imgs=60")
    said = run("task=report", f"targetpath={tmp_path}/set").stdout
    page = tmp_path / "set" / "report.html"
    assert said == f"Report:  {page}\n"
    assert "60 images" in text_of(page.read_text())
    run(*typed, "num_imgs=120")  # there is one: it is made anew
    assert "120 images" in text_of(page.read_text())
    run(*typed, "num_imgs=180", "report=false")  # it would tell of fewer
    assert not page.exists()
    run(*typed, "num_imgs=180", "report=true")
    run(*typed, "num_imgs=60", "if_exists=overwrite", "report=false")
    assert not page.exists()


def test_without_its_picture_it_says_what_is_left_out(run, picture, tmp_path):
    own = tmp_path / "own.png"
    own.write_bytes(picture.read_bytes())
    run(f"imgpath={own}", *SMALL, "num_imgs=60", f"targetpath={tmp_path}/set")
    own.unlink()
    run("task=report", f"targetpath={tmp_path}/set")
    said = text_of((tmp_path / "set" / "report.html").read_text())
    assert "What was drawn, and the source, are left out: " in said and "own.png" in said
    assert "as intended" not in said and "What came out" in said


def test_mistakes(run, picture, tmp_path):
    assert run("task=report", code=1).stderr == (
        "task=report needs the folder of a dataset: type targetpath=….\n"
    )
    error = run("task=report", f"targetpath={tmp_path}", code=1).stderr
    assert error == f"targetpath={tmp_path} holds no dataset: type the folder of one.\n"
    run(f"imgpath={picture}", *SMALL, "num_imgs=60", f"targetpath={tmp_path}/set")
    (tmp_path / "set" / "dataset.json").unlink()
    error = run("task=report", f"targetpath={tmp_path}/set", code=1).stderr
    assert error.startswith(f"targetpath={tmp_path}/set holds an unfinished dataset: ")


def test_images_that_are_all_but_the_same_are_found(run, tmp_path):
    rng = np.random.default_rng(0)
    flat = tmp_path / "flat.png"
    Image.fromarray(rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)).save(flat)
    run(f"imgpath={flat}", *SMALL, "augment=none", "num_imgs=50", f"targetpath={tmp_path}/set",
        "report=true")  # fmt: skip
    said = text_of((tmp_path / "set" / "report.html").read_text())
    assert "near-duplicates in a sample of 50 100.00%" in said
