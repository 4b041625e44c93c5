"""Parts of a user's own: what docs/extending.md shows works, what does not fit gets a sentence."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from singleimg import RenderedDataset, StoredDataset
from tests.conftest import ROOT

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGE = _BLOCK.findall((ROOT / "docs/extending.md").read_text())
COMMANDS = [text.strip() for kind, text in PAGE if not kind]
TRUST = "trusted_modules=[my_package]"


def write_page(home: Path) -> None:
    """The files of the page, each named by its first line."""
    for _, text in [one for one in PAGE if one[0]]:
        file = home / re.search(r"^# (my_\S+)$", text, re.MULTILINE)[1]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (home / "my_package" / "__init__.py").write_text("")


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    write_page(folder)
    return folder


@pytest.fixture
def typed(run, home):
    """A command of the page, or more arguments, in that folder."""

    def command(*arguments: str, code: int = 0) -> str:
        said = run(*arguments, code=code, cwd=home, PYTHONPATH=str(home))
        return said.stderr.strip() if code else said.stdout

    return command


def make_trained(typed, home: Path) -> None:
    """The training that the page probes."""
    if not (home / "trained").exists():
        [line] = [one for one in COMMANDS if "task=pretrain" in one]
        typed(*shlex.split(line)[2:])


def test_every_kind_is_shown():
    shown = {
        re.search(r"^# my_conf/(\w+)/", text, re.M)[1] for kind, text in PAGE if kind == "yaml"
    }
    groups = {"image", "augment", "encode", "output", "engine", "backend", "network", "method",
              "data", "probe", "task"}  # fmt: skip
    assert shown == groups


@pytest.mark.parametrize("line", COMMANDS, ids=lambda line: " ".join(line.split()[4:6]))
def test_each_command_of_the_page_works(typed, home, line):
    program, *arguments = shlex.split(line.removeprefix("python "))
    assert program == "run.py"
    if "task=probe" in arguments:
        make_trained(typed, home)
    said = typed(*arguments)
    if folder := re.search(r"^Folder:  (.*)$", said, re.MULTILINE):
        if "pretrain" not in line:
            with pytest.MonkeyPatch.context() as patch:
                patch.syspath_prepend(home)
                assert len(StoredDataset(folder[1], trusted_modules=["my_package"])) == 8
                assert (
                    RenderedDataset(folder[1], trusted_modules=["my_package"])[7][0].size[0] == 64
                )
    else:
        assert "nearest_mean" in line or said.count("\n") == 3


def test_the_line_that_it_prints_finds_the_parts_again(typed, tmp_path):
    said = typed(*SOURCE, f"targetpath={tmp_path}/set", "output.shard_size=1")
    [line] = re.findall(r"^Extend:  python run.py (.*)$", said, re.MULTILINE)
    assert "3 of 6 images" in typed(*shlex.split(line))


# --- what does not fit ---------------------------------------------------------------------------

SOURCE = ("--config-dir", "my_conf", "image=gradient", "num_imgs=3", "img_size=32", TRUST)
TRAIN = (*SOURCE[:3], "task=pretrain", "method=mean_colour", "network=small", "num_imgs=32",
         "img_size=32", TRUST)  # fmt: skip
PROBE = ("--config-dir", "my_conf", "task=probe", "task.checkpoint=trained", "data=flags",
         "probe=nearest_mean", "seed=1", TRUST)  # fmt: skip
SHOWS = "docs/extending.md shows one"
ALL = "fix it, or type HYDRA_FULL_ERROR=1 before the command to see the whole traceback."

# A file of the page, what stands there, what a person wrote instead; what is typed; the sentence.
MISTAKES = {
    "a method that is missing": (
        "sources.py", "def where", "def somewhere", SOURCE,
        f"image: my_package.sources.Gradient has no where: {SHOWS} that has.",
    ),
    "no name": (
        "sources.py", 'name: str = "gradient"', "other: int = 0", SOURCE,
        f"image: my_package.sources.Gradient has no name, which every Source has: {SHOWS}.",
    ),
    "another kind of thing": (
        "sources.py", "class Gradient(Source)", "class Gradient", SOURCE,
        "image: my_package.sources.Gradient makes Gradient, not Source: derive it from "
        "singleimg.sources.base.Source, as docs/extending.md shows.",
    ),
    "no pictures": (
        "sources.py", "return 1", "return 0", SOURCE,
        f"Gradient.__len__ gives int 0, and a whole number of 1 or more is needed: {SHOWS}.",
    ),
    "a picture of other numbers": (
        "sources.py", "return grey.", "import numpy; return numpy.zeros((8, 8, 3)); grey.", SOURCE,
        "Gradient.load(0) gives ndarray of float64, 8×8×3, and uint8 H×W×3 in RGB, or a Pillow "
        f"image, is needed: {SHOWS}.",
    ),
    "no picture": (
        "sources.py", "return grey.", "grey.", SOURCE,
        "Gradient.load(0) gives nothing (None), and uint8 H×W×3 in RGB, or a Pillow image, is "
        f"needed: {SHOWS}.",
    ),
    "an exception in their code": (
        "sources.py", "return grey.", "raise ValueError('no more\\ngrey')\n        grey.", SOURCE,
        f"my_package.sources.Gradient.load: ValueError: no more grey (sources.py, line 19): {ALL}",
    ),
    "an exception below their code": (
        "sources.py", "(320, 240)", "(320, 'x')", SOURCE,
        "my_package.sources.Gradient.load: TypeError: 'str' object cannot be interpreted as an "
        f"integer (sources.py, line 19): {ALL}",
    ),
    "an exception when it is made": (
        "methods.py", "self.lr = lr", "self.lr = 1 / 0", TRAIN,
        f"my_package.methods.MeanColour.__init__: ZeroDivisionError: division by zero (methods.py, "
        f"line 11): {ALL}",
    ),
    "a transform that returns nothing": (
        "transforms.py", "return Image", "Image", (*SOURCE, "augment=rolled"),
        "augment.transforms[0] (Roll) gives nothing (None), and a Pillow image or a tensor 3×H×W "
        f"is needed: {SHOWS}.",
    ),
    "a transform that fails": (
        "transforms.py", "np.random.randint(self.most)", "np.random.randint(-1)",
        (*SOURCE, "augment=rolled"),
        "augment.transforms[0] (Roll) cannot be applied: my_package.transforms.Roll.__call__: "
        f"ValueError: high <= 0 (transforms.py, line 11): {ALL}",
    ),
    "what cannot be called": (
        "transforms.py", "def __call__", "def call", (*SOURCE, "augment=rolled"),
        "augment.transforms[0]: my_package.transforms.Roll cannot be called with an image: "
        f"{SHOWS} that can.",
    ),
    "an encoder that gives an array": (
        "encoders.py", 'by_pillow(pixels, "bmp")', "pixels", (*SOURCE, "encode=bmp"),
        f"Bmp.encode gives ndarray of uint8, 32×32×3, and bytes of a file is needed: {SHOWS}.",
    ),
    "an encoder without settings": (
        "encoders.py", "return {}", "pass", (*SOURCE, "encode=bmp"),
        "Bmp.settings gives nothing (None), and a dict of plain values (texts, numbers, lists) is "
        f"needed: {SHOWS}.",
    ),
    "an encoder without a name": (
        "encoders.py", 'encoding = "bmp"', "quality = 3", (*SOURCE, "encode=bmp"),
        f"encode: my_package.encoders.Bmp has no encoding, which every Encoder has: {SHOWS}.",
    ),
    "an engine without a name": (
        "engines.py", 'name = "grey"', "batch = 1", (*SOURCE, "engine=grey"),
        f"engine: my_package.engines.Grey has no name, which every Engine has: {SHOWS}.",
    ),
    "no renderer": (
        "engines.py", "return GreyRenderer", "GreyRenderer", (*SOURCE, "engine=grey"),
        f"Grey.renderer gives nothing (None), and a Renderer is needed: {SHOWS}.",
    ),
    "pixels as numbers from 0 to 1": (
        "engines.py", "as_pixels(image.convert(\"L\"))", "as_pixels(image) / 255.0",
        (*SOURCE, "engine=grey"),
        "GreyRenderer.render gives ndarray of float64, 32×32×3, and for each sample an array, "
        f"uint8 H×W×3, is needed: {SHOWS}.",
    ),
    "fewer images than samples": (
        "engines.py", "for image in shown]", "for image in []]", (*SOURCE, "engine=grey"),
        f"GreyRenderer.render gives list, and an array for each of 1 samples is needed: {SHOWS}.",
    ),
    "a writer that lists nothing": (
        "outputs.py", "return list(", "list(", (*SOURCE, "output=npz"),
        f"Writer.close gives nothing (None), and a list of Entry, one for each image, is needed: "
        f"{SHOWS}.",
    ),
    "a writer that loses images": (
        "outputs.py", "self.parts))", "self.parts[1:]))", (*SOURCE, "output=npz"),
        "Writer.close lists 2 of the 3 images of shard 000000, and a list of Entry, one for each "
        f"image, is needed: {SHOWS}.",
    ),
    "no writer": (
        "outputs.py", "return Writer", "Writer", (*SOURCE, "output=npz"),
        f"Npz.open gives nothing (None), and a writer with write and close is needed: {SHOWS}.",
    ),
    "a backend of no workers": (
        "backends.py", "return threads or available_cores()", "pass", (*SOURCE, "backend=pool"),
        f"Pool.workers gives nothing (None), and a whole number of 1 or more is needed: {SHOWS}.",
    ),
    "a trunk without convolutions": (
        "networks.py", "stages(layers, [16, 32], slope, 3)", "[nn.ReLU()]", TRAIN,
        f"Small.trunk gives Trunk, and a Trunk with a Conv2d is needed: {SHOWS}.",
    ),
    "blocks that do not fit together": (
        "networks.py", "return Top(features, []", "return Top(7, [10]", TRAIN, None,
    ),
    "no top": (
        "networks.py", "return Top(features, [], 0.0, False)", "pass", TRAIN,
        f"Small.top gives nothing (None), and a Top is needed: {SHOWS}.",
    ),
    "a method without a trunk": (
        "methods.py", "self.trunk = network.trunk()\n        self.head = nn.Linear("
        "self.trunk.features(network.size), 3)", "self.head = nn.Linear(3, 3)", TRAIN,
        "MeanColour.trunk after build gives nothing (None), and network.trunk() is needed: "
        f"{SHOWS}.",
    ),
    "an update that says nothing": (
        "methods.py", 'return {"loss": loss.detach()}', "pass", TRAIN,
        f"MeanColour.update gives nothing (None), and a dict with loss is needed: {SHOWS}.",
    ),
    "an update that fails": (
        "methods.py", "images.mean((2, 3))", "images.mean((2, 9))", TRAIN, None,
    ),
    "a labelled set without classes": (
        "data.py", "classes = [", "names = [", PROBE,
        f"a labelled set gives Colours, and a dataset with classes is needed: {SHOWS}.",
    ),
    "a probe without scores": (
        "probes.py", "return scores", "pass", PROBE,
        f"NearestMean.run gives nothing (None), and a list of LayerScore is needed: {SHOWS}.",
    ),
    "a task that fails": (
        "tasks.py", "cfg.num_imgs", "cfg.num_imgs / 2", (*SOURCE, "task=mean_level"),
        "my_package.tasks.mean_level: TypeError: 'float' object cannot be interpreted as an "
        f"integer (tasks.py, line 7): {ALL}",
    ),
}  # fmt: skip
BEGINS = {
    "blocks that do not fit together": "Small does not fit images of 32 px (",
    "an update that fails": "my_package.methods.MeanColour.update: IndexError: ",
}


@pytest.fixture
def changed(home, request):
    """The page's package with one mistake in it."""

    def change(file: str, before: str, after: str) -> None:
        path = home / "my_package" / file
        text = path.read_text()
        assert text.count(before) == 1
        path.write_text(text.replace(before, after))
        request.addfinalizer(lambda: path.write_text(text))

    return change


