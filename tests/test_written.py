"""What version 0.1.0 wrote is read, verified, exported and loaded, and gone on with by it alone.

The datasets in ``tests/fixtures/written`` have keys of the encoder below ``output`` and dotted
paths of their time in ``config.yaml``, and draws by the numbering 1, whose last bits were those of
a library; none of these files is edited here but for where they lie.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from singleimg import RenderedDataset, SingleImage, StoredDataset, UserError
from singleimg.config import saved
from singleimg.dataset.open import from_config
from singleimg.dataset.recipe import NUMBERING
from singleimg.dataset.target import Target
from singleimg.version import __version__
from tests.fixtures.make import DATASETS, IMAGES, SHARD, WRITTEN
from tests.scenarios import tree_hash
from tests.written import digests_of, lay_out, recipe_of

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


BY = "was made by singleimg 0.1.0, which drew other numbers than"
ON = "type another targetpath, if_exists=overwrite to replace it, or use that version to resume"


def command_of(dataset: Path, *more: str) -> tuple[str, ...]:
    """The command that goes on with a dataset."""
    return "-cp", str(dataset), "-cn", "config", f"targetpath={dataset}", *more


def refused(run, mend: str, *typed: str) -> None:
    """Whether a command is refused by one sentence that names the version and ends in ``mend``."""
    said = run(*typed, code=1).stderr
    assert f"{BY} {__version__}: {mend}" in said and "Traceback" not in said


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
    with pytest.raises(UserError, match="holds an unfinished dataset"):
        StoredDataset(written / UNFINISHED)
    said = run("task=verify", f"targetpath={written / UNFINISHED}", "threads=1", code=1).stderr
    assert f"{IMAGES - SHARD} of {IMAGES} images are missing, and all others are correct: " in said
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


def drawn_now(dataset: Path) -> list[dict[str, Any]]:
    """What its settings draw here, number 2 of the numberings."""
    images = from_config(saved.load(Target.at(str(dataset)).store))
    return [json.loads(json.dumps(images.draw(index).record())) for index in range(IMAGES)]


@pytest.mark.parametrize(
    "name", [name for name in DATASETS if name.startswith(("folder", "webdataset", "lmdb-native"))]
)
def test_what_is_drawn_now_differs_from_what_was_saved_in_last_bits_alone(written, name):
    before, now = list(draws_beside(written / name)), drawn_now(written / name)
    assert [row["index"] for row in before] == sorted(digests_of(written / name))
    assert shape_of(now[: len(before)]) == shape_of(before)
    pairs = zip(numbers_of(now[: len(before)]), numbers_of(before), strict=True)
    assert all(one == pytest.approx(other, rel=1e-12, abs=1e-9) for one, other in pairs)


def shape_of(value: Any) -> Any:
    """``value`` without its floats."""
    if isinstance(value, dict):
        return {key: shape_of(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape_of(one) for one in value]
    return float if isinstance(value, float) else value


def numbers_of(value: Any) -> list[float]:
    """The floats in ``value``."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [number for one in inner for number in numbers_of(one)]
    return [value] if isinstance(value, float) else []


@pytest.mark.parametrize("kind", [SingleImage.open, RenderedDataset])
def test_its_images_are_not_rendered_again_from_other_numbers(written, kind):
    dataset = written / "parquet-native"
    with pytest.raises(UserError) as caught:
        kind(dataset)
    assert str(caught.value) == (
        f"{dataset} {BY} {__version__}: read its images by StoredDataset, or use that version to "
        "render them again."
    )


# --- gone on with by that version alone ----------------------------------------------------------


@pytest.mark.parametrize("name", ["folder-native", "webdataset-reference", UNFINISHED])
def test_to_go_on_with_it_is_refused(run, tmp_path, name):
    target = lay_out(name, tmp_path)
    before = tree_hash(target)
    saved_command = "use that version to make it again, or copy its config.yaml into a folder of"
    for typed in (command_of(target), command_of(target, f"num_imgs={MORE}")):
        refused(run, saved_command, *typed, "allow_version_change=true")
    refused(run, saved_command, "-cp", str(target), "-cn", "config", f"targetpath={tmp_path / 'a'}")
    assert tree_hash(target) == before and not (tmp_path / "a").exists()


def test_to_type_its_command_again_is_refused(run, tmp_path):
    target = lay_out("folder-native", tmp_path)
    before = tree_hash(target)
    typed = (*DATASETS["folder-native"], f"imgpath={tmp_path}/picture.png", f"targetpath={target}")
    refused(run, ON, *typed, f"num_imgs={IMAGES}", f"output.shard_size={SHARD}")
    refused(run, ON, *typed, f"num_imgs={MORE}", f"output.shard_size={SHARD}")
    assert tree_hash(target) == before


