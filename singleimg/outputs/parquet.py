"""``parquet``: a table a shard, in which a query selects images by what was drawn for them.

<target>/train/shard-<shard, six digits>.parquet has a row an image: ``image`` (a struct of
``bytes`` and ``path``, which Hugging Face decodes to a picture), ``index``, ``source`` and, unless
``save_params=false``, a typed column for each drawn parameter (see ``singleimg.drawing.columns``).
Images are stored uncompressed (they are compressed files), the rest with zstd.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from singleimg.outputs.base import Part, find_parts
from singleimg.outputs.one_file import FileOutput
from singleimg.storage.manifest import Entry
from singleimg.storage.shards import Shard
from singleimg.storage.staging import Staging

if TYPE_CHECKING:
    from singleimg.drawing.columns import Columns
    from singleimg.drawing.pipeline import Sample

_GROUP = 8 << 20  # bytes of images in a row group: what a reader of one row has to load


@dataclass(frozen=True, kw_only=True)
class ParquetOutput(FileOutput):
    """Writes Parquet files with pyarrow."""

    name = "parquet"
    module = "pyarrow"
    suffix = ".parquet"
    libraries = ("pyarrow",)
    draws = True
    draws_inside = True
    published = "train/*.parquet"
    media = "application/x-parquet"
    column = "image"
    read_lines = (
        'datasets.load_dataset(".", split="train")',
        'singleimg.StoredDataset(".")',
    )

    def drawn(self, sample: Sample, columns: Columns) -> str:
        """The row of an image, but for the image."""
        return json.dumps({"source": sample.source, **columns.row(sample)})

    def open(self, staging: Staging, shard: Shard, columns: Columns | None = None) -> ParquetWriter:
        place = self.place(shard)
        return ParquetWriter(staging.path(place), place, self.image_suffix, columns)


class ParquetWriter:
    """Writes one table to ``path``; ``place`` is where it will lie."""

    def __init__(self, path: Path, place: str, suffix: str, columns: Columns | None) -> None:
        from pyarrow.parquet import ParquetWriter as Table

        self._path, self._place, self._suffix = path, place, suffix
        self._schema = _schema(columns)
        plain = ["image.bytes"]
        others = [name for name in self._schema.names if name != "image"]
        self._table = Table(
            path,
            self._schema,
            compression={**dict.fromkeys(others, "zstd"), "image.path": "zstd", plain[0]: "none"},
            use_dictionary=False,
            column_encoding={plain[0]: "PLAIN"},
            write_statistics=others,
        )
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0
        self._parts: list[Part] = []

    def write(self, index: int, data: bytes, drawn: str | None = None) -> None:
        image = {"bytes": data, "path": f"{index:09d}{self._suffix}"}
        row = {} if drawn is None else json.loads(drawn)
        self._rows.append({"image": image, "index": index, **row})
        self._parts.append(Part.of(index, data))
        self._bytes += len(data)
        if self._bytes >= _GROUP:
            self._end_group()

    def _end_group(self) -> None:
        import pyarrow

        table = pyarrow.Table.from_pylist(self._rows, schema=self._schema)
        self._table.write_table(table, row_group_size=len(self._rows))
        self._rows, self._bytes = [], 0

    def close(self) -> list[Entry]:
        if self._rows:
            self._end_group()
        self._table.close()
        return list(find_parts(self._path, self._place, self._parts))


def _schema(columns: Columns | None) -> Any:
    """The columns as Arrow and, in the metadata, as Hugging Face's ``datasets`` describes them.

    https://huggingface.co/docs/datasets/about_dataset_features
    """
    import pyarrow

    # A path of type null would have the struct read as a dict, not as a picture.
    image = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    types = {"index": "int64"}
    if columns is not None:
        types |= {"source": "int64", **columns.types}
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    features |= {name: {"dtype": kind, "_type": "Value"} for name, kind in types.items()}
    kinds = {"bool": pyarrow.bool_(), "int64": pyarrow.int64(), "float64": pyarrow.float64()}
    fields = [("image", image)]
    fields += [(name, kinds.get(kind, pyarrow.string())) for name, kind in types.items()]
    text = json.dumps({"info": {"features": features}})
    return pyarrow.schema(fields, metadata={"huggingface": text})
