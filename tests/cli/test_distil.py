"""``task=distil`` as a user types it: what it leaves, what it never looks at, what it refuses."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import singleimg
from singleimg.errors import UserError
from singleimg.learn.data import base, inputs
from singleimg.learn.distil import compare
from singleimg.learn.tasks import distil as task
from singleimg.learn.training import checkpoints
from singleimg.learn.training.loop import Training
from singleimg.learn.training.trunk import load_record
from tests.browser import seen_by_everyone

CLASSES = ("red", "green", "blue")
NETWORK = ("network=cifar_conv4", "network.widths=[8,8,16,16]", "img_size=32")
STUDENT = (*NETWORK, "augment=paper", "num_imgs=64", "method=distil", "method.batch_size=8",
           "method.updates=20", "task.tensorboard=false")  # fmt: skip


def classes(folder: Path, seed: int) -> Path:
    """Three classes, each a colour under noise: 24 images a class to train, 8 to test."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 24), ("test", 8)):
        for label, name in enumerate(CLASSES):
            place = folder / split / name
            place.mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 90, (32, 32, 3))
                pixels[..., label] += 150
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    """The labelled set."""
    return classes(tmp_path_factory.mktemp("sets") / "labelled", 0)


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> Path:
    """A picture of patches of all colours."""
    levels = np.random.default_rng(1).integers(0, 256, (12, 16, 3)).astype(np.uint8)
    file = tmp_path_factory.mktemp("photos") / "photo.png"
    Image.fromarray(levels).resize((320, 240), Image.Resampling.BICUBIC).save(file)
    return file


@pytest.fixture(scope="module")
def teacher(run, labelled, tmp_path_factory) -> Path:
    """A training with labels."""
    folder = tmp_path_factory.mktemp("trained") / "teacher"
    run(*NETWORK, "task=pretrain", "method=supervised", "method.updates=40", "method.batch_size=16",
        "task.tensorboard=false", *data(labelled), f"targetpath={folder}")  # fmt: skip
    return folder


def data(folder: Path) -> tuple[str, ...]:
    """A labelled set, as it is typed."""
    return "data=imagefolder", f"data.path={folder}"


@pytest.fixture(scope="module")
def command(teacher, photo, labelled) -> tuple[str, ...]:
    """A student of the photograph."""
    return ("task=distil", *STUDENT, f"imgpath={photo}", f"method.teacher={teacher}",
            *data(labelled))  # fmt: skip


