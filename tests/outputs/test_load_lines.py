"""The lines that a run prints to load what it made: each is run as it stands there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import torchvision

import singleimg
from singleimg import RenderedDataset, compose
from singleimg.config.make import instantiate
from singleimg.encoders.base import suffix_of
from singleimg.outputs.mds import MdsOutput
from singleimg.storage.local import LocalStore
from singleimg.storage.remote import open_url
from tests.outputs.conftest import task

COUNT, SHARDS = 7, 3
FOLDERS = ("plain", "it's \"\\", "two\nlines", "a{0..3},b{c,d}", "a::b", "${HOME}",
           "Café [1] %d {k}", "#?&*;", "trailing\\")  # fmt: skip
LIBRARIES = {"webdataset": "webdataset", "parquet": "pyarrow", "lmdb": "lmdb"}
OUTPUTS = ("folder", *LIBRARIES)


@pytest.fixture(scope="module")
def made(picture, tmp_path_factory) -> Path:
    """A small dataset in each format."""
    home = tmp_path_factory.mktemp("made")
    for output in OUTPUTS:
        typed = (f"imgpath={picture}", f"num_imgs={COUNT}", "img_size=32", "encode=png",
                 f"output={output}", "output.shard_size=3", "threads=1")  # fmt: skip
        said = task(*typed, f"targetpath={home}/{output}")
        printed = re.findall(r"^Load:    (.*)$", said, re.MULTILINE)
        assert printed == lines_of(output, home / output)
    return home


def lines_of(output: str, folder: Path, encoding: str = "png") -> list[str]:
    cfg = compose(f"output={output}", *(["output.class_name=c"] if output == "folder" else []))
    suffix = suffix_of(encoding)
    return instantiate(cfg, "output", image_suffix=suffix).load_lines(LocalStore(folder), SHARDS)


@pytest.fixture(scope="module")
def expected(picture) -> list[bytes]:
    rendered = RenderedDataset(compose(f"imgpath={picture}", f"num_imgs={COUNT}", "img_size=32"))
    return [rendered.render(index).tobytes() for index in range(COUNT)]


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("folder", FOLDERS)
def test_they_run_whatever_the_folder_is_called(made, expected, tmp_path, folder, output):
    names = {"singleimg": singleimg, "torchvision": torchvision}
    if library := LIBRARIES.get(output):
        names[library] = pytest.importorskip(library, reason=f"pip install {library}")
    place = tmp_path / folder
    shutil.copytree(made / output, place)
    lines = lines_of(output, place)
    # What ends a path in a URL, its library takes for that in a path, too.
    beside = output == "webdataset" and not {"#", "\n"} & set(folder)
    assert len(lines) == (2 if beside else 1)
    for line in lines:
        assert [image.tobytes() for image, *_ in eval(line, dict(names))] == expected


@pytest.mark.parametrize("encoding, suffix", [("jpeg", "jpg"), ("webp", "webp")])
def test_webdatasets_own_line_names_the_image_of_a_sample(picture, tmp_path, encoding, suffix):
    webdataset = pytest.importorskip("webdataset", reason="pip install webdataset")
    said = task(f"imgpath={picture}", "output=webdataset", "num_imgs=3", "img_size=32",
                f"encode={encoding}", f"targetpath={tmp_path}/set", "threads=1")  # fmt: skip
    [line] = re.findall(r"^Load:    (webdataset.*)$", said, re.MULTILINE)
    assert line == (
        f"webdataset.WebDataset('{tmp_path}/set/train/shard-{{000000..000000}}.tar', "
        f'shardshuffle=False).decode("pil").to_tuple("{suffix}")'
    )
    assert [one.size for (one,) in eval(line, {"webdataset": webdataset})] == [(32, 32)] * 3


def test_those_of_mds_are_python_too(tmp_path):
    """Its library is no part of this environment."""
    called = {}
    library = type("", (), {"StreamingDataset": called.update})
    [line] = MdsOutput().load_lines(LocalStore(tmp_path / "a\"'\n"), 1)
    eval(line, {"streaming": library})
    assert called == {"local": str(tmp_path / "a\"'\n" / "train"), "batch_size": 32}
    pytest.importorskip("upath", reason="universal-pathlib is not installed")
    [line] = MdsOutput().load_lines(open_url("memory://a'b/set"), 1)
    eval(line, {"streaming": library})
    assert called == {"remote": "memory://a'b/set/train", "local": "cache", "batch_size": 32}
