"""The page of a study: rows that were really trained and probed, and what its files hold."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

import singleimg
from singleimg.errors import UserError
from singleimg.learn.study import report
from singleimg.learn.study.design import TEACHER_ROW, Row
from singleimg.learn.study.findings import HOLDS, INTERVAL, Finding
from singleimg.learn.study.page import ROWS, study_page, write_page
from singleimg.learn.study.row_run import RowResult, RowTask, make_row
from singleimg.learn.training.journal import read
from tests.browser import seen_by_everyone

NAME = "RotNet, <script>alert(1)</script>"
LAYERS = ["conv1", "conv2", "conv3", "conv4"]
ROTNET = ("method=rotnet", "method.updates=6", "method.batch_size=16", "num_imgs=32")
FEW = ("task.images=32", "method.batch_size=16")
SAID = [Finding("a", f"{NAME} beats random", INTERVAL, "conv1 +1.0 (1 seed)", None),
        Finding("z", "a statement that nobody knows yet", HOLDS, "+3.0 ± 0.2", 0.2)]  # fmt: skip
MORE = {
    "data": "imagefolder", "network": "cifar_conv4", "budget": "smoke",
    "probe": "cached", "not_run": ["supervised", "<i>none</i>"], "made_with": {"torch": "9.9"},
}  # fmt: skip


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    """Two classes, each a colour of its own."""
    folder = tmp_path_factory.mktemp("labelled")
    random = np.random.default_rng(0)
    for split, count in (("train", 20), ("test", 5)):
        for label in range(2):
            place = folder / split / f"class{label}"
            place.mkdir(parents=True)
            for number in range(count):
                pixels = random.normal(80 + 80 * label, 40, (32, 32, 3)).clip(0, 255)
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def made(picture: Path, labelled: Path, tmp_path_factory) -> tuple[Path, list[RowResult]]:
    """A small study: an untrained row, one of two seeds, one of another part's, and students."""
    study = singleimg.compose(
        "task=study", "network=cifar_conv4", "network.widths=[4,4,4,4]", "augment=paper",
        f"imgpath={picture}", "data=imagefolder", f"data.path={labelled}", "probe.epochs=1",
        "probe.updates=0",
        "probe.lrs=[0.01,0.1]", "train.log_every=1", "train.accelerator=cpu",
    )  # fmt: skip
    rows = [
        Row(
            "random",
            0,
            ("method=untrained", "method.batch_size=16", "num_imgs=16", "seed=0"),
            recomputed=True,
        ),
        Row(NAME, 0, (*ROTNET, "seed=0")),
        Row(NAME, 1, (*ROTNET, "seed=1")),
        Row("none", 0, (*ROTNET, "deg=0", "scale=null", "seed=0")),
        replace(TEACHER_ROW, overrides=("method=supervised", "method.updates=2", *FEW, "seed=0")),
        Row(
            "student of noise",
            0,
            (
                "method=distil",
                "method.updates=2",
                "num_imgs=32",
                "method.batch_size=16",
                "image=noise",
                "image.pixels=9000",
                "seed=0",
            ),
            role="student",
        ),
    ]
    folder = tmp_path_factory.mktemp("study")
    text = json.dumps(OmegaConf.to_container(study, resolve=True))
    results = [make_row(RowTask(row, folder / ROWS / row.folder, text, 1)) for row in rows]
    parts = {"table": results[:3], "students": results[4:], "ablation": results[3:4]}
    report.write(folder, parts, SAID, "The control <b>holds</b>.", MORE)
    write_page(folder)
    return folder, results


@pytest.fixture(scope="module")
def page(made) -> str:
    return (made[0] / "report.html").read_text()


def section(page: str, title: str, level: int = 2) -> str:
    """What stands below a heading."""
    found = re.search(rf"<h{level}>{re.escape(title)}</h{level}>(.*?)(?=<h[2-{level}]>|</main>)",
                      page, re.S)  # fmt: skip
    assert found, title
    return found[1]


