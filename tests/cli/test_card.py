"""``README.md`` and ``croissant.json``: what others read of a dataset, by their own programs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from singleimg import StoredDataset

SMALL = ("img_size=32", "num_imgs=60", "encode=png")
OUTPUTS = ("folder", "webdataset", "parquet", "lmdb")


@pytest.fixture(scope="module")
def made(run, picture, tmp_path_factory) -> dict[str, Path]:
    """A dataset in each format."""
    folder = tmp_path_factory.mktemp("made")
    for output in OUTPUTS:
        if output in ("parquet", "lmdb"):
            pytest.importorskip({"parquet": "pyarrow"}.get(output, output))
        run(f"imgpath={picture}", *SMALL, f"output={output}", "output.shard_size=25",
            f"targetpath={folder / output}")  # fmt: skip
    return {output: folder / output for output in OUTPUTS}


def head(folder: Path) -> dict:
    """The YAML at the beginning of a card."""
    _, text, _ = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(text)


@pytest.mark.parametrize("output", ["folder", "webdataset", "parquet"])
def test_hugging_face_reads_the_folder_by_its_card(made, output, tmp_path):
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    read = datasets.load_dataset(str(made[output]), split="train", cache_dir=str(tmp_path))
    assert len(read) == 60
    stored = StoredDataset(made[output])
    column = next(name for name in ("image", "png") if name in read.column_names)
    for index in (0, 24, 59):
        place = index if output != "folder" else read["index"][:].index(index)
        shown = read[place][column].convert("RGB")
        assert np.array_equal(np.asarray(shown), np.asarray(stored[index][0]))


def test_the_card_says_what_the_dataset_is(made):
    recipe = json.loads((made["folder"] / "recipe.json").read_text())
    for output, folder in made.items():
        card, about = (folder / "README.md").read_text(), head(folder)
        for part in ("60 images of 32 × 32 pixels", "Cut a square at random", "ICLR 2020",
                     recipe["fingerprint"], f"singleimg {recipe['made_with']['singleimg']}",
                     "-cp . -cn config", 'singleimg.StoredDataset(".")'):  # fmt: skip
            assert part in card, part
        assert about["license"] == "unknown" and "Not known." in card
        assert about["size_categories"] == ["n<1K"]
        assert ("configs" in about) == (output != "lmdb")
    assert 'lmdb.open("train.lmdb"' in (made["lmdb"] / "README.md").read_text()


@pytest.mark.parametrize("output", ["folder", "webdataset", "parquet"])
def test_croissant_is_valid_and_leads_to_the_images(made, output, monkeypatch):
    croissant = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    monkeypatch.chdir(made[output])
    described = croissant.Dataset(jsonld="croissant.json")
    assert not described.metadata.ctx.issues.errors
    if output == "webdataset":
        assert [one.id for one in described.metadata.distribution] == ["files"]
        return
    shown = next(iter(described.records("images")))["images/image"]
    assert shown.size == (32, 32)


def test_both_are_the_same_bytes_wherever_they_are_made(run, made, picture, tmp_path):
    run(f"imgpath={picture}", *SMALL, "output=webdataset", "output.shard_size=25",
        f"targetpath={tmp_path}/other", "threads=1")  # fmt: skip
    for name in ("README.md", "croissant.json"):
        assert (tmp_path / "other" / name).read_bytes() == (made["webdataset"] / name).read_bytes()
    run("task=verify", f"targetpath={tmp_path}/other")


def test_a_card_follows_the_dataset_until_somebody_takes_it_over(run, picture, tmp_path):
    typed = (f"imgpath={picture}", "img_size=32", f"targetpath={tmp_path}/set")
    card = tmp_path / "set" / "README.md"
    run(*typed, "num_imgs=20")
    assert "20 images" in card.read_text()
    run(*typed, "num_imgs=40")
    assert "40 images" in card.read_text()
    own = (
        "\n".join(line for line in card.read_text().splitlines() if "<!--" not in line)
        + "\nMine.\n"
    )
    card.write_text(own)
    said = run(*typed, "num_imgs=50").stdout
    assert card.read_text() == own and f"{card} was edited, and stays as it is." in said
    run(*typed, "num_imgs=10", "if_exists=overwrite", "output=webdataset")
    assert card.read_text() == own
    card.unlink()
    run("task=card", f"targetpath={tmp_path}/set", "task.licence=CC-BY-4.0")
    assert head(card.parent)["license"] == "cc-by-4.0" and "CC-BY-4.0. Every" in card.read_text()
    run(*typed, "num_imgs=10", "if_exists=overwrite", "output=none", code=1)


@pytest.mark.parametrize(
    ("licence", "said", "short"),
    [
        ("CC-BY-4.0", "CC-BY-4.0. Every image is a part of", "cc-by-4.0"),
        ("by Jane Doe: all rights reserved", "by Jane Doe: all rights reserved. ", "other"),
        ("null", "Not known.", "unknown"),
    ],
)
def test_the_licence_of_the_picture_is_what_was_typed(run, picture, tmp_path, licence, said, short):
    typed = f"image.licence={licence!r}" if " " in licence else f"image.licence={licence}"
    run(f"imgpath={picture}", "img_size=32", "num_imgs=3", typed, f"targetpath={tmp_path}/set")
    assert said in (tmp_path / "set" / "README.md").read_text()
    assert head(tmp_path / "set")["license"] == short


def test_pictures_of_ours_are_free_and_the_papers_are_not(run, tmp_path):
    from singleimg.config.compose import compose

    run("num_imgs=3", "img_size=32", f"targetpath={tmp_path}/set")
    assert head(tmp_path / "set")["license"] == "cc0-1.0"
    for name in ("ameyoko", "animals", "sf"):
        assert "must not be passed on" in compose(f"image={name}").image.licence
