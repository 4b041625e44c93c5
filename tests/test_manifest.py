"""What is committed and what is left to do."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singleimg.errors import UserError
from singleimg.manifest import Manifest, Record, Shard, plan
from singleimg.recipe import Recipe

RECIPE = Recipe({"seed": 0.0}, {"output": "folder"}, {"torch": "2"})


@given(st.integers(1, 5000), st.integers(1, 1000))
def test_shards_hold_every_index_once_in_order(num_imgs, shard_size):
    shards = plan(num_imgs, shard_size)
    assert [i for shard in shards for i in range(shard.start, shard.stop)] == list(range(num_imgs))
    assert all(len(shard) == shard_size for shard in shards[:-1])
    assert [shard.number for shard in shards] == list(range(len(shards)))


def test_the_published_number_of_images_is_reached_exactly():
    shards = plan(1_281_167, 1000)
    assert (len(shards), shards[-1]) == (1282, Shard(1281, 1_281_000, 1_281_167))


def test_a_committed_record_comes_back(tmp_path):
    manifest = Manifest(tmp_path)
    manifest.begin(RECIPE, {"config.yaml": "a: 1\n"})
    record = Record(0, 0, 2, 30, ["aa", "bb"])
    manifest.commit(record)
    assert manifest.records() == [record]
    assert (tmp_path / "config.yaml").read_text() == "a: 1\n"


def test_reopening_takes_back_the_word_that_all_is_there(tmp_path):
    manifest = Manifest(tmp_path)
    manifest.begin(RECIPE, {})
    for record in (Record(0, 0, 2, 9, []), Record(1, 2, 3, 9, [])):
        manifest.commit(record)
    manifest.finish({"images": 3})
    manifest.reopen([Shard(1, 2, 4)])
    assert not manifest.dataset_file.exists()
    assert [record.number for record in manifest.records()] == [0]


def test_leftovers_go_and_nothing_else(tmp_path):
    (tmp_path / ".tmp-000003").mkdir()
    (tmp_path / ".tmp-000003" / "patch_000003000.jpg").write_bytes(b"half")
    (tmp_path / ".tmp-config.yaml-77").write_text("half")
    (tmp_path / "mine.txt").write_text("mine")
    Manifest(tmp_path).clean()
    assert sorted(os.listdir(tmp_path)) == ["mine.txt"]


def test_the_same_recipe_may_go_on(tmp_path):
    Manifest(tmp_path).begin(RECIPE, {})
    Manifest(tmp_path).check(RECIPE, 10)


def refused(target, recipe=RECIPE, num_imgs=10) -> str:
    with pytest.raises(UserError) as caught:
        Manifest(target).check(recipe, num_imgs)
    return str(caught.value)


def test_another_recipe_is_refused_with_what_differs(tmp_path):
    Manifest(tmp_path).begin(RECIPE, {})
    other = Recipe({"seed": 1.0}, {"output": "folder"}, {"torch": "3"})
    assert refused(tmp_path, other) == (
        f"targetpath={tmp_path} holds a dataset of another recipe (pixels.seed: 0.0 → 1.0; "
        "made_with.torch: 2 → 3): type another targetpath, or the old values."
    )


def test_fewer_images_than_there_are_is_refused(tmp_path):
    manifest = Manifest(tmp_path)
    manifest.begin(RECIPE, {})
    manifest.commit(Record(0, 0, 11, 9, []))
    assert refused(tmp_path) == (
        f"targetpath={tmp_path} already holds 11 images, more than num_imgs=10: "
        "type num_imgs=11 or more, or another targetpath."
    )


def test_a_folder_with_something_else_in_it_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    assert refused(tmp_path) == (
        f"targetpath={tmp_path} is not empty (thesis.tex lies there) and holds no dataset: "
        "type the name of a new or empty folder."
    )


def test_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert refused(tmp_path / "file") == (
        f"targetpath={tmp_path / 'file'} is a file, not a folder: type another targetpath."
    )


def test_a_broken_record_is_named(tmp_path):
    manifest = Manifest(tmp_path)
    manifest.begin(RECIPE, {})
    (tmp_path / "manifest" / "000000.json").write_text("{")
    with pytest.raises(UserError, match=r"manifest/000000.json cannot be read \(JSONDecodeError"):
        manifest.records()
