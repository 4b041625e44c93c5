"""``task=export``: what a run in the other format would have made, without rendering it again."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
from hashlib import sha256
from pathlib import Path

import lmdb
import pytest
from omegaconf import OmegaConf

from singleimg import StoredDataset, UserError
from singleimg.config.location import CONF
from singleimg.tasks import export, generate
from tests.config.test_checks import loaded
from tests.conftest import summary_of
from tests.scenarios import (
    Command,
    leftovers,
    read_entries,
    read_record,
    records,
    tree_hash,
    wait_until,
)

FORMATS = ("folder", "webdataset", "parquet", "lmdb")
COUNT = 23
SMALL = ("img_size=32", "output.shard_size=7")
# Each is read once and written once; from one that saves draws to one that does not, and back.
PAIRS = [
    ("folder", "webdataset"),
    ("webdataset", "parquet"),
    ("parquet", "lmdb"),
    ("lmdb", "folder"),
]


@pytest.fixture(scope="module")
def direct(run, picture, tmp_path_factory) -> dict[str, Path]:
    """What runs of each format make, of 23 and of 46 images: eight jobs of one sweep."""
    home = tmp_path_factory.mktemp("direct")
    by_format = f"targetpath={home}/${{hydra:runtime.choices.output}}-${{num_imgs}}"
    sweep = (f"output={','.join(FORMATS)}", f"num_imgs={COUNT},{2 * COUNT}")
    run("-m", *sweep, f"imgpath={picture}", *SMALL, by_format)
    return {folder.name: next(folder.iterdir()) for folder in home.iterdir()}


@pytest.fixture(scope="module")
def exported(run, direct, tmp_path_factory) -> dict[str, Path]:
    """Each format from another one, by the command line: four jobs of one sweep."""
    home, made = tmp_path_factory.mktemp("exported"), {}
    (home / "from").mkdir()
    for source, wanted in PAIRS:
        name = OmegaConf.load(CONF / "output" / f"{wanted}.yaml")._target_
        (home / "from" / name).symlink_to(direct[f"{source}-{COUNT}"])
        made[wanted] = home / name
    places = (
        f"targetpath={home}/from/${{output._target_}}",
        f"task.to={home}/${{output._target_}}",
    )
    run("-m", "task=export", f"output={','.join(made)}", *places, "output.shard_size=7")
    return made


def said_of(made: Path) -> list[str]:
    """What the export said that made it, by its log."""
    logged = (made / "run.log").read_text().splitlines()
    lines = [line.split(" ", 3)[-1] for line in logged]
    begin = next(n for n, line in enumerate(lines) if f" into {made}: " in line)
    end = next(n for n, line in enumerate(lines) if n > begin and line.startswith("Extend:"))
    return lines[begin : end + 1]


def values(dataset: Path) -> dict[bytes, bytes]:
    """All keys and values of a dataset in LMDB, the digests of its shards among them."""
    environment = lmdb.open(str(dataset / "train.lmdb"), readonly=True, lock=False)
    with environment, environment.begin() as transaction:
        return dict(transaction.cursor())


def same(one: Path, other: Path) -> bool:
    """Whether two datasets are the same: to the byte, or in LMDB to the value."""
    if not (other / "train.lmdb").exists():
        return tree_hash(one) == tree_hash(other)
    parts = ("recipe.json", "dataset.json", *(f"manifest/{n:06d}.jsonl" for n in range(4)))
    texts = [[(path / part).read_bytes() for part in parts] for path in (one, other)]
    return texts[0] == texts[1] and values(one) == values(other)


def refused(**typed: object) -> str:
    """What ``task=export`` says to keys that it refuses."""
    keys = {key: key.replace("__", ".") for key in typed} | {"to": "task.to"}
    overrides = [f"{keys[key]}={value}" for key, value in typed.items()]
    with pytest.raises(UserError) as caught:
        export.export(loaded("task=export", *overrides))
    return str(caught.value)


def do(task, *overrides: str) -> None:
    """A task in this process, which spares the start of a command."""
    task(loaded(*overrides))


# --- the same dataset ----------------------------------------------------------------------------


@pytest.mark.parametrize("source, wanted", PAIRS)
def test_it_is_what_a_run_with_that_output_makes(direct, exported, source, wanted):
    """Images, what was drawn, records, recipe and summary."""
    made, expected = exported[wanted], direct[f"{wanted}-{COUNT}"]
    assert same(made, expected)
    assert not same(made, direct[f"{wanted}-{2 * COUNT}"])
    assert summary_of(made)["images"] == COUNT and leftovers(made) == []
    names = {path.name for path in expected.iterdir()}
    assert {path.name for path in made.iterdir()} == names
    assert list(map(StoredDataset(made).file, range(COUNT))) == list(
        map(StoredDataset(direct[f"{source}-{COUNT}"]).file, range(COUNT))
    )


def test_all_of_them_verify_to_the_pixel(run, direct, exported):
    """``deep=true`` renders images again, from what lies beside them. Their sources stay whole."""
    paths = [*exported.values(), *(direct[f"{source}-{COUNT}"] for source, _ in PAIRS)]
    result = run("-m", "task=verify", "task.deep=true", f"targetpath={','.join(map(str, paths))}")
    for path in paths:
        said = f"All {COUNT} images in {path} are as they were committed."
        assert said in result.stdout.splitlines()
    assert result.stdout.count(f"{COUNT} images rendered again, 0 of them differently.") == 8


def test_it_says_what_a_run_says(exported):
    path = exported["parquet"]
    first, second, *last = said_of(path)
    assert first.startswith(f"{COUNT} images of 32 px into {path}: about ")
    assert second.startswith(f"{COUNT} images, ")
    assert last == [
        f"Folder:  {path}",
        f"Load:    singleimg.StoredDataset('{path}')",
        f"Extend:  python run.py -cp {path} -cn config num_imgs={2 * COUNT}",
    ]


def test_the_command_that_it_prints_extends_it(run, direct, exported, tmp_path):
    path = tmp_path / "parquet"
    shutil.copytree(exported["parquet"], path)
    line = said_of(exported["parquet"])[-1].replace(str(exported["parquet"]), str(path))
    program, *arguments = shlex.split(line.removeprefix("Extend:  python "))
    assert program == "run.py"
    result = run(*arguments)
    # Three shards of four were whole; the last one is begun anew.
    assert f"25 of {2 * COUNT} images of 32 px" in result.stdout
    assert tree_hash(path) == tree_hash(direct[f"parquet-{2 * COUNT}"])


def test_the_same_export_again_finds_all_there(run, direct, exported):
    path = exported["webdataset"]
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*")}
    result = run(
        "task=export", f"targetpath={direct[f'folder-{COUNT}']}", f"task.to={path}",
        "output=webdataset", "output.shard_size=7",
    )  # fmt: skip
    assert result.stdout.splitlines() == [
        f"All {COUNT} images are in {path} already.",
        *said_of(path)[2:],
    ]
    assert {file: file.stat().st_mtime_ns for file in path.rglob("*")} == before


def test_another_encoding_and_the_name_of_the_class_are_kept(picture, tmp_path):
    """The bytes are those that there are, so the new configuration must say what they are."""
    common = (f"imgpath={picture}", "num_imgs=6", *SMALL, "encode=webp",
              "encode.quality=90", "engine=reference", "augment=strong")  # fmt: skip
    named = (*common, "output.class_name=cats")
    do(generate.generate, *named, f"targetpath={tmp_path}/named")
    do(generate.generate, *common, "output=lmdb", f"targetpath={tmp_path}/lmdb")
    for source, class_name in (("named", "cats"), ("lmdb", "my-picture")):
        to = tmp_path / f"from-{source}"
        typed = (f"targetpath={tmp_path}/{source}", f"task.to={to}", "output=folder")
        do(export.export, "task=export", *typed, "output.shard_size=7")
        assert sorted(path.name for path in (to / "train").iterdir() if path.is_dir()) == [
            class_name
        ]
        again = tmp_path / f"again-{source}"
        do(generate.generate, *common, f"output.class_name={class_name}", f"targetpath={again}")
        assert tree_hash(to) == tree_hash(again)


# --- without its source --------------------------------------------------------------------------


@pytest.fixture
def orphan(run, picture, tmp_path) -> Path:
    """A dataset of which the source picture is gone; this process never read that."""
    shutil.copy(picture, tmp_path / "gone.png")
    typed = (f"imgpath={tmp_path}/gone.png", "num_imgs=9", *SMALL)
    run(*typed, f"targetpath={tmp_path}/set")
    (tmp_path / "gone.png").unlink()
    return tmp_path / "set"


def test_what_was_drawn_needs_the_source_and_the_images_do_not(orphan, tmp_path):
    assert refused(targetpath=orphan, to=tmp_path / "parquet", output="parquet") == (
        f"what was drawn cannot be drawn again without the source: imgpath={tmp_path}/gone.png "
        "does not exist: type the path of a picture, or type save_params=false."
    )
    assert not (tmp_path / "parquet").exists()
    for output, *more in (("parquet", "save_params=false"), ("lmdb",)):
        to = tmp_path / output
        typed = (f"targetpath={orphan}", f"task.to={to}", f"output={output}", *more)
        do(export.export, "task=export", *typed)
        assert summary_of(to)["images"] == 9
        kept = list(map(StoredDataset(orphan).file, range(9)))
        assert list(map(StoredDataset(to).file, range(9))) == kept


# --- what must not be exported -------------------------------------------------------------------


@pytest.fixture
def copied(direct, tmp_path) -> Path:
    """A dataset to harm."""
    shutil.copytree(direct[f"webdataset-{COUNT}"], tmp_path / "set")
    return tmp_path / "set"


def harmed(path: Path, index: int) -> str:
    return (
        f"image {index} of targetpath={path} is not as it was committed: type python run.py "
        f"task=verify targetpath={path} to see what is wrong."
    )


def test_an_image_that_was_harmed_comes_into_no_record(run, copied, tmp_path):
    """What was before it is committed, and true; once it is mended, the export goes on."""
    tar, to = copied / "train/shard-000002.tar", tmp_path / "new"
    whole = tar.read_bytes()
    [entry] = [e for e in read_entries(copied / "manifest/000002.jsonl") if e.index == 16]
    data = bytearray(whole)
    data[entry.offset + entry.bytes // 2] ^= 1
    tar.write_bytes(data)
    typed = ("task=export", f"targetpath={copied}", f"task.to={to}", "output=folder")
    result = run(*typed, "output.shard_size=5", code=1)
    assert result.stderr == harmed(copied, 16) + "\n"
    assert not (to / "dataset.json").exists() and leftovers(to) == []
    assert [read_record(file).stop for file in sorted((to / "manifest").iterdir())] == [5, 10, 15]
    for file in (to / "manifest").iterdir():
        for listed in read_entries(file):
            assert (to / listed.path).read_bytes() == StoredDataset(copied).file(listed.index)
    tar.write_bytes(whole)
    do(export.export, *typed, "output.shard_size=5")
    assert summary_of(to)["images"] == COUNT


@pytest.mark.parametrize("harm", ["truncated", "missing", "record"])
def test_a_file_that_cannot_be_read_is_said_to_be_of_the_source(copied, tmp_path, harm):
    """Not to be one that could not be written."""
    if harm == "record":
        (copied / "manifest/000000.jsonl").write_text("{}")
    elif harm == "missing":
        (copied / "train/shard-000000.tar").unlink()
    else:
        (copied / "train/shard-000000.tar").write_bytes(b"")
    said = refused(targetpath=copied, to=tmp_path / "new", output="folder")
    assert said == harmed(copied, 0)
    assert not (tmp_path / "new").exists()


def test_an_image_that_is_missing_from_a_folder_or_an_environment(direct, tmp_path):
    folder, environment = tmp_path / "folder", tmp_path / "lmdb"
    for path in (folder, environment):
        shutil.copytree(direct[f"{path.name}-{COUNT}"], path)
    next(folder.rglob("patch_000000000.jpg")).unlink()
    with lmdb.open(str(environment / "train.lmdb")) as opened, opened.begin(write=True) as changes:
        changes.delete(b"000000000")
    for path in (folder, environment):
        said = refused(targetpath=path, to=tmp_path / "new", output="webdataset")
        assert said == harmed(path, 0)


def test_an_unfinished_dataset(copied, tmp_path):
    (copied / "dataset.json").unlink()
    assert refused(targetpath=copied, to=tmp_path / "new", output="parquet") == (
        f"targetpath={copied} holds an unfinished dataset: to resume it, type python run.py -cp "
        f"{copied} -cn config"
    )


def test_what_is_typed_must_make_sense(direct, tmp_path, monkeypatch):
    made, new = direct[f"webdataset-{COUNT}"], tmp_path / "new"
    assert refused() == "task=export needs a place for the new dataset: type task.to=…."
    assert refused(to=new) == "task=export needs the folder of a dataset: type targetpath=…."
    assert refused(targetpath=tmp_path, to=new) == (
        f"targetpath={tmp_path} holds no dataset: type the folder of one."
    )
    assert refused(targetpath=made, to=new, output="none") == (
        "output=none writes nothing: type another output."
    )
    for key, value in (("encode", "png"), ("encode.quality", 90)):
        said = refused(targetpath=made, to=new, output="parquet", **{key.replace(".", "__"): value})
        assert said.startswith(f"{key}={value} has no effect, since task=export does not read it")
    assert refused(targetpath=made, to="s3://bucket/name", output="folder") == (
        "targetpath=s3://bucket/name is behind a URL, and output=folder writes to disks of this "
        "machine only: type output=webdataset, output=parquet or output=mds, or a folder."
    )
    said = refused(targetpath=made, to=new, output="parquet", deg=3)
    assert said.startswith("deg=3 has no effect, since task=export does not read it")
    assert not new.exists()


def test_a_dataset_is_not_exported_onto_itself(direct, tmp_path):
    """By whichever name: what is overwritten could not be read any more."""
    made = direct[f"webdataset-{COUNT}"]
    before = tree_hash(made)
    (tmp_path / "link").symlink_to(made)
    for name in (made, tmp_path / "link", made / ".." / made.name, f"{made}/"):
        said = refused(targetpath=made, to=name, output="parquet", if_exists="overwrite")
        assert said.endswith(" is targetpath itself: type another folder.")
    assert tree_hash(made) == before


def test_what_lies_in_the_new_place_is_safe(direct, tmp_path):
    made, (one, other) = direct[f"webdataset-{COUNT}"], (tmp_path / "one", tmp_path / "other")
    one.mkdir()
    (one / "mine.txt").write_text("mine")
    assert f"{one} is not empty (mine.txt is in it) and holds no dataset" in refused(
        targetpath=made, to=one, output="parquet"
    )
    do(generate.generate, "num_imgs=5", *SMALL, f"targetpath={other}")
    before = tree_hash(other)
    said = refused(targetpath=made, to=other, output="folder", output__shard_size=7)
    assert f"{other} holds a dataset of another recipe (pixels.sources: " in said
    assert tree_hash(other) == before
    typed = (f"targetpath={made}", f"task.to={other}", "output=folder", "output.shard_size=7")
    do(export.export, "task=export", *typed, "if_exists=overwrite")
    assert tree_hash(other) == tree_hash(direct[f"folder-{COUNT}"])


# --- killed --------------------------------------------------------------------------------------


def test_it_goes_on_where_it_was_killed(run, direct, tmp_path):
    """Workers and driver at once, in the middle of a shard; what is committed stays as it is."""
    to, source = tmp_path / "new", direct[f"lmdb-{2 * COUNT}"]
    typed = ("task=export", f"targetpath={source}", f"task.to={to}", "output=webdataset",
             "output.shard_size=1")  # fmt: skip
    command = Command(*typed, "backend.from_seconds=0", "threads=2")
    assert wait_until(lambda: records(to) >= 3 or command.ended())
    command.signal(signal.SIGKILL, everyone=True)
    assert command.end().status == -signal.SIGKILL and not (to / "dataset.json").exists()
    kept = {file: file.stat().st_mtime_ns for file in (to / "manifest").iterdir()}
    assert 3 <= len(kept) < 2 * COUNT
    result = run(*typed)
    assert f"{2 * COUNT - len(kept)} of {2 * COUNT} images of 32 px" in result.stdout
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    uninterrupted = tmp_path / "uninterrupted"
    do(export.export, *typed[:2], f"task.to={uninterrupted}", *typed[3:])
    assert tree_hash(to) == tree_hash(uninterrupted) and leftovers(to) == []
    assert json.loads((to / "dataset.json").read_text())["shards"] == 2 * COUNT


def test_each_record_says_what_made_its_images_and_draws_need_the_same_versions(
    run, picture, tmp_path
):
    source = tmp_path / "a"
    typed = (f"imgpath={picture}", "img_size=32", "output.shard_size=10", "engine=reference")
    run(*typed, "num_imgs=10", f"targetpath={source}")
    recipe = source / "recipe.json"
    here = json.loads(recipe.read_text())["made_with"]["torchvision"]
    for file in (recipe, source / "manifest/000000.jsonl"):
        file.write_text(file.read_text().replace(f'"torchvision": "{here}"', '"torchvision": "0"'))
    record = source / "manifest/000000.jsonl"
    body = record.read_bytes().split(b"\n", 1)[1]
    record.write_bytes(json.dumps({"sha256": sha256(body).hexdigest()}).encode() + b"\n" + body)
    run(*typed, "num_imgs=20", f"targetpath={source}", "allow_version_change=true")
    export = (
        "task=export",
        f"targetpath={source}",
        f"task.to={tmp_path / 'b'}",
        "output=webdataset",
    )
    refused = run(*export, code=1)
    assert f"made with other versions (torchvision: 0 → {here}), which may" in refused.stderr
    run(*export, "save_params=false", "output.shard_size=10")
    said = [
        json.loads(file.read_text().splitlines()[1])["made_with"]["torchvision"]
        for file in sorted((tmp_path / "b" / "manifest").iterdir())
    ]
    assert said == ["0", here]
