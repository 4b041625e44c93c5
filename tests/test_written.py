"""What an earlier version wrote is read, verified, gone on with, made again, exported and loaded.

The datasets in ``tests/fixtures/written`` have keys of the encoder below ``output`` and dotted
paths of their time in ``config.yaml``; none of these files is edited here but for where they lie.
Where other versions of the libraries made them, bytes are not compared: then going on is refused
first, and asked for.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from singleimg import RenderedDataset, SingleImage, StoredDataset, UserError
from tests.fixtures.make import DATASETS, IMAGES, SHARD, WRITTEN
from tests.scenarios import leftovers, tree_hash
from tests.written import digests_of, lay_out, others, recipe_of, same_bytes

UNFINISHED = "folder-unfinished"
FINISHED = [name for name in DATASETS if name != UNFINISHED]
LIBRARIES = {"parquet": "pyarrow", "lmdb": "lmdb", "mds": "streaming"}
MORE = 18  # images of an extended set: the last shard is not full
EXPORT_TO = {
    "folder": "webdataset",
    "webdataset": "parquet",
    "parquet": "lmdb",
    "lmdb": "folder",
    "mds": "folder",
}


def format_of(name: str) -> str:
    return name.partition("-")[0]


def need(*formats: str) -> None:
    """Skips where a library is missing; that of mds has an environment of its own (test_mds)."""
    for library in filter(None, map(LIBRARIES.get, formats)):
        pytest.importorskip(library, reason=f"{library} is not installed")


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """All of them in one folder, to be read only."""
    folder = tmp_path_factory.mktemp("written")
    for name in DATASETS:
        lay_out(name, folder)
    return folder


def typed_again(run, dataset: Path, *more: str) -> Any:
    """The command that goes on with a dataset; what other versions made is refused before."""
    command = ("-cp", str(dataset), "-cn", "config", f"targetpath={dataset}", *more)
    if others(recipe_of(dataset)["made_with"]):
        said = run(*command, code=1).stderr
        assert "was made with other versions, which may round otherwise" in said
        assert "allow_version_change=true to go on all the same" in said
        command = (*command, "allow_version_change=true")
    return run(*command)


# --- read ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FINISHED)
def test_every_byte_is_as_it_was_committed(run, written, name):
    need(*{format_of(name)} - {"mds"})
    said = run("task=verify", f"targetpath={written / name}", "threads=1").stdout
    assert said == f"All {IMAGES} images in {written / name} are as they were committed.\n"


@pytest.mark.parametrize("name", FINISHED)
def test_stored_images_are_read(written, name):
    need(*{format_of(name)} - {"mds"})
    stored, digests = StoredDataset(written / name), digests_of(WRITTEN / name)
    size = int(recipe_of(WRITTEN / name)["pixels"]["img_size"])
    assert len(stored) == IMAGES and sorted(digests) == list(range(IMAGES))
    assert {i: sha256(stored.file(i)).hexdigest() for i in range(IMAGES)} == digests
    assert {(image.size, label) for image, label in stored} == {((size, size), 0)}


def test_an_unfinished_set_is_named_so(run, written):
    with pytest.raises(UserError, match="holds a dataset of which images are missing"):
        StoredDataset(written / UNFINISHED)
    said = run("task=verify", f"targetpath={written / UNFINISHED}", "threads=1", code=1).stderr
    assert f"what is there is right, and {IMAGES - SHARD} of {IMAGES} images are still " in said
    assert f"-cp {written / UNFINISHED} -cn config" in said


def draws_beside(dataset: Path) -> Iterator[dict[str, Any]]:
    """What was drawn for each image, of formats that keep it as it was drawn."""
    for file in sorted((dataset / "params").glob("*.jsonl")):
        yield from map(json.loads, file.read_text().splitlines())
    for file in sorted((dataset / "train").glob("*.tar")):
        with tarfile.open(file) as archive:
            for member in archive:
                if member.name.endswith(".json"):
                    row = json.load(archive.extractfile(member))
                    names = ("index", "source")
                    transforms = json.loads(row["transforms"])
                    yield {**{name: row[name] for name in names}, "transforms": transforms}


@pytest.mark.parametrize(
    "name", [name for name in DATASETS if name.startswith(("folder", "webdataset", "lmdb-native"))]
)
def test_the_recipe_draws_what_was_saved(written, name):
    images, saved = SingleImage.open(written / name), list(draws_beside(written / name))
    assert [row["index"] for row in saved] == sorted(digests_of(written / name))
    assert [json.loads(json.dumps(images.draw(row["index"]).record())) for row in saved] == saved


@pytest.mark.parametrize("name", ["parquet-reference", "parquet-native"])
def test_the_recipe_draws_what_stands_in_the_columns_of_a_table(written, name):
    parquet = pytest.importorskip("pyarrow.parquet")
    images = SingleImage.open(written / name)
    columns, rows = images.columns(), []
    for file in sorted((written / name / "train").glob("*.parquet")):
        rows += parquet.read_table(file).drop_columns(["image"]).to_pylist()
    for index, row in enumerate(rows):
        expected = {"index": index, "source": 0, **columns.row(images.draw(index))}
        there = [{k: v for k, v in one.items() if v is not None} for one in (row, expected)]
        assert there[0] == there[1] and len(there[0]) > 6
    assert len(rows) == IMAGES


def test_the_recipe_draws_what_stands_in_a_file_of_mds(written):
    images = SingleImage.open(written / "mds-reference")
    files = sorted((written / "mds-reference" / "train").glob("*/*.mds"))
    for index in range(IMAGES):
        record = json.dumps(images.draw(index).record()).encode()
        assert record in files[index // SHARD].read_bytes()


@pytest.mark.parametrize("name", DATASETS)
def test_the_recipe_renders_what_was_stored(written, name):
    recipe, digests = recipe_of(written / name), digests_of(written / name)
    images, rendered = SingleImage.open(written / name), RenderedDataset(written / name)
    size = int(recipe["pixels"]["img_size"])
    assert len(rendered) == IMAGES and images.render(1).shape == (size, size, 3)
    assert (images.render(1) == rendered.render(1)).all()
    if not same_bytes(recipe["made_with"]):
        pytest.skip(f"made with other versions: {', '.join(others(recipe['made_with']))}")
    assert {i: sha256(rendered.file(i)).hexdigest() for i in digests} == digests


# --- gone on with --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FINISHED)
def test_a_finished_set_is_there_already(run, tmp_path, name):
    need(format_of(name))
    target = lay_out(name, tmp_path)
    before = tree_hash(target)
    command = ("-cp", str(target), "-cn", "config", f"targetpath={target}")
    assert f"All {IMAGES} images are in {target} already." in run(*command).stdout
    assert tree_hash(target) == before


@pytest.mark.parametrize("name", FINISHED)
def test_a_finished_set_grows(run, tmp_path, name):
    need(format_of(name))
    target = lay_out(name, tmp_path)
    records = [file.read_bytes() for file in sorted((target / "manifest").iterdir())]
    said = typed_again(run, target, f"num_imgs={MORE}").stdout
    assert f"{MORE - IMAGES} of {MORE} images of " in said
    stored, rendered = StoredDataset(target), RenderedDataset(target)
    assert len(stored) == len(rendered) == MORE and leftovers(target) == []
    assert [f.read_bytes() for f in sorted((target / "manifest").iterdir())][:3] == records
    assert {i: sha256(stored.file(i)).hexdigest() for i in range(MORE)} == digests_of(target)
    # Rendered by what is saved now, with the recipe that was saved then.
    for index in range(IMAGES, MORE):
        assert stored.file(index) == rendered.file(index)
    assert recipe_of(target) == recipe_of(WRITTEN / name)


def test_an_unfinished_set_is_finished_as_if_nobody_had_stopped_it(run, tmp_path):
    target = lay_out(UNFINISHED, tmp_path)
    first = digests_of(target)
    said = typed_again(run, target).stdout
    assert f"{IMAGES - SHARD} of {IMAGES} images of 24 px" in said
    assert {i: d for i, d in digests_of(target).items() if i in first} == first
    assert {i: sha256(StoredDataset(target).file(i)).hexdigest() for i in range(IMAGES)} == (
        digests_of(target)
    )
    new = tmp_path / "new"
    run("-cp", str(target), "-cn", "config", f"targetpath={new}")
    if not others(recipe_of(target)["made_with"]):
        assert tree_hash(target) == tree_hash(new)


def test_what_other_versions_made_is_gone_on_with_only_when_asked_for(run, tmp_path):
    """The rule of this file, where the versions are those of the fixtures too."""
    target = lay_out(UNFINISHED, tmp_path)
    recipe = recipe_of(target)
    recipe["made_with"]["torch"] = "2.0"
    (target / "recipe.json").write_text(json.dumps(recipe, indent=2) + "\n")
    assert "torch" in others(recipe["made_with"]) and not same_bytes(recipe["made_with"])
    typed_again(run, target)
    assert len(StoredDataset(target)) == IMAGES
    assert recipe_of(target)["made_with"]["torch"] == "2.0"


# --- made again, exported ------------------------------------------------------------------------

ENCODERS = {
    "folder-native": {"encoding": "jpeg", "quality": 90.0, "subsampling": "4:4:4",
                      "jpeg": "simplejpeg"},
    "webdataset-reference": {"encoding": "png"},
    "parquet-reference": {"encoding": "webp", "quality": 80.0},
}  # fmt: skip


@pytest.mark.parametrize("name", FINISHED)
def test_it_is_made_again_to_the_byte(run, tmp_path, name):
    need(format_of(name))
    target, new = lay_out(name, tmp_path), tmp_path / "new"
    run("-cp", str(target), "-cn", "config", f"targetpath={new}")
    old, made = recipe_of(target), recipe_of(new)
    for part in ("fingerprint", "pixels", "layout"):
        assert made[part] == old[part]
    assert made["pixels"]["encoder"] == ENCODERS.get(name, old["pixels"]["encoder"])
    assert len(StoredDataset(new)) == IMAGES
    if same_bytes(old["made_with"]):
        assert digests_of(new) == digests_of(target)
    if not others(old["made_with"]):
        assert tree_hash(new) == tree_hash(target)


def test_the_quality_that_was_typed_then_is_that_of_the_images(run, tmp_path):
    """Keys of the encoder below ``output`` of a saved file count, in what is added to it too."""
    target = lay_out("folder-native", tmp_path)
    typed_again(run, target, f"num_imgs={MORE}")
    old, added = (Image.open(io.BytesIO(StoredDataset(target).file(i))) for i in (0, MORE - 1))
    assert added.quantization == old.quantization
    assert max(old.quantization[0]) < 30  # of quality 90; of 75 it is 61
    assert {sampling[1:3] for sampling in added.layer} == {(1, 1)}  # 4:4:4


def test_a_key_that_is_added_reaches_the_transforms(run, tmp_path):
    target, new = lay_out("folder-native", tmp_path), tmp_path / "new"
    run("-cp", str(target), "-cn", "config", f"targetpath={new}", "deg=45", "num_imgs=4")
    old, made = recipe_of(target)["pixels"], recipe_of(new)["pixels"]
    crop = next(entry for entry in made["transforms"] if "degrees" in entry)
    assert crop["degrees"] == 45.0
    crop["degrees"] = 30.0
    assert made == old


@pytest.mark.parametrize("name", FINISHED)
def test_it_is_exported_image_by_image(run, written, tmp_path, name):
    wanted = EXPORT_TO[format_of(name)]
    need(*{format_of(name), wanted} - {"mds"})
    new, made_with = tmp_path / "new", recipe_of(written / name)["made_with"]
    command = ("task=export", f"targetpath={written / name}", f"output={wanted}", f"task.to={new}")
    if wanted in ("webdataset", "parquet") and others(made_with):  # what is drawn is saved with it
        assert "was made with other versions" in run(*command, code=1).stderr
        command = (*command, "save_params=false")
    run(*command)
    one, other = StoredDataset(written / name), StoredDataset(new)
    assert [other.file(i) for i in range(len(other))] == [one.file(i) for i in range(IMAGES)]
    assert recipe_of(new)["pixels"] == recipe_of(written / name)["pixels"]
    # What is written beside the images now has the encoder of then.
    again = run("-cp", str(new), "-cn", "config", f"targetpath={new}").stdout
    assert f"All {IMAGES} images are in {new} already." in again
