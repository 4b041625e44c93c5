"""``mds``, read by MosaicML Streaming, in an environment of its own: run with ``-m mds``.

The library wants an older NumPy than the rest of the suite, and dozens of packages. So the test
makes a virtual environment, which takes minutes and the network; ``SINGLEIMG_MDS_PYTHON=<a python
that has the extra mds>`` names one that is there already.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from singleimg import StoredDataset
from tests import scenarios
from tests.conftest import ROOT
from tests.outputs.conftest import IMAGES, SETTINGS, SHARD, TWO_WORKERS, Made, interrupted
from tests.scenarios import Command, leftovers
from tests.written import digests_of, lay_out, recipe_of

pytestmark = pytest.mark.mds

READ = """\
import json, sys
from hashlib import sha256
from streaming import StreamingDataset
from torch.utils.data import DataLoader

class Rows(StreamingDataset):
    def __getitem__(self, place):
        row = super().__getitem__(place)
        image = row["image"]  # a picture that is not loaded yet, or bytes
        data = image if isinstance(image, bytes) else image.fp.getvalue()
        return int(row["index"]), sha256(data).hexdigest(), row.get("params")

if __name__ == "__main__":
    *remote, local = sys.argv[1:]
    where = {"remote": remote[0] if remote else None, "local": local}
    rows = Rows(**where, shuffle=True, batch_size=50, validate_hash="sha256")
    # With a shard of another hash a worker waits for ever; the loader need not.
    loader = DataLoader(rows, batch_size=50, num_workers=2, collate_fn=list, timeout=60)
    print(json.dumps([row for batch in loader for row in batch]))
"""
MERGE = """\
import sys
from streaming.base.util import merge_index
merge_index(sys.argv[1])
"""
STORED = """\
import json, sys
from hashlib import sha256
from singleimg import SingleImage, StoredDataset
stored, images = StoredDataset(sys.argv[1]), SingleImage.open(sys.argv[1])
print(json.dumps([
    (index, sha256(stored.file(index)).hexdigest(), images.draw(index).record())
    for index in range(len(stored))
]))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> str:
    """The interpreter of an environment that has the library."""
    ready = os.environ.get("SINGLEIMG_MDS_PYTHON")
    if ready:
        return ready
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    found = str(folder / "bin" / "python")
    subprocess.run([found, "-m", "pip", "install", "-q", "-e", f"{ROOT}[mds]"], check=True)
    return found


