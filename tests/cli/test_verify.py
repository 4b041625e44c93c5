"""``task=verify``: every kind of damage is found, named and mended."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import scenarios
from tests.conftest import ROOT, images_of
from tests.scenarios import read_entries, read_record, tree_hash

SMALL = ("num_imgs=75", "img_size=32", "output.shard_size=10", "save_params=true")


@pytest.fixture(scope="module")
def made(run, picture, tmp_path_factory) -> Path:
    """A finished dataset of eight shards."""
    target = tmp_path_factory.mktemp("made") / "set"
    run(f"imgpath={picture}", *SMALL, f"targetpath={target}")
    return target


@pytest.fixture
def dataset(made, tmp_path) -> Path:
    """A copy of it to harm."""
    shutil.copytree(made, tmp_path / "set")
    return tmp_path / "set"


def test_a_whole_dataset(run, made):
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    result = run("task=verify", f"targetpath={made}")
    assert result.stdout == f"All 75 images in {made} are as they were committed.\n"
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == before


@pytest.mark.parametrize("seed", [1, 2])
def test_six_kinds_of_damage_are_found_named_and_mended(run, made, dataset, seed):
    said = scenarios.damage(dataset, seed)
    result = run("task=verify", f"targetpath={dataset}", f"threads={seed}", code=1)
    lines = result.stdout.splitlines()
    assert len(said) == len(lines) == 7
    for path, what in said.items():
        [line] = [line for line in lines if f"{path} " in line]
        assert line.endswith(f"{path} {what}")
        if "patch_" in path and "foreign" not in what:
            assert line.startswith(f"image {int(Path(path).stem.removeprefix('patch_'))}: ")
    assert result.stderr == (
        f"targetpath={dataset}: 7 things are wrong: to repair it, type python run.py task=repair "
        f"targetpath={dataset}\n"
    )
    result = run("task=repair", f"targetpath={dataset}")
    # What is printed makes more of the same, and is no repair.
    assert f"Extend:  python run.py -cp {dataset} -cn config num_imgs=" in result.stdout
    assert "Repaired: 5 shards made again." in result.stdout
    assert tree_hash(dataset) == tree_hash(made)
    assert (next((dataset / "foreign").rglob("notes.txt"))).read_text() == "mine"
    run("task=verify", f"targetpath={dataset}")


def found(run, dataset) -> list[str]:
    return run("task=verify", f"targetpath={dataset}", code=1).stdout.splitlines()


def test_other_damage_is_named(run, made, dataset):
    shutil.rmtree(dataset / "train/my-picture/000000")
    (dataset / "manifest/000001.jsonl").unlink()
    (dataset / "params/000002.jsonl").write_text("{}")
    shutil.copy(dataset / "manifest/000003.jsonl", dataset / "manifest/000004.jsonl")
    (dataset / "train/my-picture/notes").mkdir()
    (dataset / "train/loose.jpg").write_text("mine")
    (dataset / "notes.txt").write_text("lies beside the data, and is nobody's business")
    size = (made / "params/000002.jsonl").stat().st_size
    assert sorted(found(run, dataset)) == sorted([
        "images 0 … 9: train/my-picture/000000 is missing",
        "images 10 … 19: manifest/000001.jsonl (the record) is missing",
        f"images 20 … 29: params/000002.jsonl is truncated (2 of {size:,} bytes)",
        "images 40 … 49: manifest/000004.jsonl (the record) is altered",
        "train/my-picture/notes is foreign (no record lists it)",
        "train/loose.jpg is foreign (no record lists it)",
    ])  # fmt: skip
    run("task=repair", f"targetpath={dataset}")
    assert tree_hash(dataset) == tree_hash(made)
    assert (dataset / "notes.txt").exists()


def test_a_record_edited_together_with_its_checksum_is_found_by_the_digest(run, made, dataset):
    from singleimg.storage.manifest import record_text

    file = dataset / "manifest/000002.jsonl"
    entries = read_entries(file)
    gone = entries.pop(0)
    file.write_text(record_text(read_record(file), entries))
    (dataset / gone.path).unlink()
    assert found(run, dataset) == ["dataset.json does not fit the records"]
    run("task=verify", f"targetpath={dataset}", "task.deep=true", code=1)


def test_an_altered_summary_and_an_altered_recipe(run, made, dataset):
    summary = json.loads((dataset / "dataset.json").read_text())
    (dataset / "dataset.json").write_text(json.dumps({**summary, "bytes": 1}))
    assert found(run, dataset) == ["dataset.json does not fit the records"]
    run("task=repair", f"targetpath={dataset}")
    assert tree_hash(dataset) == tree_hash(made)
    recipe = (dataset / "recipe.json").read_text()
    for altered in (recipe.replace('"seed": 0.0', '"seed": 1.0'), recipe[:-40], "[]"):
        (dataset / "recipe.json").write_text(altered)
        assert "recipe.json is altered" in found(run, dataset)
    result = run("task=repair", f"targetpath={dataset}")
    assert "Repaired: 0 shards made again." in result.stdout
    assert tree_hash(dataset) == tree_hash(made)
    for altered in ('{"images": 7', json.dumps({**summary, "images": 750})):
        (dataset / "dataset.json").write_text(altered)
        assert found(run, dataset) == ["dataset.json does not fit the records"]
    result = run("task=repair", f"targetpath={dataset}")
    assert "Repaired: 0 shards made again." in result.stdout


def test_what_is_foreign_is_never_written_over(run, dataset):
    for text in ("first", "second"):
        (dataset / "train/my-picture/000001/notes.txt").write_text(text)
        run("task=repair", f"targetpath={dataset}")
    folder = dataset / "foreign/train/my-picture/000001"
    kept = {path.name: path.read_text() for path in folder.iterdir()}
    assert kept == {"notes.txt": "first", "notes.txt.1": "second"}


def test_an_unfinished_dataset_is_said_to_be_one(run, dataset):
    (dataset / "dataset.json").unlink()
    (dataset / "manifest/000007.jsonl").unlink()
    result = run("task=verify", f"targetpath={dataset}", code=1)
    assert result.stdout == ""
    assert result.stderr == (
        f"targetpath={dataset}: 5 of 75 images are missing, and all others are correct: to resume "
        f"it, type python run.py -cp {dataset} -cn config\n"
    )


def test_deep_renders_images_again(run, made, dataset):
    result = run("task=verify", f"targetpath={made}", "task.deep=true")
    assert result.stdout.startswith("75 images rendered again, 0 of them differently.\n")
    # Bytes and records that fit each other, of another recipe than the one they claim to be of.
    run("-cp", dataset, "-cn", "config", f"targetpath={dataset}", "deg=9", "if_exists=overwrite")
    for name in ("recipe.json", "config.yaml", "config.resolved.yaml"):
        shutil.copy(made / name, dataset / name)
    fingerprint = json.loads((made / "recipe.json").read_text())["fingerprint"]
    _claim(dataset, fingerprint)
    run("task=verify", f"targetpath={dataset}")
    result = run("task=verify", f"targetpath={dataset}", "task.deep=true", code=1)
    line = (
        "image 3: train/my-picture/000000/patch_000000003.jpg is not what its recipe renders here"
    )
    assert line in result.stdout.splitlines()


def _claim(dataset: Path, fingerprint: str) -> None:
    from dataclasses import replace

    from singleimg.dataset.target import Target
    from singleimg.outputs.folder import FolderOutput
    from singleimg.storage.manifest import record_text

    for file in (dataset / "manifest").iterdir():
        record = replace(read_record(file), fingerprint=fingerprint)
        file.write_text(record_text(record, read_entries(file)))
    target = Target.at(str(dataset))
    target.finish(target.recipe(), 75, FolderOutput(class_name="my-picture"))


def test_repair_needs_the_same_source(run, picture, tmp_path):
    shutil.copy(picture, tmp_path / "a.png")
    target = tmp_path / "set"
    run(f"imgpath={tmp_path / 'a.png'}", *SMALL, f"targetpath={target}")
    shutil.rmtree(target / "train/a/000000")
    from PIL import Image

    Image.new("RGB", (200, 150)).save(tmp_path / "a.png")
    before = tree_hash(target)
    result = run("task=repair", f"targetpath={target}", code=1)
    assert "holds a dataset of another recipe (pixels.sources: " in result.stderr
    assert tree_hash(target) == before


def test_what_verify_does_not_read_is_refused(run, made):
    result = run("task=verify", f"targetpath={made}", "deg=3", code=1)
    assert result.stderr == (
        "deg=3 has no effect, since task=verify does not read it (it reads task.deep, targetpath, "
        "threads, trusted_modules, backend): leave it out.\n"
    )
    result = run("task.deep=true", code=1)
    assert result.stderr == (
        "task.deep is a key of task=verify and task=repair: type that too, or leave it out.\n"
    )
    result = run("network=cifar_conv4", code=1)
    assert result.stderr == (
        "network=cifar_conv4 has no effect, since task=generate does not read it: leave it out.\n"
    )


def test_nothing_to_verify(run, tmp_path):
    result = run("task=verify", code=1)
    assert result.stderr == ("task=verify needs the folder of a dataset: type targetpath=….\n")
    result = run("task=verify", f"targetpath={tmp_path}", code=1)
    assert result.stderr == (f"targetpath={tmp_path} holds no dataset: type the folder of one.\n")


def test_verifying_imports_no_torch(made):
    code = (
        "import sys; sys.argv = ['run.py', 'task=verify', 'targetpath=" + str(made) + "'];"
        "import runpy\n"
        "try:\n runpy.run_path('run.py', run_name='__main__')\n"
        "except SystemExit as end:\n assert end.code == 0, end.code\n"
        "assert 'torch' not in sys.modules and 'torchvision' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_images_are_still_there(made):
    assert len(images_of(made)) == 75
