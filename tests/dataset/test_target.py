"""A dataset's folder: what is refused, what is removed, in which order."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from singleimg.dataset.recipe import Recipe
from singleimg.dataset.target import Target
from singleimg.errors import UserError
from singleimg.outputs.folder import FolderOutput
from singleimg.outputs.resolve import described
from singleimg.storage.local import LocalStore
from singleimg.storage.manifest import Entry, Manifest, Record, record_place
from singleimg.storage.shards import Shard, Shards
from singleimg.storage.staging import Staging
from tests.scenarios import killed_at

LAYOUT = {"output": "folder", "class_name": "c", "shard_size": 2, "save_params": True}
RECIPE = Recipe({"seed": 0.0}, LAYOUT, {"torch": "2"})
OUTPUT = FolderOutput(class_name="c", shard_size=2)


_STEPS = ("rename", "replace", "unlink", "rmdir", "mkdir")


def commit(target: Path, shard: Shard) -> None:
    with Staging(LocalStore(target, durable=False), shard) as staging:
        writer = OUTPUT.open(staging, shard)
        for index in range(shard.start, shard.stop):
            writer.write(index, b"image %d" % index)
        entries = writer.close()
        place = f"params/{shard.name}.jsonl"
        staging.path(place).write_bytes(b"{}")
        entries.append(Entry(None, place, 2, "aa"))
        made = Record(shard.number, shard.start, shard.stop, 16, RECIPE.fingerprint, {"torch": "2"})
        staging.commit(made, entries)


def dataset(path: Path, num_imgs: int = 5) -> Target:
    """A finished dataset of ``num_imgs`` images in shards of two."""
    target = Target(LocalStore(path))
    path.mkdir()
    shards = Shards(num_imgs, 2)
    target.begin(target.look(), RECIPE, {"config.yaml": "a: 1\n"}, OUTPUT, list(shards))
    for shard in shards:
        commit(path, shard)
    target.finish(RECIPE, num_imgs, OUTPUT)
    return target


def tree(path: Path) -> list[str]:
    return sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())


def refused(target: Target, recipe=RECIPE, num_imgs=5, if_exists="resume") -> str:
    with pytest.raises(UserError) as caught:
        target.check(target.look(), recipe, num_imgs, if_exists)
    return str(caught.value)


# --- what may be done ----------------------------------------------------------------------------


def test_the_same_recipe_may_go_on(tmp_path):
    target = dataset(tmp_path / "d")
    target.check(target.look(), RECIPE, 5, "resume")
    target.check_versions(target.look(), RECIPE, allowed=False)
    assert target.done(target.look(), Shards(5, 2), RECIPE, OUTPUT) == {0, 1, 2}


def test_another_recipe_is_refused_with_what_differs_and_three_ways_out(tmp_path):
    target = dataset(tmp_path / "d")
    other = Recipe({"seed": 1.0}, LAYOUT, {"torch": "3"})
    assert refused(target, other) == (
        f"targetpath={target.store} holds a dataset of another recipe (pixels.seed: 0.0 → 1.0): "
        "type another targetpath, if_exists=overwrite to replace it, or the old values to resume "
        "it."
    )
    target.check(target.look(), other, 5, "overwrite")


def test_other_versions_are_refused_unless_allowed(tmp_path):
    target = dataset(tmp_path / "d")
    other = Recipe(RECIPE.pixels, RECIPE.layout, {"torch": "3"})
    target.check(target.look(), other, 5, "resume")
    with pytest.raises(UserError) as caught:
        target.check_versions(target.look(), other, allowed=False)
    assert str(caught.value) == (
        f"targetpath={target.store} was made with other versions, which may round differently "
        "(made_with.torch: 2 → 3): type allow_version_change=true to resume it anyway, "
        "if_exists=overwrite to replace it, another targetpath, or install the old versions."
    )
    target.check_versions(target.look(), other, allowed=True)


def test_fewer_images_than_there_are_is_refused(tmp_path):
    target = dataset(tmp_path / "d")
    assert refused(target, num_imgs=4) == (
        f"targetpath={target.store} already holds 5 images, more than num_imgs=4: type num_imgs=5 "
        "or more, another targetpath, or if_exists=overwrite to replace it."
    )


def test_if_exists_error(tmp_path):
    target = dataset(tmp_path / "d")
    assert refused(target, if_exists="error") == (
        f"targetpath={target.store} holds a dataset and if_exists=error: type another targetpath, "
        "if_exists=resume to resume it, or if_exists=overwrite to replace it."
    )
    new = Target(LocalStore(tmp_path / "new"))
    new.check(new.look(), RECIPE, 5, "error")


@pytest.mark.parametrize("if_exists", ["resume", "overwrite"])
def test_a_folder_with_something_else_in_it_is_refused(tmp_path, if_exists):
    (tmp_path / "thesis.tex").write_text("")
    assert refused(Target(LocalStore(tmp_path)), if_exists=if_exists) == (
        f"targetpath={tmp_path} is not empty (thesis.tex is in it) and holds no dataset: type the "
        "name of a new or empty folder."
    )


def test_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert refused(Target(LocalStore(tmp_path / "file"))) == (
        f"targetpath={tmp_path / 'file'} is a file, not a folder: type another targetpath."
    )


# --- going on ------------------------------------------------------------------------------------


def test_only_records_of_this_recipe_with_their_data_are_gone_on_with(tmp_path):
    target = dataset(tmp_path / "d", 8)
    shutil.rmtree(target.store.root / "train/c/000001")
    (target.store.root / "manifest/000002.jsonl").write_text("{")
    assert target.done(target.look(), Shards(8, 2), RECIPE, OUTPUT) == {0, 3}
    assert target.done(target.look(), Shards(9, 2), RECIPE, OUTPUT) == {0, 3}
    assert target.done(target.look(), Shards(7, 2), RECIPE, OUTPUT) == {0}
    assert target.done(target.look(), Shards(8, 2), Recipe({}, {}, {}), OUTPUT) == set()


def test_extending_takes_back_the_word_that_all_is_there_and_the_short_shard(tmp_path):
    target = dataset(tmp_path / "d", 5)
    before = (target.store.root / "recipe.json").read_text()
    other = Recipe(RECIPE.pixels, RECIPE.layout, {"torch": "3"})
    target.begin(target.look(), other, {"config.yaml": "a: 2\n"}, OUTPUT, [Shard(2, 4, 6)])
    assert target.summary() is None
    assert [one.number for one in target.manifest.scan()[0]] == [0, 1]
    assert sorted(os.listdir(target.store.root / "train/c")) == ["000000", "000001"]
    assert (target.store.root / "recipe.json").read_text() == before
    commit(target.store.root, Shard(2, 4, 6))
    target.finish(RECIPE, 6, OUTPUT)
    fresh = dataset(tmp_path / "fresh", 6)
    assert tree(target.store.root) == tree(fresh.store.root)
    assert target.summary() == fresh.summary()


def test_what_a_stopped_run_left_goes_and_nothing_else(tmp_path):
    target = dataset(tmp_path / "d", 4)
    before = tree(target.store.root)
    (target.store.root / ".tmp-000003-ab").mkdir()
    (target.store.root / ".tmp-000003-ab" / "half").write_bytes(b"half")
    (target.store.root / ".tmp-config.yaml-77").write_text("half")
    orphan = target.store.root / "train/c/000007"  # renamed, and killed before its record
    orphan.mkdir()
    (orphan / "patch_000000014.jpg").write_bytes(b"whole")
    (target.store.root / "params/000007.jsonl").write_text("{}")
    (target.store.root / "mine.txt").write_text("mine")
    target.clear(OUTPUT)
    assert tree(target.store.root) == sorted([*before, "mine.txt"])


def test_files_that_only_look_like_ours_stay(tmp_path):
    target = dataset(tmp_path / "d", 4)
    (target.store.root / "train/c/20240101.jpg").write_text("mine")
    (target.store.root / "train/c/1234567").mkdir()
    (target.store.root / "params/123456.csv").write_text("mine")
    before = sorted(target.store.root.rglob("*"))
    target.clear(OUTPUT)
    assert sorted(target.store.root.rglob("*")) == before


def test_unless_every_image_is_there_nothing_says_so(tmp_path):
    target = dataset(tmp_path / "d", 4)
    os.unlink(target.store.path_of(record_place(Shard(1, 2, 4))))
    (target.store.root / "dataset.json").unlink()
    with pytest.raises(
        UserError, match=r"holds 2 of 4 images, since some shards were not committed"
    ):
        target.finish(RECIPE, 4, OUTPUT)
    assert target.summary() is None


def test_a_stranger_among_leftovers_is_not_removed(tmp_path):
    target = dataset(tmp_path / "d", 4)
    orphan = target.store.root / "train/c/000007"
    orphan.mkdir()
    (orphan / "thesis.tex").write_text("mine")
    with pytest.raises(UserError) as caught:
        target.clear(OUTPUT)
    assert str(caught.value) == (
        f"{orphan / 'thesis.tex'} does not belong to this dataset and is where images will be "
        "written: move it away, and type the same command again."
    )
    assert (orphan / "thesis.tex").exists()


# --- overwriting ---------------------------------------------------------------------------------


def test_overwriting_removes_what_the_manifest_lists_and_nothing_else(tmp_path):
    target = dataset(tmp_path / "d")
    (target.store.root / "mine.txt").write_text("mine")
    (target.store.root / "train" / "mine.txt").write_text("mine")
    (target.store.root / "manifest" / "mine.txt").write_text("mine")
    target.overwrite(RECIPE, OUTPUT)
    assert tree(target.store.root) == [
        "manifest/mine.txt",
        "mine.txt",
        "recipe.json",
        "train/mine.txt",
    ]


def test_overwriting_another_layout_removes_that_too(tmp_path):
    target = dataset(tmp_path / "d")
    other = FolderOutput(class_name="other", image_suffix=".png", shard_size=2)
    os.unlink(target.store.path_of(record_place(Shard(1, 2, 4))))  # as a stop would leave it
    target.overwrite(RECIPE, described(target.recipe().layout, other))
    assert tree(target.store.root) == ["recipe.json"]
    assert not list((target.store.root / "train").glob("c/*"))


def test_overwriting_with_a_stranger_in_the_way_removes_nothing(tmp_path):
    target = dataset(tmp_path / "d")
    (target.store.root / "train/c/000001/thesis.tex").write_text("mine")
    before = tree(target.store.root)
    with pytest.raises(UserError, match=r"thesis.tex does not belong to this dataset"):
        target.overwrite(RECIPE, OUTPUT)
    assert tree(target.store.root) == before


def test_overwriting_never_leaves_the_target(tmp_path):
    target = dataset(tmp_path / "d", 2)
    (tmp_path / "outside").write_text("mine")
    with open(target.store.path_of(record_place(Shard(0, 0, 2))), "a") as lines:
        lines.write('[0, "train/../../outside", 1, "aa"]\n')
        lines.write(f'[0, "{tmp_path}/outside", 1, "aa"]\nno json\n')
    target.overwrite(RECIPE, OUTPUT)
    assert (tmp_path / "outside").exists() and os.listdir(target.store.root) == ["recipe.json"]


def test_killed_at_any_step_of_overwriting_no_record_is_false_and_the_next_run_ends_it(tmp_path):
    for step in range(1000):
        target = dataset(tmp_path / str(step), 3)
        if not killed_at(step, _STEPS, lambda one=target: one.overwrite(RECIPE, OUTPUT)):
            break
        for record in target.manifest.scan()[0]:
            assert (target.store.root / OUTPUT.place(record.shard)).is_dir()
        if (target.store.root / "dataset.json").exists():
            assert target.summary()["digest"] == target.manifest.digest()
        target.check(target.look(), RECIPE, 3, "overwrite")
        target.overwrite(RECIPE, OUTPUT)
        assert os.listdir(target.store.root) == ["recipe.json"]
    assert step > 10


def test_killed_at_any_step_of_beginning_the_same_command_goes_on(tmp_path):
    for step in range(1000):
        target = Target(LocalStore(tmp_path / str(step)))
        target.store.root.mkdir()

        def begin(one: Target = target) -> None:
            one.begin(one.look(), RECIPE, {"config.yaml": ""}, OUTPUT, [Shard(0, 0, 2)])

        if not killed_at(step, _STEPS, begin):
            break
        target.check(target.look(), RECIPE, 2, "resume")
        begin()
        assert tree(target.store.root) == ["config.yaml", "recipe.json"]
    assert step > 2


# --- what is missing -----------------------------------------------------------------------------


def test_a_manifest_without_its_folder_is_empty(tmp_path):
    assert Manifest(LocalStore(tmp_path / "none")).scan() == ([], [])


def test_what_a_killed_run_left_beside_the_closing_files_goes(tmp_path):
    target = dataset(tmp_path / "d", 4)
    (target.store.root / "train/.tmp-metadata.jsonl-77").write_text("half")
    target.clear(OUTPUT)
    assert not (target.store.root / "train/.tmp-metadata.jsonl-77").exists()


def test_data_that_vanished_are_noticed_before_it_is_said_that_all_is_there(tmp_path):
    target = dataset(tmp_path / "d", 4)
    (target.store.root / "dataset.json").unlink()
    shutil.rmtree(target.store.root / "train/c/000001")
    with pytest.raises(UserError, match="lacks the data of 1 shards"):
        target.finish(RECIPE, 4, OUTPUT)
    assert target.summary() is None