def script(python: str, text: str, *arguments: Any, folder: Path) -> str:
    """What a script prints in that environment; a file, since workers of a loader import it."""
    file = folder / "script.py"
    file.write_text(text)
    typed = [python, str(file), *map(str, arguments)]
    done = subprocess.run(typed, capture_output=True, text=True, cwd=folder, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def mds(python, picture, tmp_path_factory) -> Made:
    """A dataset made by two workers, killed and gone on with."""
    folder = tmp_path_factory.mktemp("mds")
    typed = (f"imgpath={picture}", *SETTINGS, *TWO_WORKERS, "output=mds")
    return interrupted(typed, folder / "set", folder / "killed", python)


@pytest.fixture(scope="module")
def expected(python, picture, tmp_path_factory) -> list[list[Any]]:
    """Index, hash and parameters of each image, of the same dataset as tar files.

    Made by the same environment: another NumPy or Pillow may round otherwise.
    """
    folder = tmp_path_factory.mktemp("tar")
    typed = (f"imgpath={picture}", *SETTINGS, "threads=1", "output=webdataset")
    done = Command(*typed, f"targetpath={folder / 'set'}", python=python).end()
    assert done.status == 0, done.output
    rows = json.loads(script(python, STORED, folder / "set", folder=folder))
    assert [index for index, _, _ in rows] == list(range(IMAGES))
    return rows


def test_killed_with_some_shards_made_no_record_is_false_and_the_command_goes_on(mds):
    assert 1 < mds.committed < IMAGES // SHARD
    assert mds.false == [] and not (mds.killed / "dataset.json").exists()
    assert mds.status == 0, mds.said
    assert " with 2 workers" in mds.said
    assert leftovers(mds.path) == [] and scenarios.false_records(mds.path) == []


@pytest.mark.parametrize("where", ["in its place", "fetched"])
def test_two_workers_of_a_data_loader_get_every_image_once_in_another_order(
    python, mds, expected, tmp_path, where
):
    # Of a shard that it fetches, the library compares the hash with that in the index.
    places = [mds.path / "train", *([tmp_path / "cache"] if where == "fetched" else [])]
    rows = json.loads(script(python, READ, *places, folder=tmp_path))
    assert rows != expected and sorted(rows, key=lambda row: row[0]) == expected


def test_ours_reads_the_same_without_the_library(mds, expected):
    stored = StoredDataset(mds.path)
    found = [sha256(stored.file(index)).hexdigest() for index in range(IMAGES)]
    assert found == [digest for _, digest, _ in expected]


def test_the_index_is_what_the_library_merges_from_those_of_the_shards(python, mds, tmp_path):
    ours = json.loads((mds.path / "train" / "index.json").read_text())
    shutil.copytree(mds.path / "train", tmp_path / "train")
    (tmp_path / "train" / "index.json").unlink()
    script(python, MERGE, tmp_path / "train", folder=tmp_path)
    theirs = json.loads((tmp_path / "train" / "index.json").read_text())
    place = lambda shard: shard["raw_data"]["basename"]  # noqa: E731, they list folders unsorted
    assert ours["shards"] == sorted(theirs.pop("shards"), key=place)
    assert ours == {**theirs, "shards": ours["shards"]}
    assert [place(shard) for shard in ours["shards"]] == [
        f"{number:06d}/shard.00000.mds" for number in range(IMAGES // SHARD)
    ]


def test_damage_is_named_and_mended(python, mds, tmp_path):
    target = tmp_path / "set"
    shutil.copytree(mds.path, target)
    whole = scenarios.tree_hash(target)
    said = Command("task=verify", f"targetpath={target}", python=python).end()
    assert said.output == f"All {IMAGES} images in {target} are as they were committed.\n"
    shard = target / "train" / "000003" / "shard.00000.mds"
    data = bytearray(shard.read_bytes())
    data[data.index(b"JFIF")] ^= 1  # of the first image
    shard.write_bytes(data)
    (target / "train" / "000005" / "index.json").write_text("{}")
    (target / "train" / "index.json").unlink()
    said = Command("task=verify", f"targetpath={target}", python=python).end()
    size = (mds.path / "train" / "000005" / "index.json").stat().st_size
    assert said.status == 1 and said.output.splitlines()[:-1] == [
        "image 60: train/000003/shard.00000.mds is altered",
        f"images 100 … 119: train/000005/index.json is truncated (2 of {size:,} bytes)",
        "train/index.json is missing",
    ]
    said = Command("task=repair", f"targetpath={target}", python=python).end()
    assert "Repaired: 2 shards made again." in said.output
    assert scenarios.tree_hash(target) == whole


@pytest.mark.parametrize("encoding", ["png", "webp"])
def test_what_the_library_would_encode_anew_it_gives_as_bytes(python, picture, tmp_path, encoding):
    typed = (f"imgpath={picture}", "img_size=32", "num_imgs=30", "output=mds")
    target = tmp_path / "set"
    more = (f"encode={encoding}", "output.shard_size=20", f"targetpath={target}")
    assert Command(*typed, *more, python=python).end().status == 0
    rows = sorted(json.loads(script(python, READ, target / "train", folder=tmp_path)))
    stored = StoredDataset(target)
    assert [index for index, _, _ in rows] == list(range(30))
    for index, digest, params in rows:
        assert sha256(stored.file(index)).hexdigest() == digest and params is None


@pytest.mark.parametrize("name", ["mds-reference", "mds-native"])
def test_what_an_earlier_version_wrote_is_gone_on_with_and_made_again(python, tmp_path, name):
    """The rest of tests/test_written.py, which needs the library."""
    target, new = lay_out(name, tmp_path), tmp_path / "new"
    old, digests = recipe_of(target), digests_of(target)
    whole = scenarios.tree_hash(target)
    again = ("-cp", str(target), "-cn", "config")
    said = Command(*again, f"targetpath={target}", python=python).end()
    assert f"All 12 images are in {target} already." in said.output
    assert scenarios.tree_hash(target) == whole

    assert Command(*again, f"targetpath={new}", python=python).end().status == 0
    made = recipe_of(new)
    assert {**made, "made_with": None} == {**old, "made_with": None}
    if made["made_with"] == old["made_with"]:
        assert scenarios.tree_hash(new) == whole

    more = (*again, f"targetpath={target}", "num_imgs=18")
    said = Command(*more, python=python).end()
    if made["made_with"] != old["made_with"]:
        assert said.status == 1 and "was made with other versions" in said.output
        said = Command(*more, "allow_version_change=true", python=python).end()
    assert said.status == 0 and "6 of 18 images of " in said.output
    grown = digests_of(target)
    assert len(StoredDataset(target)) == len(grown) == 18 and recipe_of(target) == old
    assert {index: grown[index] for index in digests} == digests
    said = Command("task=verify", f"targetpath={target}", python=python).end()
    assert said.output == f"All 18 images in {target} are as they were committed.\n"
