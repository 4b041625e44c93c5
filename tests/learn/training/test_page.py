"""The page of a training: what its files hold, how to train the same again, and nobody's HTML."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import torch

from singleimg.errors import UserError
from singleimg.learn.training.checkpoints import load
from singleimg.learn.training.journal import read
from singleimg.learn.training.loop import Training
from singleimg.learn.training.page import called, flat, last_pictures
from singleimg.learn.training.trunk import load_record
from tests.browser import seen_by_everyone

ROTNET = ("task=pretrain", "network=cifar_conv4", "network.widths=[8,8,16,16]", "augment=paper",
          "img_size=32", "num_imgs=96", "method=rotnet", "method.batch_size=16", "method.lr=0.03",
          "task.tensorboard=false")  # fmt: skip

LAST = "checkpoints/last.pt"


@pytest.fixture(scope="module")
def image(picture: Path) -> str:
    """The source, as it is typed."""
    return f"imgpath={picture}"


@pytest.fixture(scope="module")
def whole(run, image, tmp_path_factory) -> Path:
    """A training of three epochs of six updates."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(*ROTNET, image, "method.epochs=3", "train.log_every=1", f"targetpath={folder}")
    return folder


def points_of(page: str, name: str) -> list[int]:
    """How many points each line of the chart of that name has."""
    found = re.search(rf'aria-label="Line chart: {name} by update\..*?</svg>', page, re.S)
    return [
        len(re.findall("[ML]", d)) for d in re.findall(r'class="curve d\d" d="(.*?)"', found[0])
    ]


def test_its_page_shows_what_its_files_hold(whole):
    page, record = (whole / "report.html").read_text(), load_record(whole)["decides"]
    updates, epochs = read(whole / "updates.csv"), read(whole / "epochs.csv")
    for name in ("loss", "pretext accuracy"):
        assert points_of(page, name) == [len(updates), len(epochs)] == [18, 3]
    assert points_of(page, "learning rate") == [18]
    assert f"to {updates[-1]['loss']:.4g} at update 18" in page
    assert f"<dd>{epochs[-1]['accuracy']:.4g}</dd>" in page
    for key, value in (("method.lr", 0.03), ("method.batch_size", 16), ("network.size", 32)):
        group, _, name = key.partition(".")
        assert record[group][name] == value
        assert re.search(rf"<td[^>]*>{key}</td><td[^>]*>{value}</td>", page)
    assert 'alt="Filters of the first convolution after epoch 3"' in page
    assert "Cut 1/1000 … all of it" in page and torch.__version__ in page
    seen_by_everyone(whole / "report.html")


def test_its_page_tells_how_to_train_the_same_again(run, whole, tmp_path):
    page = (whole / "report.html").read_text()
    assert f"run.py -cp {whole} -cn config targetpath=elsewhere" in page
    run("-cp", whole, "-cn", "config", f"targetpath={tmp_path / 'again'}")
    first, again = (load(folder / LAST)["method"] for folder in (whole, tmp_path / "again"))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_its_curves_are_whole_where_it_was_stopped_and_went_on(
    run, image, whole, tmp_path, monkeypatch
):
    command = (*ROTNET, image, "method.epochs=3", "train.log_every=1", "train.checkpoint_every=4",
               f"targetpath={tmp_path}")  # fmt: skip
    log = Training._log

    def log_and_stop(training: Training, metrics: dict[str, float]) -> None:
        log(training, metrics)
        if training.state.step == 10:  # after the checkpoint of update 8
            raise UserError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_log", log_and_stop)
        run(*command, code=1)
    assert len(read(tmp_path / "updates.csv")) == 10 and not (tmp_path / "report.html").exists()
    run(*command)
    charts = [
        re.findall(r'aria-label="Line chart: (?!images/s).*?</svg>', page, re.S)
        for page in ((folder / "report.html").read_text() for folder in (whole, tmp_path))
    ]
    assert charts[0] == charts[1] and len(charts[0]) == 4


def test_the_page_is_written_anew_and_knows_no_html_in_names(run, image, whole, tmp_path):
    folder = tmp_path / "<script>alert(1)<script>"
    shutil.copytree(whole, folder)
    (folder / "report.html").unlink()
    said = run("task=report", f"targetpath={folder}").stdout
    assert said == f"Report:  {folder}/report.html\n"
    page = (folder / "report.html").read_text()
    assert "<h1>&lt;script&gt;alert(1)&lt;script&gt;</h1>" in page
    assert page.count("<script>") == 1  # ours, which sorts tables
    shown = re.compile(r'<svg.*?</svg>|src="data:[^"]*"', re.S)
    assert shown.findall(page) == shown.findall((whole / "report.html").read_text())


def test_a_page_that_cannot_be_written_is_said_and_undoes_no_training(run, image, whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "run")
    (folder / "report.html").unlink()
    (folder / "report.html").mkdir()
    command = (*ROTNET, image, "method.epochs=3", f"targetpath={folder}")
    assert (
        f"The page is missing (targetpath={folder} cannot be written (Is a directory): type "
        "another targetpath, make room, or change its permissions): type task=report to write it.\n"
    ) in run(*command).stdout


def test_settings_are_dotted_keys_as_they_are_typed():
    nested = {"method": {"_target_": "rotnet", "lr": 0.1, "of": {"fc": True}}, "inputs": {"a": 1},
              "max_norm": None}  # fmt: skip
    assert flat(nested) == [("method.lr", "0.1"), ("method.of.fc", "true"), ("max_norm", "null")]


def test_a_choice_without_a_name_is_called_by_its_class():
    assert called({"_target_": "my_package.nets.Tiny"}) == "Tiny"
    assert called({"_target_": "rotnet", "name": "mine"}) == "mine"


def test_of_pictures_the_last_of_each_name_is_shown_the_filters_first(whole, tmp_path):
    shutil.copytree(whole / "pictures", tmp_path / "pictures")
    for name in ("a-b-0002", "a-b-0010"):
        shutil.copy(whole / "pictures" / "filters-0001.png", tmp_path / "pictures" / f"{name}.png")
    found = last_pictures(tmp_path)
    assert [(name, epoch) for name, (epoch, _) in found.items()] == [("filters", 3), ("a-b", 10)]


def test_a_folder_without_a_checkpoint_is_a_sentence(run, whole, tmp_path):
    shutil.copy(whole / "pretrain.json", tmp_path)
    assert run("task=report", f"targetpath={tmp_path}", code=1).stderr == (
        f"targetpath={tmp_path} holds a training that has no checkpoint yet: type the command "
        "that started it.\n"
    )
