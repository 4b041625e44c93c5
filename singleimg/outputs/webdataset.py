"""``webdataset``: a tar file a shard, as the webdataset library, ``tar`` and Hugging Face read it.

<target>/train/shard-<shard, six digits>.tar holds <index, nine digits>.jpg and, unless
``save_params=false``, <index>.json: ``index``, ``source``, each parameter that every image has (see
``singleimg.drawing.columns``), and ``transforms``, a text of JSON that says all that was drawn. A
text, since Hugging Face takes the types of the first five images for those of all.

A name's part before the first dot is the key of a sample, so it has no other dot. The same images
make the same bytes: members stand in the order of their indices, have no owner and were written in
1970. Headers are made by hand, as Python's ``tarfile`` of today makes them: they are the same under
every version of it, in a fifth of the time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from singleimg.outputs.one_file import FileOutput
from singleimg.storage.base import Store
from singleimg.storage.local import HashedFile
from singleimg.storage.manifest import Entry
from singleimg.storage.shards import Shard
from singleimg.storage.staging import Staging

if TYPE_CHECKING:
    from singleimg.drawing.columns import Columns
    from singleimg.drawing.pipeline import Sample

_BLOCK, _RECORD = 512, 20 * 512  # bytes; members are filled up to blocks, files to records
_MOST = 8**11  # bytes of a member, whose size has eleven octal digits
# https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html, "ustar Interchange Format":
# mode, owner, group; behind the size: the time; behind the checksum: a file, linked to nothing,
# owned by nobody.
_OWNER = b"0000644\0" + 2 * b"0000000\0"
_TIME = b"00000000000\0"
_REST = b" 0" + bytes(100) + b"ustar\x0000" + bytes(32 + 32 + 8 + 8 + 155 + 12)
_SUM = sum(_OWNER + _TIME + _REST) + 7 * ord(" ")  # its own field counts as spaces


@dataclass(frozen=True, kw_only=True)
class WebDatasetOutput(FileOutput):
    """Writes tar files."""

    name = "webdataset"
    suffix = ".tar"
    draws = True
    draws_inside = True
    published = "train/*.tar"
    media = "application/x-tar"
    read_lines = (
        'datasets.load_dataset(".", split="train", streaming=True)',
        'singleimg.StoredDataset(".")',
    )

    def drawn(self, sample: Sample, columns: Columns) -> str:
        """The file that lies beside an image."""
        row = columns.row(sample)
        steady = {name: row[name] for name in row if name in columns.always}
        drawn = {"index": sample.index, "source": sample.source}
        return json.dumps({**drawn, "transforms": sample.transforms_text(), **steady})

    def open(self, staging: Staging, shard: Shard, columns: Columns | None = None) -> TarWriter:
        place = self.place(shard)
        return TarWriter(staging.path(place), place, self.image_suffix)

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

    def __init__(self, path: Path, place: str, suffix: str) -> None:
        self._place, self._suffix = place, suffix
        self._file = HashedFile(path)
        self._entries: list[Entry] = []

    def write(self, index: int, data: bytes, drawn: str | None = None) -> None:
        header = ustar_header(f"{index:09d}{self._suffix}", len(data))
        offset = self._file.size + len(header)
        digest = sha256(data).hexdigest()
        self._entries.append(Entry(index, self._place, len(data), digest, offset))
        pieces = [header, data, bytes(-len(data) % _BLOCK)]
        if drawn is not None:
            text = drawn.encode()
            header = ustar_header(f"{index:09d}.json", len(text))
            pieces += [header, text, bytes(-len(text) % _BLOCK)]
        self._file.write(b"".join(pieces))

    def close(self) -> list[Entry]:
        end = 2 * _BLOCK
        self._file.write(bytes(end + -(self._file.size + end) % _RECORD))
        size, digest = self._file.close()
        return [Entry(None, self._place, size, digest), *self._entries]


def ustar_header(name: str, size: int) -> bytes:
    """The header of a member: a file that has no owner and was written in 1970; 512 bytes.

    name: 1 to 100 bytes in UTF-8. size: bytes, less than 8 GiB. Raises ValueError for others.
    """
    named = name.encode()
    if not 0 < len(named) <= 100 or not 0 <= size < _MOST:
        raise ValueError(f"no member of a tar file is called {name!r} and has {size:,} bytes")
    length = b"%011o\0" % size
    total = _SUM + sum(named) + sum(length)
    return b"%b%b%b%b%06o\0%b" % (named.ljust(100, b"\0"), _OWNER, length, _TIME, total, _REST)
