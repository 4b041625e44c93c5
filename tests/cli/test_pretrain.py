"""``task=pretrain`` as a user types it: what it leaves, how it goes on, what it refuses."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import singleimg
from singleimg.errors import UserError
from singleimg.learn.training.journal import read
from singleimg.learn.training.loop import Training
from singleimg.learn.training.run import describe_run, train
from singleimg.learn.training.trunk import load_record
from tests.conftest import ROOT

SMALL = ("task=pretrain", "network=cifar_conv4", "augment=paper", "img_size=32", "num_imgs=96")
ROTNET = (*SMALL, "method=rotnet", "method.batch_size=16", "method.lr=0.03")
BARE = ("task=pretrain", "network=cifar_conv4", "method=rotnet")  # no word of images
FOLDERS = ("data=imagefolder", "data.path=/nowhere")


@pytest.fixture(scope="module")
def image(picture: Path) -> str:
    """The source, as it is typed."""
    return f"imgpath={picture}"


def state(folder: Path, name: str = "last.pt") -> dict:
    """A checkpoint."""
    return torch.load(folder / "checkpoints" / name, weights_only=True)


def same(first: object, second: object) -> bool:
    """Whether two trees of tensors and values are equal."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second


@pytest.fixture(scope="module")
def whole(run, image, tmp_path_factory) -> Path:
    """A training that nobody disturbed, of three epochs of six updates."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(*ROTNET, image, "method.epochs=3", "train.log_every=1", "task.keep=[0.5]",
        f"targetpath={folder}")  # fmt: skip
    return folder


def test_it_leaves_checkpoints_curves_pictures_and_what_it_was_run_with(whole):
    names = {str(file.relative_to(whole)) for file in whole.rglob("*") if file.is_file()}
    assert {"checkpoints/last.pt", "checkpoints/best.pt", "checkpoints/at-50.pt", "config.yaml",
            "pretrain.json", "run.log", "updates.csv", "epochs.csv",
            "pictures/filters-0003.png"} <= names  # fmt: skip
    assert any(name.startswith("tensorboard/events") for name in names)
    log = (whole / "run.log").read_text()
    assert "Command: python run.py task=pretrain " in log and f"torch {torch.__version__}" in log
    assert [row["step"] for row in read(whole / "updates.csv")] == list(range(1, 19))
    assert [row["epoch"] for row in read(whole / "epochs.csv")] == [1, 2, 3]
    assert state(whole)["step"] == 18 and state(whole, "at-50.pt")["step"] == 9


def test_a_signal_stops_it_in_good_order(image, tmp_path):
    command = [*ROTNET, image, "method.updates=5000", "train.log_every=1",
               "train.checkpoint_every=1", "task.tensorboard=false"]  # fmt: skip
    process = kill_at(command, tmp_path / "run", 5, signal.SIGTERM)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 143
    assert "Stopped: type the same command again to resume from the last checkpoint." in said
    assert state(tmp_path / "run")["step"] >= 4
    assert not (tmp_path / "run" / ".lock").exists()


IN_THE_MIDDLE = """
import os, runpy, signal, sys, torch

save = torch.save

class Stream:
    def __init__(self, stream):
        self.stream, self.flush = stream, stream.flush

    def write(self, data):
        os.kill(os.getpid(), signal.SIGTERM)
        return self.stream.write(data)