def test_to_mend_it_is_refused_once_something_is_to_be_mended(run, tmp_path):
    target = lay_out("folder-native", tmp_path)
    repair = ("task=repair", f"targetpath={target}", "threads=1")
    assert "are as they were committed" in run(*repair).stdout
    next(target.glob("train/picture/000001/*5.jpg")).write_bytes(b"x")
    before = tree_hash(target)
    refused(run, "use that version to repair it.", *repair)
    deep = ("task=verify", "task.deep=true", f"targetpath={target}", "threads=1")
    refused(run, "leave task.deep out, or use that version.", *deep)
    assert tree_hash(target) == before


def test_an_altered_recipe_is_named_and_nothing_else(run, tmp_path):
    target = lay_out("folder-native", tmp_path)
    text = (target / "recipe.json").read_text()
    (target / "recipe.json").write_text(text.replace('"seed": 0.0', '"seed": 1.0'))
    said = run("task=verify", f"targetpath={target}", "threads=1", code=1)
    assert said.stdout == "recipe.json is altered\n" and "1 thing is wrong" in said.stderr


def test_it_is_replaced_where_that_is_typed(run, tmp_path):
    target = lay_out("folder-native", tmp_path)
    run(*command_of(target, "if_exists=overwrite"))
    assert len(StoredDataset(target)) == len(RenderedDataset(target)) == IMAGES
    assert recipe_of(target)["pixels"]["draws"] == NUMBERING


# --- its settings, exported ----------------------------------------------------------------------

ENCODERS = {
    "folder-native": {"encoding": "jpeg", "quality": 90.0, "subsampling": "4:4:4",
                      "jpeg": "simplejpeg"},
    "webdataset-reference": {"encoding": "png"},
    "parquet-reference": {"encoding": "webp", "quality": 80.0},
}  # fmt: skip


def settings_of(dataset: Path) -> Path:
    """Its configuration in a folder of its own."""
    folder = dataset.parent / "settings"
    folder.mkdir()
    shutil.copy(dataset / "config.yaml", folder)
    return folder


@pytest.mark.parametrize("name", FINISHED)
def test_its_settings_make_the_same_recipe_but_for_the_draws_and_the_raster(run, tmp_path, name):
    need(format_of(name))
    target, new = lay_out(name, tmp_path), tmp_path / "new"
    run("-cp", str(settings_of(target)), "-cn", "config", f"targetpath={new}")
    old, made = recipe_of(target), recipe_of(new)
    engine = old["pixels"]["engine"].replace("native", "raster-1")
    assert made["pixels"] == {**old["pixels"], "draws": NUMBERING, "engine": engine}
    assert made["layout"] == old["layout"]
    assert made["pixels"]["encoder"] == ENCODERS.get(name, old["pixels"]["encoder"])
    assert len(StoredDataset(new)) == IMAGES


def test_the_quality_that_was_typed_then_is_that_of_the_images(run, tmp_path):
    """Keys of the encoder below ``output`` of a saved file count."""
    target, new = lay_out("folder-native", tmp_path), tmp_path / "new"
    run("-cp", str(settings_of(target)), "-cn", "config", f"targetpath={new}")
    old, made = (Image.open(io.BytesIO(StoredDataset(one).file(0))) for one in (target, new))
    assert made.quantization == old.quantization
    assert max(old.quantization[0]) < 30  # of quality 90; of 75 it is 61
    assert {sampling[1:3] for sampling in made.layer} == {(1, 1)}  # 4:4:4


def test_a_key_that_is_added_reaches_the_transforms(run, tmp_path):
    target, new = lay_out("folder-native", tmp_path), tmp_path / "new"
    settings = ("-cp", str(settings_of(target)), "-cn", "config")
    run(*settings, f"targetpath={new}", "deg=45", "num_imgs=4")
    old, made = recipe_of(target)["pixels"], recipe_of(new)["pixels"]
    crop = next(entry for entry in made["transforms"] if "degrees" in entry)
    assert crop["degrees"] == 45.0
    crop["degrees"] = 30.0
    assert made == {**old, "draws": NUMBERING, "engine": "raster-1"}


@pytest.mark.parametrize("name", FINISHED)
def test_it_is_exported_image_by_image(run, written, tmp_path, name):
    wanted = EXPORT_TO[format_of(name)]
    need(*{format_of(name), wanted} - {"mds"})
    new = tmp_path / "new"
    command = ("task=export", f"targetpath={written / name}", f"output={wanted}", f"task.to={new}")
    if wanted in ("webdataset", "parquet"):  # what is drawn would be saved with it
        without = "type save_params=false to export its images alone, or use that version."
        refused(run, without, *command, "allow_version_change=true")
        command = (*command, "save_params=false")
    run(*command)
    one, other = StoredDataset(written / name), StoredDataset(new)
    assert [other.file(i) for i in range(len(other))] == [one.file(i) for i in range(IMAGES)]
    assert recipe_of(new)["pixels"] == recipe_of(written / name)["pixels"]
    again, verified = run(*command).stdout, run("task=verify", f"targetpath={new}").stdout
    assert f"All {IMAGES} images are in {new} already." in again
    assert verified == f"All {IMAGES} images in {new} are as they were committed.\n"
