"""Every experiment is composed and run at 8 images, by the real command line."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading

import pytest
from PIL import Image

import singleimg
from singleimg.config.location import CONF
from singleimg.learn.training.journal import read
from singleimg.learn.training.run import describe_run
from tests.conftest import images_of

NAMES = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))
OTHERS = ("pretrain", "study", "teacher", "distil")  # that make no dataset
EXPERIMENTS = [name for name in NAMES if not name.startswith(OTHERS)]
TRAININGS = [name for name in NAMES if name.startswith("pretrain")]
METHODS = ("rotnet", "deepcluster", "bigan")


@pytest.fixture(scope="module")
def stand_in(picture):
    """The paper's images have no licence and are not here: a picture of ours stands in for them."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(picture.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        digest = hashlib.sha256(picture.read_bytes()).hexdigest()
        address = f"http://127.0.0.1:{server.server_port}/{picture.name}"
        yield f"image.url={address}", f"image.sha256={digest}", "+image.allow_http=true"
        server.shutdown()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_it_runs(run, stand_in, tmp_path, name):
    run(f"experiment={name}", "num_imgs=8", f"targetpath={tmp_path / 'set'}", *stand_in)
    assert len(images_of(tmp_path / "set")) == 8


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """An image folder of two classes."""
    folder = tmp_path_factory.mktemp("labelled")
    for part in ("train", "test"):
        for label in ("cat", "dog"):
            (folder / part / label).mkdir(parents=True)
            for number in range(150):
                Image.new("RGB", (32, 32), number).save(folder / part / label / f"{number}.png")
    return folder


@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.parametrize("method", METHODS)
def test_a_training_of_the_paper_is_ready_to_begin(name, method, picture, labelled):
    """Everything but the updates; the paper's images and ImageNet are not here."""
    real = ("data=imagefolder", f"data.path={labelled}") if "full" in name else ()
    images = real or ("image=file", f"imgpath={picture}")
    cfg = singleimg.compose(f"experiment={name}", f"method={method}", *images)
    run = describe_run(cfg)
    assert run.inputs.count == (300 if real else 50_000 if "cifar" in name else 1_281_167)
    assert run.network.size == (32 if "cifar" in name else 224)
    run.method.build(run.network, run.inputs.count, run.inputs.classes)
    widths = [size for size, _ in run.method.trunk.shapes(run.network.size)]
    wide = [64, 192, 384, 256, 256] if method == "rotnet" else [96, 256, 384, 384, 256]
    assert widths == ([32, 64, 128, 128] if "cifar" in name else wide)


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("distil")])
def test_a_student_and_its_teacher(run, picture, labelled, tmp_path, name):
    """The two commands, a few updates of them."""
    data = ("data=imagefolder", f"data.path={labelled}", "method.updates=2",
            "method.batch_size=16", "task.tensorboard=false")  # fmt: skip
    teacher = tmp_path / "teacher"
    run("experiment=teacher_cifar10", *data, f"targetpath={teacher}")
    said = run(f"experiment={name}", *data, f"imgpath={picture}", "num_imgs=32",
               f"method.teacher={teacher}", f"targetpath={tmp_path / 'student'}")  # fmt: skip
    assert "| teacher | its own, with labels |" in said.stdout
    assert "| student | 32 of my-picture-" in said.stdout


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_twenty_updates_at_224_pixels(run, picture, tmp_path, method):
    run("experiment=pretrain_mono_b", f"method={method}", "image=file", f"imgpath={picture}",
        "method.batch_size=32", "num_imgs=512", "method.updates=20", "train.log_every=10",
        f"targetpath={tmp_path}")  # fmt: skip
    rows = read(tmp_path / "updates.csv")
    assert [row["step"] for row in rows] == [10, 20]
    print(f"{method}: {rows[-1]['images_per_second']:.1f} images/s")


def test_the_ablation_makes_its_eight_sets(run, stand_in, tmp_path):
    """The command that stands in its file."""
    lines = (CONF / "experiment" / "paper_ablation.yaml").read_text().splitlines()
    (command,) = [line.split("run.py ")[1] for line in lines if "run.py" in line]
    run(*command.split(), "num_imgs=8", f"targetpath={tmp_path}", *stand_in)
    names = [path.name.partition("px-")[2][:-9] for path in tmp_path.iterdir()]
    assert len(names) == 8
    assert {"deg0-scalenull-jitter0", "deg0-scale1000_1-jitter1", "deg35-scalenull-jitter0"} <= set(
        names
    )
    sets = {tuple(images_of(path).values()) for path in tmp_path.iterdir()}
    assert len(sets) == 8