@pytest.fixture(scope="module")
def whole(run, command, tmp_path_factory) -> Path:
    """The same, trained and tested, with the row of real images."""
    folder = tmp_path_factory.mktemp("students") / "whole"
    said = run(*command, "task.real=true", f"targetpath={folder}").stdout
    (folder / "said.txt").write_text(said)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Of a training, all that it learned."""
    return checkpoints.load(folder / "checkpoints" / "last.pt")["method"]


def same(first: Path, second: Path) -> bool:
    """Whether two trainings have the same weights, to the bit."""
    one, other = weights(first), weights(second)
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


# --- what it leaves ------------------------------------------------------------------------------


def test_it_prints_the_teacher_beside_the_student_and_the_real_images(whole):
    rows = json.loads((whole / "distil.json").read_text())["rows"]
    assert [row["name"] for row in rows] == ["teacher", "student", "student, real images"]
    assert [row["updates"] for row in rows] == [None, 20, 20]
    assert [row["images"] for row in rows[1:]] == ["64 of photo-paper", "72 of imagefolder"]
    assert rows[0]["accuracy"] > 0.9 and rows[0]["agreement"] == 1 and rows[0]["seconds"] > 0
    said = (whole / "said.txt").read_text()
    for row in rows:
        accuracy, agreement = (f"{100 * row[key]:.1f}" for key in ("accuracy", "agreement"))
        assert re.search(
            rf"\| {row['name']} \| .* \| {accuracy} \| {agreement} \|\n", said
        )  # fmt: skip
    assert said.endswith(f"Report:  {whole}/report.html\n")


def test_its_figures_are_those_of_the_checkpoints_on_the_test_images(whole, teacher, labelled):
    """Computed once more, another way."""
    files = [(file, label) for label, name in enumerate(sorted(CLASSES))
             for file in sorted((labelled / "test" / name).iterdir())]  # fmt: skip
    images = torch.stack([
        torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) / 255 for file, _ in files
    ])  # fmt: skip
    labels = torch.tensor([label for _, label in files])
    said = []
    for folder in (teacher, whole, whole / "real"):
        method = singleimg.learn.training.trunk.load_method(folder)[0]
        with torch.no_grad():
            said.append(method(images).argmax(1))
    found = [(row["accuracy"], row["agreement"])
             for row in json.loads((whole / "distil.json").read_text())["rows"]]  # fmt: skip
    assert found == [((one == labels).double().mean().item(), (one == said[0]).double().mean()
                      .item()) for one in said]  # fmt: skip


def test_its_page_says_through_what_the_labelled_set_reached_it(run, whole):
    page = (whole / "report.html").read_text()
    assert (
        "No image and no label of imagefolder reached the student but through its teacher, which "
        "was trained with labels: the student saw the images that are described below, and the "
        "scores that the teacher gives them."
    ) in page
    assert "The 24 test images of imagefolder were read once, after the training." in page
    assert "The row of real images is a student with the same settings" in page
    assert "Line chart: agreement by update" in page and "Cut 1/1000 … all of it" in page
    seen_by_everyone(whole / "report.html")
    run("task=report", f"targetpath={whole}")
    assert (whole / "report.html").read_text() == page
    assert "reached the student" not in (whole / "real" / "report.html").read_text()


def test_its_record_knows_the_teacher_by_its_weights(whole, teacher):
    decides = load_record(whole)["decides"]
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", decides["method"]["teacher"])
    assert decides["classes"] == 3 and str(teacher) not in json.dumps(decides)


def test_what_it_has_learned_is_loaded_without_the_teacher(whole):
    trunk = singleimg.load_trunk(whole)
    assert trunk(torch.rand(2, 3, 32, 32)).shape == (2, 144)


def test_its_configuration_makes_it_again(run, whole, command, tmp_path):
    run(*command, f"targetpath={tmp_path / 'one'}")
    run("-cp", tmp_path / "one", "-cn", "config", f"targetpath={tmp_path / 'again'}")
    assert same(tmp_path / "one", tmp_path / "again") and same(tmp_path / "one", whole)
    found = [compare.read(tmp_path / name).rows for name in ("one", "again")]
    assert [row.accuracy for row in found[0]] == [row.accuracy for row in found[1]]


def test_a_sweep_compares_the_accuracy(command, tmp_path):
    value = task.distil(singleimg.compose(*command, f"targetpath={tmp_path}"))
    assert value == compare.read(tmp_path).rows[1].accuracy


def test_pretrain_trains_a_student_too_and_tests_nothing(run, command, whole, tmp_path):
    typed = [one for one in command if not one.startswith(("task=", "data"))]
    run("task=pretrain", *typed, f"targetpath={tmp_path}")
    assert same(tmp_path, whole) and not (tmp_path / "distil.json").exists()


# --- nothing leaks -------------------------------------------------------------------------------


@pytest.fixture
def opened(monkeypatch) -> Iterator[list[Path]]:
    """The files of pictures that this process opens."""
    names: list[Path] = []
    original = Image.open

    def noted(file, *more, **settings):
        names.append(Path(getattr(file, "name", file)))
        return original(file, *more, **settings)

    monkeypatch.setattr(Image, "open", noted)
    return names


def test_no_image_and_no_label_is_read_before_the_training_is_over(
    run, command, teacher, tmp_path, monkeypatch, opened
):
    """The training images of this set are no pictures; each test image is opened once."""
    folder = classes(tmp_path / "labelled", 5)
    for file in (folder / "train").rglob("*.png"):
        file.write_bytes(b"whoever reads this gets no picture")
    train, trained, labels = task.train, [], []
    monkeypatch.setattr(task, "train", lambda one: (train(one), trained.append(set(opened)))[0])
    for module in (base, inputs, compare):
        monkeypatch.setattr(module, "targets", lambda images: labels.append(len(trained)) or
                            [label for _, label in images.samples])  # fmt: skip
    typed = [one for one in command if not one.startswith("data")]
    run(*typed, *data(folder), f"targetpath={tmp_path / 'run'}")
    assert len(trained) == 1 and not any(folder in file.parents for file in trained[0])
    tested = [file for file in opened if folder in file.parents]
    assert sorted(tested) == sorted((folder / "test").rglob("*.png"))
    assert labels and set(labels) == {1}  # asked for when the training was over


def test_whatever_the_labelled_set_holds_the_student_is_the_same(run, command, whole, tmp_path):
    other = classes(tmp_path / "other", 7)
    (other / "test" / "red").rename(other / "test" / "amber")
    (other / "train" / "red").rename(other / "train" / "amber")
    typed = [one for one in command if not one.startswith("data")]
    run(*typed, *data(other), f"targetpath={tmp_path / 'run'}")
    assert same(tmp_path / "run", whole)


def test_the_test_images_are_read_once(run, command, tmp_path, opened):
    for _ in range(2):
        run(*command, f"targetpath={tmp_path}")
    assert len([file for file in opened if "test" in file.parts]) == 24


# --- how it goes on ------------------------------------------------------------------------------


def test_a_teacher_that_was_moved_is_the_same(run, command, teacher, whole, tmp_path, monkeypatch):
    typed = [one for one in command if not one.startswith("method.teacher")]
    log = Training._log

    def log_and_stop(training: Training, metrics: dict[str, float]) -> None:
        log(training, metrics)
        if training.state.step == 12:  # after the checkpoint of update 10
            raise UserError("stopped")

    more = ("train.log_every=1", "train.checkpoint_every=5", f"targetpath={tmp_path / 'run'}")
    with monkeypatch.context() as patch:
        patch.setattr(Training, "_log", log_and_stop)
        run(*typed, f"method.teacher={teacher}", *more, code=1)
    moved = shutil.copytree(teacher, tmp_path / "elsewhere")
    said = run(*typed, f"method.teacher={moved}", *more).stdout
    assert "Resumes after update 10." in said and same(tmp_path / "run", whole)


def test_another_teacher_is_another_training(run, command, teacher, whole, labelled, tmp_path):
    other = tmp_path / "other"
    run(*NETWORK, "task=pretrain", "method=supervised", "method.updates=1", "method.batch_size=16",
        "task.tensorboard=false", *data(labelled), f"targetpath={other}")  # fmt: skip
    typed = [one for one in command if not one.startswith("method.teacher")]
    shutil.copytree(whole, tmp_path / "run")
    said = run(*typed, f"method.teacher={other}", f"targetpath={tmp_path / 'run'}", code=1).stderr
    before = load_record(whole)["decides"]["method"]["teacher"]
    assert re.fullmatch(
        rf"targetpath={tmp_path / 'run'} holds another training \(method.teacher: {before} → "
        r"sha256:[0-9a-f]{64}\): type another targetpath, task.resume=never to replace it, or the "
        r"old values\.\n", said
    )  # fmt: skip


def test_what_was_said_of_a_training_before_is_on_no_page(run, command, whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    typed = [one for one in command if not one.startswith(("task=", "data"))]
    run("task=pretrain", *typed, "method.updates=5", "task.resume=never",
        f"targetpath={tmp_path / 'run'}")  # fmt: skip
    run("task=report", f"targetpath={tmp_path / 'run'}")
    assert "reached the student" not in (tmp_path / "run" / "report.html").read_text()


# --- what it refuses -----------------------------------------------------------------------------


REFUSED = {
    "data is missing: type for example data=cifar10 data.path=….": (
        "data", ()),
    "method.teacher is missing: type method.teacher=….": ("method.teacher", ()),
    "task=distil trains a student of a teacher, and method=supervised has none: type method=distil "
    "method.teacher=<the folder of a training>.": (
        "method", ("method=supervised",)),
    "method is missing: type for example method=rotnet.": ("method", ()),
    "method.temperature=0 is not a number over 0: type for example method.temperature=1.": (
        "", ("method.temperature=0",)),
    "train.devices=2 with train.num_nodes=1 is not the one device that task=distil uses: type "
    "train.devices=1, or for the fourth GPU 'train.devices=[3]'.": ("", ("train.devices=2",)),
    "probe.epochs=3 has no effect, since task=distil does not read it: leave it out.": (
        "", ("probe.epochs=3",)),
    "task.dataset is a key of task=pretrain: type that too, or leave it out.": (
        "", ("task.dataset=/nowhere",)),
}  # fmt: skip


@pytest.mark.parametrize("sentence", REFUSED)
def test_a_mistake_is_one_sentence(command, tmp_path, sentence):
    without, more = REFUSED[sentence]
    kept = [one for one in command if not (without and one.startswith(without))]
    with pytest.raises(UserError) as mistake:
        task.distil(singleimg.compose(*kept, *more, f"targetpath={tmp_path / 'run'}"))
    assert str(mistake.value) == sentence
    assert not (tmp_path / "run").exists()


def test_a_teacher_of_other_classes_is_refused(run, command, teacher, labelled, tmp_path):
    two = shutil.copytree(labelled, tmp_path / "two")
    for split in ("train", "test"):
        shutil.rmtree(two / split / "blue")
    typed = [one for one in command if not one.startswith("data")]
    said = run(*typed, *data(two), f"targetpath={tmp_path / 'run'}", code=1).stderr
    assert said == (
        f"method.teacher={teacher} tells 3 classes apart, and data=imagefolder has 2: type a "
        "teacher that was trained on its classes.\n"
    )
    assert not (tmp_path / "run").exists()


def test_a_result_that_cannot_be_read_is_named(run, command, whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "run")
    (folder / "distil.json").write_text("{}")
    said = run(*command, f"targetpath={folder}", code=1).stderr
    assert said == (
        f"{folder / 'distil.json'} cannot be read ('rows'): remove it, and type the command that "
        "wrote it again.\n"
    )
