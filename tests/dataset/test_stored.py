"""What training reads of images that were stored, in any format."""

from __future__ import annotations

import builtins
import io
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from singleimg import StoredDataset, compose
from singleimg.config import make
from singleimg.dataset.recipe import Recipe
from singleimg.outputs.resolve import described
from singleimg.storage.manifest import Entry, Record, record_text
from singleimg.storage.shards import Shards
from tests.dataset.conftest import COUNT, pixels_of, refused, same


def test_every_format_gives_every_image_and_the_one_label(path, files):
    dataset = StoredDataset(path)
    assert len(dataset) == COUNT and len(list((path / "manifest").iterdir())) == 4
    assert [dataset.file(index) for index in range(COUNT)] == files
    found = list(dataset)  # ends, since what is beyond the last raises IndexError
    assert len(found) == COUNT
    assert all(same(image, pixels_of(data)) for (image, _), data in zip(found, files, strict=True))
    assert {label for _, label in found} == {0}


def test_negative_indices_count_from_the_end_and_others_are_refused(path, files):
    dataset = StoredDataset(str(path))
    assert dataset.file(-1) == files[-1] and dataset.file(-COUNT) == files[0]
    for index in (COUNT, -COUNT - 1):
        with pytest.raises(IndexError, match=rf"^image {index} of {COUNT}$"):
            dataset[index]
    with pytest.raises(IndexError):
        dataset.__getitems__([0, COUNT])


def test_an_index_may_be_whatever_counts_as_a_whole_number(stored, files):
    dataset = StoredDataset(stored["webdataset"])
    assert dataset.file(np.int64(5)) == dataset.file(torch.tensor(5)) == files[5]
    with pytest.raises(TypeError):
        dataset[1.0]


def test_a_transform_takes_the_place_of_the_image(path, files):
    dataset = StoredDataset(path, v2.PILToTensor())
    image, label = dataset[3]
    assert torch.equal(image, torch.tensor(pixels_of(files[3])).permute(2, 0, 1)) and label == 0


def test_a_batch_is_asked_for_at_once_in_any_order_and_with_repetitions(path, files):
    wanted = [21, 0, 7, 7, -1]
    batch = StoredDataset(path).__getitems__(wanted)
    for (image, label), index in zip(batch, wanted, strict=True):
        assert same(image, pixels_of(files[index])) and label == 0


def test_it_is_small_to_pickle_even_when_much_was_read(path, files):
    dataset = StoredDataset(path)
    assert [dataset.file(index) for index in range(COUNT)] == files
    data = pickle.dumps(dataset)
    assert len(data) < 1000
    assert pickle.loads(data).file(9) == files[9]


def test_a_dataset_that_was_replaced_is_read_anew(stored, files, tmp_path):
    """An open file would go on showing the old one, at the places of the new."""
    here = tmp_path / "set"
    shutil.copytree(stored["webdataset"], here)
    assert StoredDataset(here).file(2) == files[2]
    other = compose("num_imgs=9", "img_size=40", "output=webdataset", f"targetpath={here}",
                    "output.shard_size=7", "if_exists=overwrite", "backend=sequential")  # fmt: skip
    make.task(other)(other)
    image, _ = StoredDataset(here)[2]
    assert image.size == (40, 40)


# --- what cannot be opened -----------------------------------------------------------------------


@pytest.fixture
def copied(stored, tmp_path) -> Path:
    """A dataset to harm."""
    shutil.copytree(stored["webdataset"], tmp_path / "set")
    return tmp_path / "set"


