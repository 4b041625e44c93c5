"""``folder``, read by torchvision and by Hugging Face."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from torchvision.datasets import ImageFolder

from singleimg import StoredDataset
from singleimg.outputs.folder import FolderOutput
from tests.outputs.conftest import IMAGES


@pytest.fixture(scope="module")
def train(made) -> Path:
    return made("folder").path / "train"


def test_image_folder_sees_one_class_and_every_image_in_order(train, files):
    read = ImageFolder(str(train))
    assert read.classes == ["my-picture"] and set(read.targets) == {0}
    assert [Path(path).read_bytes() for path, _ in read.samples] == files


def test_image_folder_and_ours_show_the_same_pictures(made, train):
    ours = StoredDataset(made("folder").path)
    for (theirs, label), (image, zero) in zip(ImageFolder(str(train)), ours, strict=True):
        assert theirs.tobytes() == image.tobytes() and label == zero == 0


def test_hugging_face_sees_no_label_and_the_index_of_each_image(
    train, files, hugging_face, tmp_path
):
    read = hugging_face.load_dataset(
        "imagefolder", data_dir=str(train), split="train", cache_dir=str(tmp_path)
    )
    assert set(read.features) == {"image", "index"}  # a shard's number is no class
    assert read[7]["image"].size == (32, 32)
    found = {
        row["index"]: Path(row["image"]["path"]).read_bytes()
        for row in read.cast_column("image", hugging_face.Image(decode=False))
    }
    assert read.num_rows == IMAGES and [found[index] for index in range(IMAGES)] == files


def test_the_parameters_of_each_image_lie_beside_the_images(made, draws):
    lines = [
        json.loads(line)
        for file in sorted((made("folder").path / "params").iterdir())
        for line in file.read_text().splitlines()
    ]
    assert lines == [sample.record() for sample in draws]


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".avif"])
def test_image_files_of_any_encoding_are_its_own(ending):
    output = FolderOutput(class_name="c", image_suffix=".avif")
    assert output.owns(f"train/c/000000/patch_000000000{ending}")
    assert not output.owns(f"train/c/000000/patch_000000000x{ending[1:]}")
