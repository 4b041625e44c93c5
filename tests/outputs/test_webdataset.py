"""``webdataset``, read by its library, by ``tar`` and by Hugging Face."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singleimg.dataset.torch import decode
from singleimg.drawing.pipeline import Sample
from singleimg.outputs.webdataset import TarWriter, ustar_header
from tests.outputs.conftest import IMAGES, SHARD, task


@pytest.fixture(scope="module")
def shards(made) -> list[str]:
    return [str(file) for file in sorted((made("webdataset").path / "train").iterdir())]


def check_drawn(read: dict[str, Any], sample: Sample) -> None:
    """Whether the .json of an image says all that was drawn for it."""
    record = sample.record()
    crop, hflip, vflip, _, grey, _ = transforms = record["transforms"]
    assert json.loads(read.pop("transforms")) == transforms
    assert crop.pop("name") == "CropResizeAffine" and "angle" in crop
    assert read == {  # beside that text, what every image has, for those who sort and filter
        "index": sample.index,
        "source": sample.source,
        **{f"crop_resize_affine_{name}": value for name, value in crop.items()},
        "random_horizontal_flip_apply": hflip["apply"],
        "random_vertical_flip_apply": vflip["apply"],
        "random_grayscale_apply": grey["apply"],
    }


def test_its_library_reads_every_image_and_what_was_drawn(shards, files, draws):
    webdataset = pytest.importorskip("webdataset", reason="pip install webdataset")
    read = list(webdataset.WebDataset(shards, shardshuffle=False).decode("pil"))
    assert [sample["__key__"] for sample in read] == [f"{i:09d}" for i in range(IMAGES)]
    for index, sample in enumerate(read):
        assert sample["jpg"].tobytes() == decode(files[index]).tobytes()
        check_drawn(sample["json"], draws[index])


def test_its_library_gives_the_very_bytes(shards, files):
    webdataset = pytest.importorskip("webdataset", reason="pip install webdataset")
    read = webdataset.WebDataset(shards, shardshuffle=False)
    assert [sample["jpg"] for sample in read] == files


def test_tar_lists_and_unpacks_them(shards, files, tmp_path):
    if shutil.which("tar") is None:
        pytest.skip("there is no tar command")
    for number, shard in enumerate(shards):
        listed = subprocess.run(["tar", "tf", shard], capture_output=True, text=True, check=True)
        mine = range(number * SHARD, (number + 1) * SHARD)
        assert listed.stdout.split() == [f"{i:09d}.{end}" for i in mine for end in ("jpg", "json")]
        subprocess.run(["tar", "xf", shard, "-C", str(tmp_path)], check=True)
    assert [(tmp_path / f"{i:09d}.jpg").read_bytes() for i in range(IMAGES)] == files


def test_members_have_no_owner_and_no_time(shards):
    for shard in shards:
        with tarfile.open(shard) as tar:
            for member in tar:
                assert (member.mtime, member.uid, member.gid) == (0, 0, 0)
                assert (member.uname, member.gname) == ("", "")
                assert member.isfile() and member.mode == 0o644
                assert member.name.count(".") == 1  # the key ends before the first dot


def test_hugging_face_reads_every_image_and_what_was_drawn(
    shards, files, draws, hugging_face, tmp_path
):
    # It takes the types of the first images for those of all, and there is hardly a transform here
    # that happened to each: what belongs to one that may not happen lies in the text only.
    read = hugging_face.load_dataset(
        "webdataset", data_files=shards, split="train", cache_dir=str(tmp_path)
    )
    assert read.num_rows == IMAGES and isinstance(read.features["jpg"], hugging_face.Image)
    for index, row in enumerate(read):
        assert row["__key__"] == f"{index:09d}"
        assert row["jpg"].tobytes() == decode(files[index]).tobytes()
        check_drawn(row["json"], draws[index])


def test_without_parameters_there_are_images_alone(picture, tmp_path):
    typed = (f"imgpath={picture}", "num_imgs=3", "img_size=32", "output=webdataset")
    task(*typed, "save_params=false", f"targetpath={tmp_path / 'set'}")
    [shard] = Path(tmp_path / "set" / "train").iterdir()
    with tarfile.open(shard) as tar:
        assert tar.getnames() == ["000000000.jpg", "000000001.jpg", "000000002.jpg"]


# --- headers made by hand ------------------------------------------------------------------------

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)


def of_tarfile(members: list[tuple[str, bytes]]) -> bytes:
    """The whole file that Python's ``tarfile`` makes."""
    whole = io.BytesIO()
    with tarfile.TarFile(fileobj=whole, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return whole.getvalue()


@given(NAMES.filter(lambda name: len(name.encode()) <= 100), st.integers(0, 8**11 - 1))
def test_a_header_is_that_of_tarfile(name, size):
    member = tarfile.TarInfo(name)
    member.size = size
    assert ustar_header(name, size) == member.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")


@pytest.mark.parametrize("name, size", [("", 1), ("é" * 51, 1), ("a", 8**11), ("a", -1)])
def test_what_fits_no_header_is_refused(name, size):
    with pytest.raises(ValueError, match="no member of a tar file is called"):
        ustar_header(name, size)


@pytest.mark.parametrize("sizes", [[], [0], [511, 512, 513], [1] * 18, [1] * 19, [10240, 9216]])
@pytest.mark.parametrize("drawn", [None, "{}", '{"é": "' + "x" * 600 + '"}'])
def test_a_file_is_that_of_tarfile_whatever_the_sizes(tmp_path, sizes, drawn):
    writer, members = TarWriter(tmp_path / "a.tar", "train/a.tar", ".jpg"), []
    for index, size in enumerate(sizes, 999_999_995):  # up to ten digits
        data = bytes([index % 251]) * size
        writer.write(index, data, drawn)
        members += [(f"{index:09d}.jpg", data)]
        members += [] if drawn is None else [(f"{index:09d}.json", drawn.encode())]
    whole, *images = writer.close()
    made = (tmp_path / "a.tar").read_bytes()
    assert made == of_tarfile(members) and whole.bytes == len(made)
    for entry, size in zip(images, sizes, strict=True):
        assert made[entry.offset :][:size] == bytes([entry.index % 251]) * size
