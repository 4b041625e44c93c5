"""What holds for every format: the same images, nothing lost, damage named and mended."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singleimg import StoredDataset, UserError, compose
from singleimg.config import make
from singleimg.config.make import instantiate
from singleimg.outputs.base import Part, find_parts
from singleimg.storage.local import LocalStore
from singleimg.storage.lock import hold
from singleimg.storage.manifest import Entry
from tests import scenarios
from tests.outputs.conftest import IMAGES, SETTINGS, SHARD, STEPS, task
from tests.scenarios import killed_at, leftovers, read_entries, tree_hash

FORMATS = ("folder", "webdataset", "parquet", "lmdb")
every_format = pytest.mark.parametrize("name", FORMATS)


@pytest.fixture(autouse=True)
def libraries(request):
    """Skips what is of a format whose library is missing."""
    name = getattr(request.node, "callspec", None) and request.node.callspec.params.get("name")
    library = {"parquet": "pyarrow", "lmdb": "lmdb"}.get(name)
    if library:
        pytest.importorskip(library, reason=f"pip install {library}")


# --- made by two workers, killed, gone on with ---------------------------------------------------


@every_format
def test_killed_with_some_shards_made_no_record_is_false_and_the_command_goes_on(made, name):
    one = made(name)
    assert 1 < one.committed < IMAGES // SHARD
    assert one.false == [] and not (one.killed / "dataset.json").exists()
    assert one.status == 0, one.said
    assert f" of {IMAGES:,} images of 32 px into " in one.said and " with 2 workers" in one.said
    assert leftovers(one.path) == [] and scenarios.false_records(one.path) == []


@every_format
def test_all_that_is_written_is_the_group_s_where_the_umask_says_so(picture, tmp_path, name):
    cfg = compose(f"imgpath={picture}", "num_imgs=6", "img_size=32", "output.shard_size=3",
                  "save_params=true", "backend=sequential", f"output={name}",
                  f"targetpath={tmp_path / 'set'}")  # fmt: skip
    before = os.umask(0o007)
    try:
        make.task(cfg)(cfg)
        with hold(LocalStore(tmp_path / "set")):
            modes = {path: path.stat().st_mode & 0o777 for path in (tmp_path / "set").rglob("*")}
    finally:
        os.umask(before)
    assert {path.name for path in modes} >= {"run.log", "config.yaml", ".lock", ".lock.json"}
    wrong = {path: oct(mode) for path, mode in modes.items()
             if mode != (0o770 if path.is_dir() else 0o660)}  # fmt: skip
    assert wrong == {}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name in ("parquet", "lmdb") else ())
     for name in FORMATS],
)  # fmt: skip
def test_killed_before_any_step_of_a_commit_the_command_goes_on_to_the_same_bytes(
    picture, tmp_path, name
):
    typed = (f"imgpath={picture}", "num_imgs=6", "img_size=32", "output.shard_size=3",
             "save_params=true", "backend=sequential", f"output={name}")  # fmt: skip
    cfg = compose(*typed, "targetpath=set")
    act = make.task(cfg)
    cfg.targetpath = str(tmp_path / "whole")
    act(cfg)
    for step in range(1000):
        target = tmp_path / str(step)
        cfg.targetpath = str(target)
        assert killed_at(step, STEPS, lambda: act(cfg), lambda: scenarios.records(target) > 0)  # noqa: B023
        committed = scenarios.records(target)
        assert scenarios.false_records(target) == []
        act(cfg)
        assert tree_hash(target) == tree_hash(tmp_path / "whole") and leftovers(target) == []
        if committed == 2:
            break
    assert step > 3


@every_format
def test_the_images_are_those_of_the_recipe_in_every_format(made, files, name):
    stored = StoredDataset(made(name).path)
    assert len(stored) == IMAGES
    assert [stored.file(index) for index in range(IMAGES)] == files


@every_format
def test_one_process_makes_the_same_bytes_undisturbed(made, picture, tmp_path, name):
    target = tmp_path / "set"
    task(f"imgpath={picture}", *SETTINGS, "threads=1", f"output={name}", f"targetpath={target}")
    assert tree_hash(target) == tree_hash(made(name).path)


@every_format
def test_all_is_well(run, made, name):
    target = made(name).path
    said = run("task=verify", f"targetpath={target}", "threads=2")
    assert said.stdout == f"All {IMAGES} images in {target} are as they were committed.\n"


@every_format
def test_what_is_stored_is_what_is_rendered(made, name):
    said = task("task=verify", f"targetpath={made(name).path}", "task.deep=true", "threads=1")
    assert said.startswith("100 images rendered again, 0 of them differently.\n")


# --- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, suffix", [("webdataset", ".tar"), ("parquet", ".parquet")])
def test_damage_to_a_file_of_many_images_is_named_by_image_and_mended(
    run, made, tmp_path, name, suffix
):
    target = tmp_path / "set"
    shutil.copytree(made(name).path, target)
    shard = lambda number: f"train/shard-{number:06d}{suffix}"  # noqa: E731

    for k in (47, 51):  # one bit in each of two images
        [entry] = [e for e in read_entries(target / "manifest/000002.jsonl") if e.index == k]
        flip(target / entry.path, entry.offset + entry.bytes // 2)
    flip(target / shard(4), (target / shard(4)).stat().st_size - 1)  # in no image
    size = (target / shard(6)).stat().st_size
    os.truncate(target / shard(6), size // 2)
    (target / shard(8)).unlink()
    (target / "train" / "notes.txt").write_text("mine")
    (target / shard(20)).write_bytes(b"of a shard that there is not")

    said = run("task=verify", f"targetpath={target}", "threads=2", code=1)
    assert said.stdout.splitlines() == [
        f"image 47: {shard(2)} is altered",
        f"image 51: {shard(2)} is altered",
        f"images 80 … 99: {shard(4)} is altered",
        f"images 120 … 139: {shard(6)} is truncated ({size // 2:,} of {size:,} bytes)",
        f"images 160 … 179: {shard(8)} is missing",
        *sorted([
            "train/notes.txt is foreign (no record lists it)",
            f"{shard(20)} is foreign (no record lists it)",
        ]),
    ]  # fmt: skip
    said = task("task=repair", f"targetpath={target}", "threads=1")
    assert said.endswith("Repaired: 4 shards made again.\n")
    assert tree_hash(target) == tree_hash(made(name).path)
    assert (target / "foreign" / "train" / "notes.txt").read_text() == "mine"
    run("task=verify", f"targetpath={target}")


def flip(file: Path, place: int) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)


def test_damage_to_the_list_of_files_is_named_and_mended(run, made, tmp_path):
    # The other formats have no file of the dataset as a whole; damage to their images is above, in
    # test_lmdb and in tests/cli/test_verify.
    target = tmp_path / "set"
    shutil.copytree(made("folder").path, target)
    flip(target / "train" / "metadata.jsonl", 20)
    said = run("task=verify", f"targetpath={target}", code=1)
    assert said.stdout == "train/metadata.jsonl is altered\n"
    (target / "train" / "metadata.jsonl").unlink()
    said = run("task=verify", f"targetpath={target}", code=1)
    assert said.stdout == "train/metadata.jsonl is missing\n"
    task("task=repair", f"targetpath={target}", "threads=1")
    assert tree_hash(target) == tree_hash(made("folder").path)


# --- extending and overwriting -------------------------------------------------------------------


def small(picture: Path, target: Path, *more: str) -> str:
    """Makes, or goes on with, a dataset in this process."""
    common = (f"imgpath={picture}", "img_size=32", "augment=strong", "output.shard_size=20")
    return task(*common, "save_params=true", f"targetpath={target}", *more)


@every_format
def test_an_extended_dataset_is_that_of_a_fresh_run(picture, tmp_path, name):
    for count in (30, 50, 90):  # its last shard is short, and is made again when it gets longer
        small(picture, tmp_path / "set", f"output={name}", f"num_imgs={count}")
        fresh = tmp_path / str(count)
        small(picture, fresh, f"output={name}", f"num_imgs={count}")
        assert tree_hash(tmp_path / "set") == tree_hash(fresh)
        assert len(StoredDataset(fresh)) == count
    assert leftovers(tmp_path / "set") == []


@pytest.fixture(scope="module")
def olds(picture, tmp_path_factory) -> dict[str, Path]:
    """A dataset in each format to overwrite, of another recipe and with more shards."""
    folder = tmp_path_factory.mktemp("olds")
    for old in FORMATS:
        small(picture, folder / old, f"output={old}", "num_imgs=45", "deg=3")
    return {old: folder / old for old in FORMATS}


@every_format
def test_overwriting_leaves_nothing_of_another_format(picture, olds, tmp_path, name):
    fresh = tmp_path / "fresh"
    small(picture, fresh, f"output={name}", "num_imgs=25")
    expected = names(fresh)
    for old, path in olds.items():
        target = tmp_path / f"was-{old}"
        shutil.copytree(path, target)
        (target / "notes.txt").write_text("mine")
        small(picture, target, f"output={name}", "num_imgs=25", "if_exists=overwrite")
        assert names(target) == [*expected, "notes.txt"]
        assert tree_hash(target) == tree_hash(fresh)


def names(target: Path) -> list[str]:
    """Everything in the folder of a dataset, ``notes.txt`` last."""
    found = [str(path.relative_to(target)) for path in target.rglob("*")]
    return sorted(found, key=lambda path: (path == "notes.txt", path))


@every_format
def test_another_format_is_another_recipe(picture, tmp_path, name):
    other = FORMATS[FORMATS.index(name) - 1]
    small(picture, tmp_path / "set", f"output={name}", "num_imgs=5")
    with pytest.raises(UserError) as refused:
        small(picture, tmp_path / "set", f"output={other}", "num_imgs=5")
    assert f"(layout.output: {name} → {other}" in str(refused.value)


# --- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, module", [("parquet", "pyarrow"), ("lmdb", "lmdb"), ("mds", "streaming")]
)
def test_a_missing_library_is_named_with_what_installs_it(
    run_process, picture, tmp_path, name, module
):
    (tmp_path / f"{module}.py").write_text(f"raise ImportError('no {module} here')")
    target = tmp_path / "set"
    typed = (f"imgpath={picture}", "num_imgs=3", f"output={name}", f"targetpath={target}")
    said = run_process(*typed, code=1, PYTHONPATH=str(tmp_path))
    assert said.stdout == "" and said.stderr == (
        f"output={name} needs the module {module}, which cannot be imported here (no {module} "
        f'here): type pip install -e ".[{name}]".\n'
    )
    assert not target.exists()


@pytest.mark.parametrize("name", [*FORMATS, "mds"])
@pytest.mark.parametrize("size", [0, -1, "most + 1", 2.5, "many"])
def test_a_shard_has_at_least_one_image_and_not_too_many(picture, name, size):
    most = 1_000 if name == "folder" else 1_000_000  # files in a folder, images in a file
    size = most + 1 if size == "most + 1" else size
    more = ["output.class_name=c"] if name == "folder" else []
    cfg = compose(f"output={name}", f"output.shard_size={size}", *more)
    with pytest.raises(UserError) as refused:
        instantiate(cfg, "output")
    assert str(refused.value) == (
        f"output.shard_size={size} is not a whole number of images from 1 to {most:,}: type for "
        "example output.shard_size=1000."
    )


# --- images in a file ----------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(
    same=st.integers(0, 100),
    pieces=st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=80)), min_size=1),
    end=st.binary(max_size=100),
)
def test_images_are_found_in_a_file_though_all_begin_with_the_same_bytes(
    tmp_path_factory, same, pieces, end
):
    # All files of one encoder begin alike, and what lies between them may hold such beginnings.
    head = b"ab" * (same // 2) + b"a" * (same % 2)
    images = [head + rest for _, rest in pieces]
    images = [image or b"\0" for image in images]  # no image file is empty
    whole, offsets = b"", []
    for (between, _), image in zip(pieces, images, strict=True):
        whole += between + head[: len(between)]
        offsets.append(len(whole))
        whole += image
    file = tmp_path_factory.mktemp("parts") / "shard"
    file.write_bytes(whole + end)
    parts = [Part.of(index, image) for index, image in enumerate(images, 7)]
    first, *found = find_parts(file, "train/shard", parts)
    assert first.index is None and first.bytes == len(whole + end)
    position = 0
    for entry, image, offset in zip(found, images, offsets, strict=True):
        assert isinstance(entry, Entry) and entry.path == "train/shard"
        assert (whole + end)[entry.offset :][: entry.bytes] == image
        assert position <= entry.offset <= offset  # in order; chance may put one earlier
        position = entry.offset + entry.bytes


def test_an_image_that_does_not_stand_in_the_file_as_it_is_is_an_error(tmp_path):
    (tmp_path / "shard").write_bytes(b"compressed")
    with pytest.raises(RuntimeError, match=r"image 3 does not stand in .*/shard as it is"):
        list(find_parts(tmp_path / "shard", "train/shard", [Part.of(3, b"an image")]))


@pytest.mark.parametrize("between", [0, 5000, 200_000])
def test_images_are_found_however_much_stands_between_them(tmp_path, between):
    images = [bytes([65 + k]) * 3000 for k in range(4)]
    (tmp_path / "shard").write_bytes((b"." * between).join([b"head", *images]))
    parts = [Part.of(index, data) for index, data in enumerate(images)]
    found = list(find_parts(tmp_path / "shard", "train/shard", parts))[1:]
    assert [one.offset for one in found] == [4 + between + k * (3000 + between) for k in range(4)]