def cells(text: str) -> list[list[str]]:
    """The cells of all tables, line by line, as they are read."""
    lines = re.findall(r"<tr>(<td.*?)</tr>", text)
    return [re.findall(r"<td[^>]*>(.*?)</td>", line) for line in lines]


def test_the_table_and_the_figure_hold_the_scores_of_every_row(made, page):
    folder, _ = made
    with (folder / "scores.csv").open(newline="") as stream:
        scores = [row for row in csv.DictReader(stream) if row["row"] != "none"]
    text = section(page, "Rows")
    (random, recomputed, rotnet) = cells(text)[:3]
    assert random[0] == "random" and random[5] == "1" and rotnet[5] == "2"
    assert recomputed[0] == "random, statistics recomputed" and recomputed[6] == ""
    assert [row.split("|")[2:6] for row in (folder / "table.md").read_text().splitlines()[6:9]] == [
        [f" {cell} " for cell in row[1:5]] for row in (random, recomputed, rotnet)
    ]
    of_random = [100 * float(one["accuracy"]) for one in scores if one["row"] == "random"]
    label = re.search(r'aria-label="(.*?)"', text)[1]
    for layer, value in zip(LAYERS, of_random, strict=True):
        assert f"{layer} {value:.4g}" in label.partition(";")[0]
    assert text.count('<circle class="run"') == 8  # of two seeds, each layer of each
    assert cells(section(page, "Augmentations of the one image"))[0][0] == "none"


def test_what_tells_why_has_a_table_of_its_own(made, page):
    _, results = made
    random, rotnet = cells(section(page, "Rows"))[3:]
    assert (random[0], len(random), len(rotnet)) == ("random", 4, 4)
    assert random[1] == f"{100 * results[0].facts['knn']:.1f}" and random[2:] == ["–", "–"]
    for place, name in enumerate(("knn", "pretext, own images", "pretext, real images"), 1):
        shares = [100 * one.facts[name] for one in results[1:3]]
        assert rotnet[place].startswith(f"{sum(shares) / 2:.1f} ± ")


def test_students_stand_beside_their_teacher(made, page):
    _, results = made
    facts = results[5].facts
    text = section(page, "Students of one picture each")
    assert cells(text) == [["student of noise", *(f"{100 * facts[k]:.1f}" for k in
                            ("student", "teacher", "agreement"))]]  # fmt: skip
    label = re.search(r'aria-label="(.*?)"', text)[1]
    assert f"student: noise {100 * facts['student']:.4g}" in label
    assert f"teacher: noise {100 * facts['teacher']:.4g}" in label
    assert 0 <= facts["agreement"] <= 1 and results[4].facts == {}


def test_curves_have_a_line_a_seed_and_a_point_an_update(made, page):
    folder, results = made
    text = section(page, "Curves of the trainings")
    assert re.findall("<h3>(.*?)</h3>", text) == [
        "RotNet, &lt;script&gt;alert(1)&lt;/script&gt;", "teacher", "student of noise", "none",
    ]  # fmt: skip
    first, *_ = text.split("<h3>")[1:]
    for name in ("loss", "pretext accuracy", "learning rate"):
        chart = re.search(rf'aria-label="Line chart: {name} by update\..*?</figure>', first, re.S)
        paths = re.findall(r'class="curve d\d" d="(M[^H]*?)"', chart[0])
        assert [len(re.findall("[ML]", path)) for path in paths] == [6, 6]
        assert re.findall("<span>(.*?)</span>", chart[0]) == ["seed 0", "seed 1"]
    last = read(folder / ROWS / results[2].row.folder / "updates.csv")[-1]
    assert (
        f"seed 1 from {read(folder / ROWS / results[2].row.folder / 'updates.csv')[0]['loss']:.4g}"
        in first
    )
    assert f"to {last['loss']:.4g} at update 6" in first


