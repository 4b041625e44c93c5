"""``webdataset``: a tar file a shard, as the webdataset library, ``tar`` and Hugging Face read it.

<target>/train/shard-<shard, six digits>.tar holds <index, nine digits>.jpg and, unless
``save_params=false``, <index>.json: ``index``, ``source``, each parameter that every image has (see
``singleimg.drawing.columns``), and ``transforms``, a text of JSON that says all that was drawn. A
text, since Hugging Face takes the types of the first five images for those of all.

A name's part before the first dot is the key of a sample, so it has no other dot. The same images
make the same bytes: members stand in the order of their indices, have no owner and were written in
1970.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from singleimg.outputs.one_file import FileOutput
from singleimg.storage.base import Store
from singleimg.storage.manifest import Entry
from singleimg.storage.shards import Shard
from singleimg.storage.staging import Staging

if TYPE_CHECKING:
    from singleimg.drawing.columns import Columns
    from singleimg.drawing.pipeline import Sample

_BUFFER = 1 << 20  # bytes


@dataclass(frozen=True, kw_only=True)
class WebDatasetOutput(FileOutput):
    """Writes tar files with Python's own ``tarfile``."""

    name = "webdataset"
    suffix = ".tar"
    draws = True
    draws_inside = True

    def open(self, staging: Staging, shard: Shard, columns: Columns | None = None) -> TarWriter:
        place = self.place(shard)
        return TarWriter(staging.path(place), place, self.image_suffix, columns)

    def load_lines(self, store: Store, shards: int) -> Sequence[str]:
        """Ours and, where it can open the files by itself, that of the library."""
        ours = super().load_lines(store, shards)
        start, last = f"{store.path_of('train')}/shard-", f"{shards - 1:06d}"
        if store.local_path is None or re.search(r"[?#\t\r\n]", start):  # no path in a URL
            return ours
        if re.search(r"[{}\\$]|::", start):  # of which it makes other names
            files = f'[{start!r} + f"{{k:06d}}.tar" for k in range({shards})]'
        else:
            files = repr(f"{start}{{000000..{last}}}.tar")
        suffix = self.image_suffix.removeprefix(".")
        dataset = f"webdataset.WebDataset({files}, shardshuffle=False)"
        return [*ours, f'{dataset}.decode("pil").to_tuple("{suffix}")']


class TarWriter:
    """Writes one tar file to ``path``; ``place`` is where it will lie."""

    def __init__(self, path: Path, place: str, suffix: str, columns: Columns | None) -> None:
        self._place, self._suffix, self._columns = place, suffix, columns
        self._file = _Hashed(path)
        self._tar = tarfile.TarFile(fileobj=self._file, mode="w", format=tarfile.USTAR_FORMAT)
        self._entries: list[Entry] = []

    def write(self, index: int, data: bytes, sample: Sample | None = None) -> None:
        offset = self._add(f"{index:09d}{self._suffix}", data)
        digest = sha256(data).hexdigest()
        self._entries.append(Entry(index, self._place, len(data), digest, offset))
        if self._columns is not None and sample is not None:
            text = json.dumps(_flat(sample, self._columns))
            self._add(f"{index:09d}.json", text.encode())

    def _add(self, name: str, data: bytes) -> int:
        """Adds a member; the byte at which its data begin, behind the header of one block."""
        member = tarfile.TarInfo(name)
        member.size = len(data)
        offset = self._tar.offset + tarfile.BLOCKSIZE
        self._tar.addfile(member, io.BytesIO(data))
        return offset

    def close(self) -> list[Entry]:
        self._tar.close()
        size, digest = self._file.close()
        return [Entry(None, self._place, size, digest), *self._entries]


def _flat(sample: Sample, columns: Columns) -> dict[str, Any]:
    row = columns.row(sample)
    steady = {name: row[name] for name in row if name in columns.always}
    drawn = {"index": sample.index, "source": sample.source}
    return {**drawn, "transforms": sample.transforms_text(), **steady}


class _Hashed(io.RawIOBase):
    """A new file that knows the SHA-256 of what was written to it."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "xb", buffering=_BUFFER)  # noqa: SIM115, closed below
        self._digest, self._size = sha256(), 0

    def write(self, data: Any) -> int:
        self._digest.update(data)
        self._size += len(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self._size

    def close(self) -> tuple[int, str]:
        self._file.close()
        return self._size, self._digest.hexdigest()
