"""``parquet``, read by pyarrow, pandas, DuckDB and Hugging Face."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from singleimg.dataset.torch import decode
from singleimg.outputs.parquet import ParquetOutput
from singleimg.storage.local import LocalStore
from singleimg.storage.manifest import Record
from singleimg.storage.shards import Shard
from singleimg.storage.staging import Staging
from tests.outputs.conftest import IMAGES

pyarrow = pytest.importorskip("pyarrow", reason="pip install pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

MIB = 1 << 20
GROUP = 8 * MIB  # bytes of images, after which a row group ends


@pytest.fixture(scope="module")
def shards(made) -> list[Path]:
    return sorted((made("parquet").path / "train").iterdir())


@pytest.fixture(scope="module")
def upright(draws) -> list[int]:
    """The images that were turned by less than five degrees, by what was drawn for them."""
    angles = [sample.record()["transforms"][0]["angle"] for sample in draws]
    chosen = [index for index, angle in enumerate(angles) if abs(angle) < 5]
    assert 0 < len(chosen) < IMAGES / 2
    return chosen


def test_hugging_face_shows_pictures_and_typed_columns(
    shards, files, draws, hugging_face, tmp_path
):
    read = hugging_face.load_dataset(
        "parquet", data_files=list(map(str, shards)), split="train", cache_dir=str(tmp_path)
    )
    assert read.num_rows == IMAGES and isinstance(read.features["image"], hugging_face.Image)
    assert read.features["crop_resize_affine_angle"].dtype == "float64"
    for index, row in enumerate(read):
        assert row["image"].tobytes() == decode(files[index]).tobytes() and row["index"] == index
    raw = read.cast_column("image", hugging_face.Image(decode=False))
    assert [row["image"]["bytes"] for row in raw] == files


def test_pyarrow_reads_every_image_and_what_was_drawn(shards, files, draws):
    rows = pyarrow.concat_tables(map(parquet.read_table, shards)).to_pylist()
    assert [row["image"]["bytes"] for row in rows] == files
    assert [row["image"]["path"] for row in rows] == [f"{i:09d}.jpg" for i in range(IMAGES)]
    for row, sample in zip(rows, draws, strict=True):
        crop, hflip, _, jitter, grey, blur = sample.record()["transforms"]
        assert (row["index"], row["source"]) == (sample.index, sample.source)
        assert row["crop_resize_affine_angle"] == crop["angle"]
        assert row["random_horizontal_flip_apply"] == hflip["apply"]
        assert row["random_grayscale_apply"] == grey["apply"]
        for name, one, key in (
            ("color_jitter_hue_factor", jitter, "hue_factor"),
            ("gaussian_blur_sigma_0", blur, "sigma"),
        ):  # of a transform that did not happen nothing was drawn
            drawn = [inner["params"][key] for inner in one["transforms"]] or [None]
            assert row[name] == (drawn[0][0] if key == "sigma" and drawn[0] else drawn[0])


def test_the_types_of_columns_are_the_same_in_every_shard(shards):
    schemas = [parquet.read_schema(shard) for shard in shards]
    assert all(schema.equals(schemas[0], check_metadata=True) for schema in schemas)
    [schema] = schemas[:1]
    image = schema.field("image").type
    assert image.field("bytes").type == pyarrow.binary()
    assert image.field("path").type == pyarrow.string()  # null would make it a plain dict
    types = {field.name: str(field.type) for field in schema if field.name != "image"}
    assert set(types.values()) == {"int64", "double", "bool", "string"}
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"} and set(features) == set(schema.names)
    assert features["crop_resize_affine_angle"] == {"dtype": "float64", "_type": "Value"}


def test_images_stand_in_the_file_as_they_are_and_the_rest_is_compressed(shards):
    for shard in shards:
        for column in _columns(shard):
            name = column.path_in_schema
            assert column.compression == ("UNCOMPRESSED" if name == "image.bytes" else "ZSTD")
            # By its statistics a query skips a group; those of pictures would hold pictures.
            assert column.is_stats_set != name.startswith("image.")
            if name == "image.bytes":
                assert set(column.encodings) <= {"PLAIN", "RLE"}


def _columns(shard: Path) -> list[Any]:
    meta = parquet.ParquetFile(shard).metadata
    groups = [meta.row_group(number) for number in range(meta.num_row_groups)]
    return [group.column(place) for group in groups for place in range(group.num_columns)]


def test_duckdb_selects_images_by_what_was_drawn(shards, files, upright):
    duckdb = pytest.importorskip("duckdb", reason="pip install duckdb")
    rows = duckdb.sql(
        f"SELECT index, image.bytes FROM '{shards[0].parent}/*.parquet' "
        "WHERE abs(crop_resize_affine_angle) < 5 ORDER BY index"
    ).fetchall()
    assert rows == [(index, files[index]) for index in upright]


def test_duckdb_counts_the_images_that_a_transform_did_not_happen_to(shards, draws):
    duckdb = pytest.importorskip("duckdb", reason="pip install duckdb")
    [[blurred]] = duckdb.sql(
        f"SELECT count(gaussian_blur_sigma_0) FROM '{shards[0].parent}/*.parquet'"
    ).fetchall()
    assert blurred == sum(bool(s.record()["transforms"][-1]["transforms"]) for s in draws)
    assert 0 < blurred < IMAGES


def test_pandas_selects_images_by_what_was_drawn(shards, files, upright):
    pandas = pytest.importorskip("pandas", reason="pip install pandas")
    angle = "crop_resize_affine_angle"
    read = pandas.read_parquet(
        shards[0].parent,
        columns=["image", "index", angle],
        filters=[(angle, ">", -5.0), (angle, "<", 5.0)],
    ).sort_values("index")
    assert list(read["index"]) == upright
    assert [image["bytes"] for image in read["image"]] == [files[index] for index in upright]


# --- row groups ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sizes, groups",
    [
        ([2 * MIB] * 9, [4, 4, 1]),
        ([3 * MIB] * 7, [3, 3, 1]),  # the image that fills a group still belongs to it
        ([9 * MIB, 1, 9 * MIB], [1, 2]),
        ([1] * 3000, [3000]),
    ],
)
def test_a_row_group_holds_eight_mebibytes_of_images(tmp_path, sizes, groups):
    shard = Shard(3, 30_000, 30_000 + len(sizes))
    images = [os.urandom(size) for size in sizes]
    output = ParquetOutput()
    with Staging(LocalStore(tmp_path, durable=False), shard) as staging:
        writer = output.open(staging, shard)
        for index, data in enumerate(images, shard.start):
            writer.write(index, data, None)
        entries = writer.close()
        record = Record(shard.number, shard.start, shard.stop, sum(sizes), "", {})
        staging.commit(record, entries)
    file = tmp_path / "train" / "shard-000003.parquet"
    meta = parquet.ParquetFile(file).metadata
    found = [meta.row_group(number) for number in range(meta.num_row_groups)]
    assert [group.num_rows for group in found] == groups
    for group in found:
        headers = 4 * group.num_rows + 1024  # a length before each image, and the pages
        assert group.column(0).total_compressed_size <= GROUP + max(sizes) + headers
    read = parquet.read_table(file, columns=["image", "index"]).to_pylist()
    assert [row["image"]["bytes"] for row in read] == images
    whole = file.read_bytes()
    for entry, data in zip(entries[1:], images, strict=True):
        assert whole[entry.offset :][: entry.bytes] == data
