"""``mds``: MosaicML Streaming's shards, with hashes, and one index of them all.

<target>/train/<shard, six digits>/ holds what the library writes for a shard; <target>/train/
index.json, written last, lists every file of every shard. Columns: ``index``; ``image`` (``jpeg``,
which the library decodes to a picture; for png and webp ``bytes``, since it would encode them
anew); with ``save_params=true`` also ``params``, what was drawn, as JSON.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from singleimg.errors import UserError, WriteError
from singleimg.outputs.base import Output, Part, find_parts
from singleimg.storage.base import Store
from singleimg.storage.manifest import Entry, Record
from singleimg.storage.shards import Shard
from singleimg.storage.staging import Staging

if TYPE_CHECKING:
    from singleimg.drawing.columns import Columns

INDEX = "train/index.json"
_MOST = 2**32 - (64 << 20)  # bytes of images in a file, which also holds their indices
_VERSION = 2  # of the index, which the library checks
_FILE = "shard.00000.mds"  # of a shard of ours; the library would write several
_COPIED = 1 << 20  # bytes at once
_HASH = "sha256"  # what StreamingDataset(validate_hash=…) takes


@dataclass(frozen=True, kw_only=True)
class MdsOutput(Output):
    """Writes MDS files with mosaicml-streaming."""

    name = "mds"
    module = "streaming"
    libraries = ("mosaicml-streaming",)
    draws_inside = True
    closing = (INDEX,)
    read_lines = (
        'streaming.StreamingDataset(local="train", batch_size=32)',
        'singleimg.StoredDataset(".")',
    )

    shard_size: int = 5000

    def place(self, shard: Shard) -> str:
        return f"train/{shard.name}"

    def owns(self, path: str) -> bool:
        return re.fullmatch(r"train/\d{6,}/(shard\.\d{5}\.mds|index\.json)", path) is not None

    def open(self, staging: Staging, shard: Shard, columns: Columns | None = None) -> MdsWriter:
        path = staging.path(self.place(shard))
        return MdsWriter(path, self.place(shard), self.image_suffix, columns is not None)

    def close_dataset(self, name: str, records: Sequence[Record], store: Store) -> Iterator[str]:
        """``index.json``: those of all shards in one, their files with the names of their folders.

        What ``streaming.base.util.merge_index`` makes of them, for any target.
        """
        files = [f"{self.place(record.shard)}/index.json" for record in records]
        shards = []
        for file, data in zip(files, store.read_all(files), strict=True):
            if data is None:
                raise WriteError(
                    f"{store.path_of(file)} is missing: check that no other program removes files "
                    "there."
                )
            for shard in json.loads(data)["shards"]:
                for key in ("raw_data", "zip_data"):
                    if shard[key]:
                        shard[key]["basename"] = f"{file.split('/')[1]}/{shard[key]['basename']}"
                shards.append(shard)
        yield json.dumps({"version": _VERSION, "shards": shards}, sort_keys=True)

    def load_lines(self, store: Store, shards: int) -> Sequence[str]:
        place = f"local={store.path_of('train')!r}"
        if store.local_path is None:
            place = f"remote={store.path_of('train')!r}, local='cache'"
        return [f"streaming.StreamingDataset({place}, batch_size=32)"]


class MdsWriter:
    """Writes one shard into the new folder ``path``; ``place`` is where that will lie.

    The library encodes samples and describes them in ``index.json``. It would hold the whole shard
    in memory, several times over: so samples go to a file of their own, and behind the header once
    their sizes are known. The same bytes; source: ``MDSWriter.encode_joint_shard``.
    """

    def __init__(self, path: Path, place: str, suffix: str, draws: bool) -> None:
        from streaming import MDSWriter

        kind = "jpeg" if suffix == ".jpg" else "bytes"
        columns = {"index": "int", "image": kind, **({"params": "json"} if draws else {})}
        self._path, self._place, self._kind = path, place, kind
        # No limit of size: the shard is one file.
        self._mds = MDSWriter(out=str(path), columns=columns, hashes=[_HASH], size_limit=None)
        self._one = path.with_name(f"{path.name}.jpg")
        self._behind = path.with_name(f"{path.name}.samples")
        self._samples = self._behind.open("xb")
        self._parts: list[Part] = []
        self._sizes: list[int] = []
        self._bytes = 0

    def write(self, index: int, data: bytes, drawn: str | None = None) -> None:
        row: dict[str, Any] = {"index": index, "image": data}
        if self._kind == "jpeg":
            row["image"] = self._picture(data)
        if drawn is not None:
            row["params"] = json.loads(drawn)
        self._bytes += len(data)
        if self._bytes >= _MOST:
            raise UserError(
                f"output.shard_size makes a file of {_MOST:,} bytes or more, which MDS cannot "
                "hold: type a smaller one, for example output.shard_size=1000."
            )
        sample = self._mds.encode_sample(row)
        self._samples.write(sample)
        self._sizes.append(len(sample))
        self._parts.append(Part.of(index, data))

    def _picture(self, data: bytes) -> Any:
        """A picture of which the library takes the bytes as they are: it reads them from a file."""
        from PIL import Image

        self._one.write_bytes(data)
        return Image.open(self._one)

    def close(self) -> list[Entry]:
        self._samples.close()
        self._one.unlink(missing_ok=True)
        number, config = len(self._sizes), self._mds.config_data
        offsets = np.cumsum([4 + 4 * (number + 1) + len(config), *self._sizes]).astype("<u4")
        file = self._path / _FILE
        with file.open("xb") as whole, self._behind.open("rb") as samples:
            whole.write(np.array(number, "<u4").tobytes() + offsets.tobytes() + config)
            shutil.copyfileobj(samples, whole, _COPIED)
        self._behind.unlink()
        entries = list(find_parts(file, f"{self._place}/{_FILE}", self._parts))
        about = {"basename": _FILE, "bytes": entries[0].bytes, "hashes": {_HASH: entries[0].sha256}}
        row = {"samples": number, "raw_data": about, "zip_data": None}
        self._mds.shards.append({**row, **self._mds.get_config()})
        self._mds.finish()
        data = (self._path / "index.json").read_bytes()
        place = f"{self._place}/index.json"
        return [Entry(None, place, len(data), sha256(data).hexdigest()), *entries]
