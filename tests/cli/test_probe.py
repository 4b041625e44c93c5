"""``task=probe`` and ``task=shortcut`` as a user types them."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.browser import seen_by_everyone

SMALL = ("task=pretrain", "network=cifar_conv4", "augment=paper", "img_size=32", "num_imgs=64",
         "method=rotnet", "method.batch_size=16", "method.updates=2")  # fmt: skip


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    """Ten classes, each a colour of its own under noise: 40 images a class to train, 5 to test."""
    folder = tmp_path_factory.mktemp("labelled")
    random = np.random.default_rng(0)
    for split, count in (("train", 40), ("test", 5)):
        for label in range(10):
            place = folder / split / f"class{label}"
            place.mkdir(parents=True)
            for number in range(count):
                colour = np.array([label * 25, 250 - label * 25, label % 3 * 100])
                pixels = colour + random.normal(0, 20, (32, 32, 3))
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def trained(run, picture, tmp_path_factory) -> list[Path]:
    """Two trainings that differ in their seed."""
    folders = [tmp_path_factory.mktemp("trained") / str(seed) for seed in (0, 1)]
    for seed, folder in enumerate(folders):
        run(*SMALL, f"imgpath={picture}", f"seed={seed}", f"targetpath={folder}")
    return folders


def data(folder: Path) -> tuple[str, ...]:
    """The labelled set, as it is typed."""
    return "data=imagefolder", f"data.path={folder}"


def test_it_leaves_scores_a_table_and_a_page_beside_the_checkpoint(run, trained, labelled):
    said = run(
        "task=probe",
        f"task.checkpoint={trained[0]}",
        *data(labelled),
        "probe.epochs=3",
        "probe.updates=0",
    ).stdout
    assert "| conv1 | conv2 | conv3 | conv4 | seeds |" in said
    (page,) = (trained[0] / "probes").glob("*.html")
    (scores,) = json.loads(page.with_suffix(".json").read_text())
    before = page.read_bytes()
    run("-cp", page.parent, "-cn", page.stem)  # as the page says
    assert page.read_bytes() == before
    assert [layer["layer"] for layer in scores["layers"]] == [1, 2, 3, 4]
    assert all(layer["accuracy"] > 0.5 for layer in scores["layers"][:2])  # colours are easy
    with page.with_suffix(".csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 4
    run("-m", "task=probe", f"task.checkpoint={trained[0]}", *data(labelled), "probe.epochs=3",
        "probe.updates=0", "task.layer=conv2,conv1",
        f"hydra.sweep.dir={page.parent}/sweep")  # fmt: skip
    with (page.parent / "sweep" / "sweep.csv").open() as stream:
        values = [float(row["value"]) for row in csv.DictReader(stream)]
    assert values == [scores["layers"][k]["accuracy"] for k in (1, 0)]


def test_evaluate_gives_what_a_pretraining_and_its_probe_give(
    run, trained, labelled, picture, tmp_path
):
    probed = (*data(labelled), "probe.epochs=3", "probe.updates=0")
    run("-m", "task=evaluate", *SMALL[1:], f"imgpath={picture}", *probed, "seed=0,1",
        "task.layer=conv2", f"targetpath={tmp_path}/all", f"hydra.sweep.dir={tmp_path}/sweep",
    )  # fmt: skip
    with (tmp_path / "sweep" / "sweep.csv").open() as stream:
        values = [float(row["value"]) for row in csv.DictReader(stream)]
    assert len(list(tmp_path.glob("all/*/report.html"))) == 2
    assert len(list(tmp_path.glob("all/*/probes/*.html"))) == 2
    for seed, folder in enumerate(trained):
        place = tmp_path / str(seed)
        run("task=probe", f"task.checkpoint={folder}", *probed, f"seed={seed}",
            f"targetpath={place}")  # fmt: skip
        (scores,) = json.loads(next(place.glob("*.json")).read_text())
        assert values[seed] == scores["layers"][1]["accuracy"]


def test_evaluate_says_before_it_trains_what_it_cannot_give(run, labelled, picture, tmp_path):
    typed = ("task=evaluate", *SMALL[1:], f"imgpath={picture}", f"targetpath={tmp_path}/run")
    assert run(*typed, code=1).stderr.splitlines()[-1] == (
        "data is missing: type for example data=cifar10 data.path=…."
    )
    assert run(*typed, *data(labelled), "task.layer=conv5", code=1).stderr.splitlines()[-1] == (
        "task.layer=conv5 is not a layer of the network: type one from conv1 to conv4."
    )
    assert not (tmp_path / "run").exists()


def test_several_runs_that_differ_in_their_seed_are_one_row(run, trained, labelled, tmp_path):
    both = f"task.checkpoint=[{trained[0]},{trained[1]}]"
    command = (
        "task=probe",
        both,
        *data(labelled),
        "probe.epochs=3",
        "probe.updates=0",
        f"targetpath={tmp_path}",
    )
    said = run(*command).stdout
    (row,) = [line for line in said.splitlines() if line.startswith("| rotnet")]
    assert row.count("±") == 4 and row.endswith("| 2 |")
    assert "probes after" not in run(*command).stdout  # what was probed is not probed again
    (file,) = tmp_path.glob("*.html")
    page, scores = file.read_text(), json.loads(file.with_suffix(".json").read_text())
    assert f"Report:  {file}\n" in said
    cells = [cell.strip() for cell in row.split("|")[2:6]]
    assert (
        re.findall(r'<td class="number" data-value="[\d.]+">([\d.]+ ± [\d.]+)</td>', page) == cells
    )
    for score in scores:
        for layer in score["layers"]:
            for number in (layer["accuracy"], layer["validation"], layer["lr"]):
                assert f'data-value="{number}"' in page
    assert [str(folder / "checkpoints" / "last.pt") in page for folder in trained] == [True, True]
    assert page.count('<path class="error"') == 1 and page.count('<circle class="run"') == 8
    seen_by_everyone(file)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "task.checkpoint is missing: type task.checkpoint=<folder of a task=pretrain>"),
        (("task.checkpoint=/nowhere",), "/nowhere holds no training: type the folder of a task"),
        (("task.checkpoint={trained}",),
         "data is missing: type for example data=cifar10 data.path"),
        (("task.checkpoint={trained}", "data=cifar10"),
         "data.path is missing: type data.path=….\n"),
        (("task.checkpoint={trained}", "data=imagefolder", "data.path=/nowhere"),
         "data.path=/nowhere holds no folder train: type a folder that holds"),
        (("task.checkpoint={trained}", "data=cifar10", "data.path=/nowhere"),
         "data.path=/nowhere cannot be read as data=cifar10"),
        (("task.checkpoint={trained}", "num_imgs=5"),
         "num_imgs=5 has no effect, since task=probe does not read it"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(run, trained, arguments, sentence):
    typed = [one.format(trained=trained[0]) for one in arguments]
    result = run("task=probe", *typed, code=1)
    assert sentence in result.stderr and result.stderr.count("\n") == 1


def test_nearest_neighbours_are_asked_in_place_of_a_classifier(run, trained, labelled, tmp_path):
    said = run("task=probe", f"task.checkpoint={trained[0]}", *data(labelled), "probe=knn",
               "probe.k=3", f"targetpath={tmp_path}").stdout  # fmt: skip
    assert "| conv1 | conv2 | conv3 | conv4 | seeds |" in said
    (page,), (file,) = tmp_path.glob("*.html"), tmp_path.glob("*.json")
    (scores,) = json.loads(file.read_text())
    assert all(layer["lr"] is None and layer["accuracy"] > 0.5 for layer in scores["layers"][:2])
    assert ">knn<" in page.read_text()


def test_the_control_prints_its_two_figures(run, picture, tmp_path):
    said = run("task=shortcut", "augment=weak", f"imgpath={picture}", "shortcut.updates=2",
               "shortcut.images=40", "shortcut.tested=20", "shortcut.sources=1",
               "shortcut.tested_sources=1").stdout  # fmt: skip
    assert "Null control, augment=weak: on noise RotNet tells" in said
    assert "(chance 25, at most 28)" in said and "(chance 50, at most 54)" in said
    table = run("-m", "task=shortcut", "augment=weak", f"imgpath={picture}", "shortcut.updates=2",
                "shortcut.images=40", "shortcut.tested=20", "shortcut.sources=1", "seed=1",
                "shortcut.tested_sources=1", f"hydra.sweep.dir={tmp_path}").stdout  # fmt: skip
    found = re.search(r"tells ([\d.]+) % of rot.*^1 .*done +([\d.]+)", table, re.M | re.S)
    said, value = map(float, found.groups())
    assert said == pytest.approx(100 * value, abs=0.06)