torch.save = lambda state, stream: save(state, Stream(stream))
sys.argv[0] = "run.py"
runpy.run_path("run.py", run_name="__main__")
"""


def test_a_signal_in_the_middle_of_a_checkpoint_is_no_full_disk(image, tmp_path):
    command = [*ROTNET, image, "method.updates=50", "train.checkpoint_every=2",
               "task.tensorboard=false", f"targetpath={tmp_path / 'run'}"]  # fmt: skip
    stopped = subprocess.run(
        [sys.executable, "-c", IN_THE_MIDDLE, *command],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert stopped.returncode == 143, stopped.stderr
    said = stopped.stdout.splitlines()
    assert said[-1] == "Stopped: type the same command again to resume from the last checkpoint."
    assert "make room" not in stopped.stderr
    assert state(tmp_path / "run")["step"] == 2


def test_no_updates_leave_the_first_weights(run, image, tmp_path):
    run(*ROTNET, image, "method.epochs=0", f"targetpath={tmp_path / 'run'}")
    assert state(tmp_path / "run")["step"] == 0
    assert "Line chart" not in (tmp_path / "run" / "report.html").read_text()


def test_the_best_checkpoint_is_that_of_the_lowest_loss(whole):
    losses = [row["loss"] for row in read(whole / "epochs.csv")]
    assert state(whole, "best.pt")["epochs"] == 1 + losses.index(min(losses))


def test_the_same_command_on_a_finished_training_changes_nothing(run, image, whole):
    before = (whole / "checkpoints" / "last.pt").read_bytes()
    run(*ROTNET, image, "method.epochs=3", f"targetpath={whole}")
    assert (whole / "checkpoints" / "last.pt").read_bytes() == before


SETTINGS = {
    "rotnet": ["method.batch_size=16"],
    "deepcluster": ["method.batch_size=16", "method.k=4"],
    "bigan": ["method.batch_size=8", "method.loss=wgan_gp", "method.generated_size=32",
              "method.critic_steps=2", "method.width=8", "method.hidden=16"],
}  # fmt: skip


def twenty_updates(method: str, image: str) -> list[str]:
    """A short training, whose checkpoint is written after each update."""
    return [*SMALL, image, f"method={method}", *SETTINGS[method], "method.updates=20",
            "train.log_every=1", "train.checkpoint_every=1", "task.tensorboard=false"]  # fmt: skip


def assert_same_training(whole: Path, resumed: Path) -> None:
    """In its checkpoint and in its curve."""
    first, second = state(whole), state(resumed)
    for part in ("method", "optimizers", "step", "epochs", "best", "metrics", "random"):
        assert same(first[part], second[part]), part
    curves = [read(folder / "updates.csv") for folder in (whole, resumed)]
    for curve in curves:
        for row in curve:
            row.pop("images_per_second")
    assert curves[0] == curves[1]


def test_after_kill_9_it_goes_on_as_if_nothing_had_happened(run, image, tmp_path):
    command = twenty_updates("rotnet", image)
    run(*command, f"targetpath={tmp_path / 'whole'}")
    killed = tmp_path / "killed"
    kill_at(command, killed, 8, signal.SIGKILL).wait()
    assert 0 < state(killed)["step"] < 20
    run(*command, f"targetpath={killed}")
    assert_same_training(tmp_path / "whole", killed)


@pytest.mark.parametrize("method", SETTINGS)
def test_stopped_between_two_updates_it_goes_on_as_if_nothing_had_happened(
    run, image, tmp_path, monkeypatch, method
):
    """Each method's own state; after its ninth update, whose checkpoint is not written yet."""
    command = twenty_updates(method, image)
    run(*command, f"targetpath={tmp_path / 'whole'}")

    log = Training._log

    def log_and_stop(training: Training, metrics: dict[str, float]) -> None:
        log(training, metrics)
        if training.state.step == 9:
            raise UserError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(Training, "_log", log_and_stop)
        run(*command, f"targetpath={tmp_path / 'stopped'}", code=1)
    assert state(tmp_path / "stopped")["step"] == 8
    run(*command, f"targetpath={tmp_path / 'stopped'}")
    assert_same_training(tmp_path / "whole", tmp_path / "stopped")