def test_filters_of_each_row_stand_side_by_side_and_say_whose_they_are(page):
    text = section(page, "First-layer filters")
    assert re.findall(r'alt="Filters of the first convolution of (.*?)"', text) == [
        "random, seed 0", "RotNet, &lt;script&gt;alert(1)&lt;/script&gt;, seed 0",
        "teacher, seed 0", "student of noise, seed 0", "none, seed 0",
    ]  # fmt: skip
    assert text.count('<img src="data:image/webp;base64,') == 5


def test_findings_are_shown_as_they_are_given(page):
    text = section(page, "Findings")
    assert "The control &lt;b&gt;holds&lt;/b&gt;." in text
    assert [row[0] for row in cells(text)] == ["a", "z"]
    assert cells(text)[1] == ["z", SAID[1].said, "holds", "+3.0 ± 0.2", "0.2"]
    assert "2 statements were tested, of which 1 are decided." in text
    assert "they do not cover the choice of the picture" in text


def test_what_was_not_run_is_named(page):
    items = re.findall("<li>(.*?)</li>", section(page, "What was not run"))
    assert items == ["supervised", "&lt;i&gt;none&lt;/i&gt;"]


def test_each_run_has_a_line_with_its_learning_rates(made, page):
    _, results = made
    rows = cells(section(page, "Each run"))
    order = [*results[:3], *results[4:], results[3]]
    assert [row[:2] for row in rows] == [
        [one.row.name.replace("<", "&lt;").replace(">", "&gt;"), str(one.row.seed)] for one in order
    ]
    for row, one in zip(rows, order, strict=True):
        if one.score is None:
            assert row[2:10] == ["–"] * 8
            continue
        layers = one.score.layers
        assert row[2:6] == [f"{100 * layer.accuracy:.2f}" for layer in layers]
        assert row[6:10] == [f"{layer.lr:g}" for layer in layers]
        assert row[10] == f"{one.minutes:.1f}"


def test_it_says_how_to_run_it_again_and_with_what_it_was_made(made, page):
    again = "&#39;task.parts=[table,students,ablation]&#39; targetpath=elsewhere"
    assert f"run.py -cp {made[0]} -cn config {again}" in section(page, "The same again")
    assert cells(section(page, "Made with")) == [["torch", "9.9"]]
    command = "method=rotnet method.updates=6 method.batch_size=16 num_imgs=32 seed=0"
    assert cells(section(page, "Commands of the rows"))[1][1] == command


def test_a_browser_shows_it_alone_and_to_everyone(made):
    seen_by_everyone(made[0] / "report.html")


def test_it_is_written_anew_the_same(run, made, page):
    folder, _ = made
    (folder / "report.html").unlink()
    assert run("task=report", f"targetpath={folder}").stdout == f"Report:  {folder}/report.html\n"
    assert (folder / "report.html").read_text() == page


def test_a_row_whose_folder_is_gone_keeps_its_scores(made, page):
    record = json.loads((made[0] / "study.json").read_text())
    for one in record["rows"]["table"]:
        one["row"]["name"] = one["score"]["row"] = f"other {one['row']['name']}"
    del record["rows"]["students"]
    place = made[0] / "some"
    place.mkdir(exist_ok=True)
    (place / "study.json").write_text(json.dumps(record))
    html = study_page(place).html()
    assert "other random" in section(html, "Rows")
    assert re.findall("<h3>(.*?)</h3>", html) == ["none"]  # found in the folder above


def test_a_record_that_cannot_be_read_is_a_sentence(tmp_path):
    (tmp_path / "study.json").write_text('{"rows": {}}')
    with pytest.raises(UserError) as mistake:
        study_page(tmp_path)
    assert str(mistake.value) == (
        f"{tmp_path}/study.json cannot be read as the record of a study ('data'): type "
        "the command of the study again, which makes no row twice."
    )