OFTEN = ("a method that is missing", "another kind of thing", "an exception in their code",
         "a transform that returns nothing", "an encoder that gives an array",
         "pixels as numbers from 0 to 1", "a writer that loses images", "no top",
         "an update that says nothing")  # fmt: skip


@pytest.mark.parametrize(
    "what",
    [pytest.param(one, marks=[] if one in OFTEN else pytest.mark.slow) for one in MISTAKES],
)
def test_what_does_not_fit_gets_a_sentence(typed, changed, home, tmp_path, what):
    file, before, after, arguments, sentence = MISTAKES[what]
    if "task=probe" in arguments:
        make_trained(typed, home)
    changed(file, before, after)
    where = [] if "task=probe" in arguments else [f"targetpath={tmp_path}/set"]
    if "task=mean_level" in arguments:
        where = []
    said = typed(*arguments, *where, code=1).splitlines()[-1]
    if sentence is None:
        assert said.startswith(BEGINS[what])
    else:
        assert said == sentence


def test_in_a_worker_process_too(typed, changed, tmp_path):
    changed(
        "encoders.py",
        "return by_pillow",
        "assert pixels.mean() < 0, 'too bright'\n        return by_pillow",
    )
    said = typed(*SOURCE, "encode=bmp", "threads=2", "backend.from_seconds=0", "num_imgs=40",
                 "output.shard_size=10", f"targetpath={tmp_path}/set", code=1)  # fmt: skip
    assert said.splitlines()[-1] == (
        f"my_package.encoders.Bmp.encode: AssertionError: too bright (encoders.py, line 12): {ALL}"
    )
    assert "Traceback" not in said


def test_the_whole_traceback_on_demand(run, home, changed, tmp_path):
    changed("sources.py", "return grey.", "raise ValueError('no grey')\n        grey.")
    said = run(*SOURCE, f"targetpath={tmp_path}/set", code=1, cwd=home, PYTHONPATH=str(home),
               HYDRA_FULL_ERROR="1")  # fmt: skip
    assert said.stderr.startswith("Traceback (most recent call last):")
    assert 'sources.py", line 19, in load' in said.stderr
    assert said.stderr.splitlines()[-1].startswith("my_package.sources.Gradient.load: ValueError")