def kill_at(
    command: list[str], folder: Path, update: int, number: signal.Signals
) -> subprocess.Popen:
    """Starts a training and sends it a signal once so many updates are written down."""
    process = subprocess.Popen(
        [sys.executable, "run.py", *command, f"targetpath={folder}"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    curve = folder / "updates.csv"
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        if curve.exists() and curve.read_text().count("\n") > update:
            break
        time.sleep(0.002)
    os.killpg(process.pid, number)
    return process


def test_a_stored_dataset_trains_the_same_weights_as_rendering(run, image, whole, tmp_path):
    run(*SMALL[2:], image, "encode=png", f"targetpath={tmp_path / 'images'}")
    run("task=pretrain", "network=cifar_conv4", "method=rotnet", "method.batch_size=16",
        "method.lr=0.03", "method.epochs=3", f"task.dataset={tmp_path / 'images'}",
        f"targetpath={tmp_path / 'run'}")  # fmt: skip
    assert same(state(whole)["method"], state(tmp_path / "run")["method"])


@pytest.mark.slow
def test_two_processes_share_batches_agree_on_the_best_epoch_and_go_on(
    run, run_process, image, tmp_path
):
    """At this learning rate their losses go up and down, and each by itself."""
    command = [*ROTNET, image, "method.lr=1e-6", "method.updates=26", "train.log_every=1",
               "train.devices=2", "train.accelerator=cpu", "task.tensorboard=false",
               "task.keep=[0.5]"]  # fmt: skip
    run_process(*dict.fromkeys(command), f"targetpath={tmp_path / 'whole'}")
    resumed = tmp_path / "resumed" / "checkpoints" / "last.pt"
    resumed.parent.mkdir(parents=True)
    shutil.copy(tmp_path / "whole" / "checkpoints" / "at-50.pt", resumed)
    run_process(*command, f"targetpath={tmp_path / 'resumed'}")
    first, second = state(tmp_path / "whole"), state(tmp_path / "resumed")
    for part in ("method", "optimizers", "best", "metrics", "random"):
        assert same(first[part], second[part]), part
    assert len(first["random"]) == 2 and first["step"] == 26
    run(*command, "method.updates=2", "train.devices=1", f"targetpath={tmp_path / 'one'}")
    one, two = (read(tmp_path / name / "updates.csv") for name in ("one", "whole"))
    # Each BatchNorm sees half of the images, and each half is augmented by itself.
    assert two[0]["loss"] == pytest.approx(one[0]["loss"], abs=0.5)


def test_it_says_what_it_is_about_to_do_and_by_the_first_updates_how_long_it_takes(
    run, image, tmp_path, monkeypatch
):
    monkeypatch.setattr("singleimg.learn.training.loop._MEASURED", 0)
    command = [*ROTNET, image, "method.updates=9", "train.max_norm=3", "task.tensorboard=false"]
    lines = run(*command, f"targetpath={tmp_path / 'run'}").stdout.splitlines()
    assert lines[:2] == [
        "rotnet on 96 images of 32 px (my-picture-paper): 9 updates of 16 images, 1.5 epochs, into "
        f"{tmp_path / 'run'}.",
        "The images are made once, and take 295 kB of memory.",
    ]
    said = (
        r"The first 2 updates say: about \d+ s for the 7 that are left; this process takes "
        r"[\d.]+ [MG]B of memory."
    )
    assert re.fullmatch(said, lines[2])
    lines = run(*command, "train.memory=0.0001", f"targetpath={tmp_path / 'run2'}").stdout
    assert ("The images are made again in every epoch: as pixels they are 295 kB, and "
            "train.memory=0.0001 keeps sets of up to 100 kB.\n") in lines  # fmt: skip


def test_black_corners_are_trained_on_who_insists(run, image, tmp_path):
    script = [*ROTNET, image, "augment=script", "method.updates=1", "task.insist=true"]
    run(*dict.fromkeys(script), f"targetpath={tmp_path / 'run'}")


@pytest.mark.parametrize(
    "typed, images",
    [
        (["task=pretrain"], 10_000),
        (["task=pretrain", "num_imgs=1M"], 1_000_000),
        (["experiment=pretrain_mono_a"], 1_281_167),
        (["task=generate"], 1_281_167),
    ],
)
def test_where_no_number_of_images_is_typed_it_takes_few(typed, images):
    assert singleimg.compose(*typed).num_imgs == images


@pytest.mark.slow
def test_another_number_of_devices_is_said_and_recorded(run, run_process, image, tmp_path):
    folder = tmp_path / "run"
    command = [*ROTNET, image, "method.updates=4", "train.accelerator=cpu", "task.keep=[0.5]",
               "task.tensorboard=false", f"targetpath={folder}"]  # fmt: skip
    begun = {"from_update": 0, "accelerator": "cpu", "devices": 1, "machines": 1}
    run(*command)
    assert load_record(folder)["trained_on"] == [begun]
    shutil.copy(folder / "checkpoints" / "at-50.pt", folder / "checkpoints" / "last.pt")
    said = run_process(*command, "train.devices=2").stdout
    line = (
        "This training was started on 1 device (cpu) and resumes on 2 devices (cpu) from update 3: "
        "its weights differ from those of a training on the first alone; pretrain.json records it."
    )
    assert said.count(line) == 1
    assert line in (folder / "run.log").read_text()
    both = [begun, {**begun, "from_update": 2, "devices": 2}]
    assert load_record(folder)["trained_on"] == both
    assert line not in run(*command).stdout  # it is whole, and nothing is trained
    assert load_record(folder)["trained_on"] == both


REFUSED = {
    "method is missing: type for example method=rotnet.": SMALL,
    "network is missing: type for example network=cifar_conv4.": (
        "task=pretrain", "method=rotnet", "img_size=32"),
    "since from 45° on they may be nearer to the next quarter turn than to their own: type deg=35 "
    "or another number below 45, or augment=paper.": (*ROTNET, "deg=45"),
    "since a flipped image looks like a rotated one in a mirror: type vflip=false, or "
    "augment=paper.": (
        *ROTNET, "augment=script", "vflip=true"),
    "method=rotnet would recognise the rotations of these images by the black corners that "
    "rotation and shear leave, not by what they show: type augment=paper or corners=image (also "
    "for the dataset of task.dataset), or task.insist=true to train anyway.": (
        *ROTNET, "augment=script"),
    "method.k=97 is not a number of clusters from 2 to 96, the number of images: type for example "
    "method.k=2, or a larger num_imgs.": (
        *SMALL, "method=deepcluster", "method.k=97", "method.batch_size=16"),
    "method.batch_size=97 is too large for 96 images: type method.batch_size=96 or less, or a "
    "larger num_imgs.": (*SMALL, "method=rotnet", "method.batch_size=97"),
    "method.crop=cut is not one of centre, placed, padded, resized": (*ROTNET, "method.crop=cut"),
    "method: rotnet has no argument": (*ROTNET, "+method.epoch=3"),
    "img_size=16 is smaller than the 32 px that network=cifar_conv4 needs: type img_size=32 or "
    "more.": (*ROTNET, "img_size=16"),
    "img_size=64 is not the 32 px of network=cifar_conv4, which method.crop=padded needs: type "
    "img_size=32, or method.crop=resized.": (*ROTNET, "img_size=64"),
    "method=supervised learns from labels, and these images have none": (
        *SMALL, "method=supervised"),
    "task.keep=[2.0] holds 2, which is not a fraction over 0 and up to 1": (
        *ROTNET, "task.keep=[2]"),
    "task.resume=maybe is not one of auto, never: type for example task.resume=auto.": (
        *ROTNET, "task.resume=maybe"),
    "train.precision=16 is not one of 32-true, bf16-mixed": (*ROTNET, "train.precision=16"),
    "train.accelerator=tpu9": (*ROTNET, "train.accelerator=tpu9"),
    "network.widths=[1] is not a list of 4, one for each convolution": (
        *ROTNET, "network.widths=[1]"),
    "/nowhere holds no dataset: give the targetpath of a run.": (*BARE, "task.dataset=/nowhere"),
    "data.path=/nowhere holds no folder train": (*BARE, *FOLDERS, "data.path=/nowhere"),
    "num_imgs=9 has no effect with data, whose images are taken as they are: leave num_imgs or "
    "data out.": (*BARE, *FOLDERS, "num_imgs=9"),
    "deg=20 has no effect with task.dataset, whose images are taken as they are: leave deg or "
    "task.dataset out.": (*BARE, "task.dataset=/nowhere", "deg=20"),
    "task.images=9 takes a part of task.dataset=… or data=…, and these images are rendered: type "
    "num_imgs=9.": (*ROTNET, "task.images=9"),
    "targetpath=s3://bucket/run is behind a URL, and checkpoints are files of this machine: type a "
    "folder.": ("targetpath=s3://bucket/run", *ROTNET),
}  # fmt: skip


@pytest.mark.parametrize("sentence", REFUSED)
def test_a_mistake_is_one_sentence(image, tmp_path, sentence):
    """Found while the run is described, which writes nothing; ``run.py`` prints it."""
    rendered = not any(text.startswith(("data", "task.dataset")) for text in REFUSED[sentence])
    arguments = (f"targetpath={tmp_path / 'run'}", *REFUSED[sentence], *[image] * rendered)
    with pytest.raises(UserError) as mistake:
        run_ = describe_run(singleimg.compose(*dict.fromkeys(arguments)))
        train(run_)
    assert sentence in str(mistake.value) and "\n" not in str(mistake.value)
    assert not (tmp_path / "run").exists()


def test_it_is_printed_as_one_line_and_the_status_says_so(run, image, tmp_path):
    result = run(*ROTNET, image, "deg=60", f"targetpath={tmp_path / 'run'}", code=1)
    assert result.stderr == (
        "method=rotnet cannot learn from images that are rotated by up to 60°, since from 45° on "
        "they may be nearer to the next quarter turn than to their own: type deg=35 or another "
        "number below 45, or augment=paper.\n"
    )
    assert not (tmp_path / "run").exists()


def test_another_training_in_the_same_folder_is_refused(run, image, whole):
    result = run(*ROTNET, image, "method.epochs=3", "method.lr=0.1", f"targetpath={whole}", code=1)
    assert result.stderr == (
        f"targetpath={whole} holds another training (method.lr: 0.03 → 0.1): type another "
        "targetpath, task.resume=never to replace it, or the old values.\n"
    )


def test_a_training_that_diverges_ends_with_a_sentence(run, image, tmp_path):
    result = run(*ROTNET, image, "method.lr=1e30", "method.epochs=3", "method.weight_decay=1",
                 f"targetpath={tmp_path / 'run'}", code=1)  # fmt: skip
    assert "has a gradient that is not finite" in result.stderr
    assert "type a smaller method.lr, or train.max_norm=1, and task.resume=never" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_damaged_checkpoint_is_named(run, image, tmp_path):
    folder = tmp_path / "run"
    run(*ROTNET, image, "method.updates=2", f"targetpath={folder}")
    file = folder / "checkpoints" / "last.pt"
    file.write_bytes(file.read_bytes()[:1000])
    result = run(*ROTNET, image, "method.updates=2", f"targetpath={folder}", code=1)
    assert result.stderr.startswith(f"{file} cannot be read as a checkpoint (")
    assert result.stderr.endswith("): remove it, or type task.resume=never to start again.\n")
    run(*ROTNET, image, "method.updates=2", "task.resume=never", f"targetpath={folder}")
    assert state(folder)["step"] == 2