def test_a_folder_without_a_dataset(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert refused(folder) == f"{folder} holds no dataset: give the targetpath of a run."


@pytest.mark.parametrize("summary", [None, "{", "[]", '{"images": "23"}', '{"images": true}'])
def test_a_dataset_of_which_images_are_missing(copied, summary):
    (copied / "dataset.json").unlink()
    if summary is not None:  # harmed is as good as missing
        (copied / "dataset.json").write_text(summary)
    assert refused(copied) == (
        f"{copied} holds an unfinished dataset: resume it first with the command that started it."
    )


def test_a_recipe_that_is_harmed(copied):
    file = copied / "recipe.json"
    recipe = json.loads(file.read_text())
    file.write_text(file.read_text()[:-40])
    assert refused(copied).startswith(f"{file} cannot be read (JSONDecodeError: ")
    file.write_text("[]")
    assert refused(copied) == (
        f"{file} cannot be read (TypeError: list indices must be integers or slices, not str): "
        "type another targetpath, or remove that folder."
    )
    file.write_text(json.dumps({**recipe, "pixels": {"encoder": "jpeg"}}))
    assert refused(copied) == (
        f"{file} is corrupted: to repair it, type python run.py task=repair targetpath={copied}"
    )
    file.write_text(json.dumps({**recipe, "layout": {"output": "scroll", "shard_size": 7}}))
    assert refused(copied) == (
        "a dataset of output=scroll cannot be read here (ModuleNotFoundError: No module named "
        "'singleimg.outputs.scroll'), since its recipe.json is corrupted or of another version: "
        "type task=repair, or use that version."
    )


def test_an_image_that_is_shorter_than_its_record_says(copied):
    os.truncate(copied / "train/shard-000001.tar", 600)
    with pytest.raises(OSError, match=r"shard-000001\.tar is shorter than its record says$"):
        StoredDataset(copied)[8]


# --- opening is the same whatever the size -------------------------------------------------------

MANY, A_SHARD = 1_281_167, 10_000


@pytest.fixture
def touched(monkeypatch) -> list[str]:
    """What Python is asked to open or to list from now on."""
    seen: list[str] = []
    for module, name in ((io, "open"), (builtins, "open"), (os, "open"), (os, "scandir"),
                         (os, "listdir")):  # fmt: skip
        function = getattr(module, name)

        def call(place, *arguments, _function=function, **options):
            seen.append(str(place))
            return _function(place, *arguments, **options)

        monkeypatch.setattr(module, name, call)
    return seen


@pytest.mark.parametrize("output", ["webdataset", "parquet"])
def test_opening_a_million_images_reads_two_files_and_an_image_the_record_of_its_shard(
    tmp_path, touched, output
):
    shards = Shards(MANY, A_SHARD)
    assert len(shards) == 129
    layout = described({"output": output, "shard_size": A_SHARD})
    recipe = Recipe({"encoder": {"encoding": "jpeg"}}, layout.layout(), {})
    (tmp_path / "recipe.json").write_text(recipe.text())
    (tmp_path / "dataset.json").write_text(json.dumps({"images": MANY}))
    for folder in ("manifest", "train"):
        (tmp_path / folder).mkdir()
    for shard in shards:  # whoever parsed one of these would fail
        (tmp_path / f"manifest/{shard.name}.jsonl").write_text("not a record")
    shard, place = shards[57], layout.place(shards[57])
    entries = [Entry(None, place, 30_000, "whole")]
    entries += [
        Entry(index, place, 3, "part", 3 * (index - shard.start))
        for index in range(shard.start, shard.stop)
    ]
    record = Record(shard.number, shard.start, shard.stop, 0, recipe.fingerprint, {})
    (tmp_path / f"manifest/{shard.name}.jsonl").write_text(record_text(record, entries))
    (tmp_path / place).write_bytes(b"".join(b"%03d" % (i % 1000) for i in range(A_SHARD)))

    touched.clear()
    dataset = StoredDataset(tmp_path)
    assert len(dataset) == MANY
    assert touched == [f"{tmp_path}/recipe.json", f"{tmp_path}/dataset.json"]

    touched.clear()
    assert [dataset.file(570_000 + k) for k in (0, 123, 9_999)] == [b"000", b"123", b"999"]
    assert touched == [f"{tmp_path}/manifest/000057.jsonl", f"{tmp_path}/{place}"]
    with pytest.raises(ValueError, match=r"000058\.jsonl is not what was written"):
        dataset.file(580_000)
