"""Datasets in every format, to be read."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from singleimg import StoredDataset, UserError

FORMATS = ("folder", "webdataset", "parquet", "lmdb")
COUNT = 23
SMALL = (f"num_imgs={COUNT}", "img_size=32", "output.shard_size=7")


@pytest.fixture(scope="session")
def stored(run, picture, tmp_path_factory) -> dict[str, Path]:
    """The same images in each format: four jobs of one sweep, in four shards each."""
    home = tmp_path_factory.mktemp("stored")
    by_format = f"targetpath={home}/${{hydra:runtime.choices.output}}"
    run("-m", f"output={','.join(FORMATS)}", f"imgpath={picture}", *SMALL, by_format)
    return {name: next((home / name).iterdir()) for name in FORMATS}


@pytest.fixture(scope="session")
def files(stored) -> list[bytes]:
    """The bytes of each image file, read from the folder without any help of ours."""
    found = {int(file.stem[-9:]): file for file in stored["folder"].rglob("patch_*")}
    return [found[index].read_bytes() for index in range(COUNT)]


@pytest.fixture(params=FORMATS)
def path(request, stored) -> Path:
    """The dataset in each of the formats, in turn."""
    return stored[request.param]


def pixels_of(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def same(image: Image.Image, pixels: np.ndarray) -> bool:
    return image.mode == "RGB" and np.array_equal(np.asarray(image), pixels)


def refused(path: Path, kind: type = StoredDataset, **more) -> str:
    with pytest.raises(UserError) as caught:
        kind(path, **more)
    return str(caught.value)
