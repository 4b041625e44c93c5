"""The page of a study: rows that were really trained and probed, and what its files hold."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

import singleimg
from singleimg.errors import UserError
from singleimg.learn.study import report
from singleimg.learn.study.design import Row, ablation_rows, left_out, table_rows
from singleimg.learn.study.findings import HOLDS, OPEN, Finding
from singleimg.learn.study.page import ROWS, study_page, write_page
from singleimg.learn.study.row_run import RowResult, RowTask, make_row
from singleimg.learn.training.journal import read
from tests.browser import seen_by_everyone

NAME = "RotNet, <script>alert(1)</script>"
LAYERS = ["conv1", "conv2", "conv3", "conv4"]
ROTNET = ("method=rotnet", "method.updates=6", "method.batch_size=16", "num_imgs=32")
SAID = [Finding("a", f"{NAME} beats random", OPEN, "conv1 +1.0 (1 seed)"),
        Finding("z", "a statement that nobody knows yet", HOLDS, "+3.0 ± 0.2")]  # fmt: skip
MORE = {
    "parts": ["table"], "data": "imagefolder", "network": "cifar_conv4", "budget": "smoke",
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
    """A small study: an untrained row, one of two seeds, and one of another part's."""
    study = singleimg.compose(
        "task=study", "network=cifar_conv4", "network.widths=[4,4,4,4]", "augment=paper",
        f"imgpath={picture}", "data=imagefolder", f"data.path={labelled}", "probe.epochs=1",
        "probe.lrs=[0.01,0.1]", "train.log_every=1", "train.accelerator=cpu",
    )  # fmt: skip
    rows = [
        Row("random", 0, ("method=untrained", "method.batch_size=16", "num_imgs=16", "seed=0")),
        Row(NAME, 0, (*ROTNET, "seed=0")),
        Row(NAME, 1, (*ROTNET, "seed=1")),
        Row("none", 0, (*ROTNET, "deg=0", "scale=null", "seed=0"), early=True),
    ]
    folder = tmp_path_factory.mktemp("study")
    text = json.dumps(OmegaConf.to_container(study, resolve=True))
    results = [make_row(RowTask(row, folder / ROWS / row.folder, text, 1)) for row in rows]
    report.write(folder, results[:3], results[3:], SAID, "The control <b>holds</b>.", MORE)
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
    (random, rotnet) = cells(text)
    assert random[0] == "random" and random[5] == "1" and rotnet[5] == "2"
    assert [row.split("|")[2:6] for row in (folder / "table.md").read_text().splitlines()[4:6]] == [
        [f" {cell} " for cell in row[1:5]] for row in (random, rotnet)
    ]
    of_random = [100 * float(one["accuracy"]) for one in scores if one["row"] == "random"]
    label = re.search(r'aria-label="(.*?)"', text)[1]
    for layer, value in zip(LAYERS, of_random, strict=True):
        assert f"{layer} {value:.4g}" in label.partition(";")[0]
    assert text.count('<circle class="run"') == 8  # of two seeds, each layer of each
    assert [row[0] for row in cells(section(page, "Augmentations of the one image"))] == ["none"]


def test_curves_have_a_line_a_seed_and_a_point_an_update(made, page):
    folder, results = made
    text = section(page, "Curves of the trainings")
    assert re.findall("<h3>(.*?)</h3>", text) == [
        "RotNet, &lt;script&gt;alert(1)&lt;/script&gt;", "none",
    ]  # fmt: skip
    first, _ = text.split("<h3>")[1:]
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
        "random, seed 0", "RotNet, &lt;script&gt;alert(1)&lt;/script&gt;, seed 0", "none, seed 0",
    ]  # fmt: skip
    assert text.count('<img src="data:image/webp;base64,') == 3


def test_findings_are_shown_as_they_are_given(page):
    text = section(page, "Findings")
    assert "The control &lt;b&gt;holds&lt;/b&gt;." in text
    assert [row[0] for row in cells(text)] == ["a", "z"]
    assert cells(text)[1] == ["z", SAID[1].said, "holds", "+3.0 ± 0.2"]


def test_what_was_not_run_is_named(page):
    items = re.findall("<li>(.*?)</li>", section(page, "What was not run"))
    assert items == ["supervised", "&lt;i&gt;none&lt;/i&gt;"]


def test_probes_before_the_end_have_a_table(page):
    rows = [row[0].rpartition(", ")[2] for row in cells(section(page, "Earlier in the trainings"))]
    assert rows == ["at 33%", "at 67%"]
    assert [len(row) for row in cells(section(page, "Earlier in the trainings"))] == [4, 4]


def test_each_run_has_a_line_with_its_learning_rates(made, page):
    _, results = made
    rows = cells(section(page, "Each run"))
    assert [row[1] for row in rows] == ["0", "0", "1", "0"]
    for row, one in zip(rows, results, strict=True):
        layers = one.score.layers
        assert row[2:6] == [f"{100 * layer.accuracy:.2f}" for layer in layers]
        assert row[6:10] == [f"{layer.lr:g}" for layer in layers]
        assert row[10] == f"{one.minutes:.1f}"


def test_it_says_how_to_run_it_again_and_with_what_it_was_made(made, page):
    assert (
        f"run.py -cp {made[0]} -cn config &#39;task.parts=[table]&#39; targetpath=elsewhere"
        in section(page, "The same again")
    )
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
    for one in record["rows"]:
        one["row"]["name"] = one["score"]["row"] = f"other {one['row']['name']}"
    place = made[0] / "some"
    place.mkdir(exist_ok=True)
    (place / "study.json").write_text(json.dumps(record))
    html = study_page(place).html()
    assert "other random" in section(html, "Rows")
    assert re.findall("<h3>(.*?)</h3>", html) == ["none"]  # found in the folder above


def test_a_record_that_cannot_be_read_is_a_sentence(tmp_path):
    (tmp_path / "study.json").write_text('{"rows": []}')
    with pytest.raises(UserError) as mistake:
        study_page(tmp_path)
    assert str(mistake.value) == (
        f"{tmp_path}/study.json cannot be read as the record of a study ('ablation'): type "
        "the command of the study again, which makes no row twice."
    )


def test_rows_of_other_parts_and_without_a_seed_are_left_out():
    budget = OmegaConf.to_container(singleimg.compose("task=study", "budget=smoke").budget)
    whole = [*table_rows(budget), *ablation_rows(budget)]
    assert left_out(whole, budget) == []
    assert left_out(table_rows(budget), budget)[:2] == ["none", "jitter"]
    none = {**budget, "bigan": {**budget["bigan"], "seeds": 0}}
    assert left_out([*table_rows(none), *ablation_rows(none)], none) == [
        "MonoGAN, one image", "MonoGAN, full set",
    ]  # fmt: skip
