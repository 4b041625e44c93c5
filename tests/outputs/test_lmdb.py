"""``lmdb``, read by its own library; its one file under kills, growth and damage."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.utils.data import DataLoader

from singleimg import StoredDataset
from singleimg.dataset.torch import decode
from singleimg.outputs import lmdb as output
from singleimg.outputs import lmdb_environment as ours
from singleimg.outputs.lmdb import LmdbOutput, LmdbReader, LmdbWriter
from singleimg.outputs.lmdb_environment import put_all
from singleimg.storage.local import LocalStore
from singleimg.storage.shards import Shard
from tests.outputs.conftest import IMAGES, SHARD, task
from tests.scenarios import lmdb_values, tree_hash, wait_until

lmdb = pytest.importorskip("lmdb", reason="pip install lmdb")

MIB = 1 << 20
FORK = multiprocessing.get_context("fork")


@pytest.fixture(scope="module")
def target(made) -> Path:
    return made("lmdb").path


@pytest.fixture
def copy(target, tmp_path) -> Path:
    """One to damage."""
    shutil.copytree(target, tmp_path / "set")
    return tmp_path / "set"


# --- what it says --------------------------------------------------------------------------------


@contextmanager
def reading(target: Path, write: bool = False) -> Iterator[Any]:
    """A transaction of the library itself, as its manual opens an environment."""
    with (
        lmdb.open(str(target / "train.lmdb"), readonly=not write, map_size=1 << 30) as environment,
        environment.begin(write=write) as transaction,
    ):
        yield transaction


def digest(images: dict[str, bytes]) -> bytes:
    """That of a shard: over key, length in eight bytes and value of each image, in order."""
    total = sha256()
    for key, value in images.items():
        total.update(key.encode() + len(value).to_bytes(8, "big") + value)
    return total.hexdigest().encode()


def test_the_key_of_an_image_is_its_index_in_nine_digits_and_its_value_the_file(copy, files):
    with reading(copy) as transaction:
        assert [transaction.get(b"%09d" % index) for index in range(IMAGES)] == files
        assert transaction.stat()["entries"] == IMAGES + IMAGES // SHARD  # and nothing else
        keys = [bytes(key) for key in transaction.cursor().iternext(values=False)]
    assert keys == sorted(keys) and keys[IMAGES - 1 : IMAGES + 1] == [b"000000399", b"shard-000000"]


def test_beside_its_images_a_shard_has_the_digest_over_them(copy, files):
    with reading(copy) as transaction:
        for number in range(IMAGES // SHARD):
            mine = range(number * SHARD, (number + 1) * SHARD)
            images = {f"{index:09d}": files[index] for index in mine}
            assert transaction.get(f"shard-{number:06d}".encode()) == digest(images)


def pixels(image: Any) -> np.ndarray:
    return np.asarray(image).copy()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_two_workers_of_a_data_loader_read_every_image(target, files, method):
    dataset = StoredDataset(target, transform=pixels)
    assert dataset.file(0) == files[0]  # opened here, before workers are forked
    loader = DataLoader(dataset, batch_size=250, num_workers=2, multiprocessing_context=method)
    read = np.concatenate([batch.numpy() for batch, _ in loader])
    assert len(read) == IMAGES
    assert all((one == pixels(decode(data))).all() for one, data in zip(read, files, strict=True))
    assert dataset.file(1) == files[1]


def test_a_forked_process_opens_the_file_for_itself(target, files):
    # LMDB forbids to use what was opened before a fork, and the library to open a file twice.
    parents = ours.opened(target)
    own = FORK.SimpleQueue()

    def child() -> None:
        read = LmdbReader(target).read(3)
        own.put((read == files[3], ours.opened(target) is not parents))

    process = in_child(child)
    process.join()
    assert process.exitcode == 0 and own.get() == (True, True)
    assert ours.opened(target) is parents and LmdbReader(target).read(4) == files[4]


def test_a_dataset_that_was_read_and_then_overwritten_is_the_new_one(picture, tmp_path):
    # All in one process: the file that it has open is no more the dataset's.
    typed = (f"imgpath={picture}", "num_imgs=5", "img_size=32", "output=lmdb")
    task(*typed, f"targetpath={tmp_path / 'set'}")
    old = StoredDataset(tmp_path / "set").file(4)
    task(*typed, "seed=1", "if_exists=overwrite", f"targetpath={tmp_path / 'set'}")
    task(*typed, "seed=1", f"targetpath={tmp_path / 'fresh'}")
    assert tree_hash(tmp_path / "set") == tree_hash(tmp_path / "fresh")
    assert StoredDataset(tmp_path / "set").file(4) == StoredDataset(tmp_path / "fresh").file(4)
    assert StoredDataset(tmp_path / "set").file(4) != old


def committed(target: Path, shard: Shard) -> None:
    """The transaction of a shard, without its record."""
    writer = LmdbWriter(target, shard, durable=False)
    for index in range(shard.start, shard.stop):
        writer.write(index, b"image %d" % index)
    writer.commit()


def forget(target: Path) -> None:
    """Closes what this process has open of a dataset."""
    about = os.stat(target / "train.lmdb" / "data.mdb")
    ours._open.pop((about.st_dev, about.st_ino)).environment.close()


def test_one_dataset_by_several_paths_is_open_once(copy, files, tmp_path, monkeypatch):
    # LMDB allows a file to be open once in a process, by whichever path it is found.
    monkeypatch.chdir(copy.parent)
    (tmp_path / "link").symlink_to(copy)
    paths = [copy, Path(copy.name), Path("..", tmp_path.name, copy.name), tmp_path / "link"]
    datasets = [StoredDataset(path) for path in paths]
    for index in (0, 7):
        assert [dataset.file(index) for dataset in datasets] == [files[index]] * len(paths)
    assert len({id(ours.opened(path)) for path in paths}) == 1
    monkeypatch.chdir(tmp_path.parent)  # a path that was relative still names what is open
    assert datasets[0].file(3) == files[3] and datasets[3].file(3) == files[3]


def test_what_was_overwritten_is_not_kept_open(copy, tmp_path):
    """The room of a file that was removed is free when nobody has it open any more."""
    old = ours.opened(copy)
    shutil.rmtree(copy / "train.lmdb")
    committed(copy, Shard(0, 0, 10))
    assert ours.opened(copy) is not old
    with pytest.raises(lmdb.Error, match="closed"):
        old.begin()
    assert [one.path for one in ours._open.values()].count(str(copy / "train.lmdb")) == 1


# --- growth --------------------------------------------------------------------------------------


class Watched:
    """An environment that tells by which error its map came to grow."""

    def __init__(self, environment: Any) -> None:
        self._environment, self.errors = environment, []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._environment, name)

    def set_mapsize(self, size: int) -> None:
        self.errors.append("MapFull" if size else "MapResized")
        self._environment.set_mapsize(size)


def in_child(work: Callable[..., None], *arguments: Any) -> Any:
    process = FORK.Process(target=work, args=arguments)
    process.start()
    return process


def write_shard(target: Path, number: int, size: int, count: int = 10) -> None:
    """``count`` images of ``size`` bytes, of which each begins with its index."""
    writer = LmdbWriter(target, Shard(number, number * count, (number + 1) * count), durable=False)
    for index in range(number * count, (number + 1) * count):
        writer.write(index, (b"%09d" % index).ljust(size, b"."))
    writer.close()
    writer.commit()


def test_a_full_map_doubles_and_that_of_another_process_is_taken_over(tmp_path):
    (tmp_path / "train.lmdb").mkdir()
    here = Watched(ours.opened(tmp_path, writes=True, durable=False))
    assert here.info()["map_size"] == 16 * MIB
    put_all(here, [(b"first", b"1")])
    assert here.errors == []

    child = in_child(write_shard, tmp_path, 0, 2 * MIB)  # 20 MiB, in a process of its own
    child.join()
    assert child.exitcode == 0
    put_all(here, [(b"second", b"2")])
    assert here.errors == ["MapResized"] and here.info()["map_size"] == 32 * MIB

    put_all(here, [(b"%d" % number, bytes(8 * MIB)) for number in range(6)])
    assert here.errors == ["MapResized", "MapFull", "MapFull"]
    assert here.info()["map_size"] == 128 * MIB
    found = lmdb_values(tmp_path)
    assert len(found) == 2 + 11 + 6 and found["train.lmdb/000000009"].startswith(b"000000009.")


def write_odd_or_even(target: Path, first: int) -> None:
    for number in range(first, 40, 2):
        write_shard(target, number, MIB // 10)


def test_two_processes_that_write_at_once_lose_nothing(tmp_path):
    children = [in_child(write_odd_or_even, tmp_path, first) for first in (0, 1)]
    for child in children:
        child.join()
        assert child.exitcode == 0
    assert (tmp_path / "train.lmdb" / "data.mdb").stat().st_size > 2 * 16 * MIB
    whole_shards(tmp_path, range(40))


def whole_shards(target: Path, numbers: Any, count: int = 10) -> None:
    """Asserts that these shards are there, and of others nothing."""
    found = lmdb_values(target)
    for number in numbers:
        keys = [f"{index:09d}" for index in range(number * count, (number + 1) * count)]
        images = {key: found.pop(f"train.lmdb/{key}") for key in keys}
        assert found.pop(f"train.lmdb/shard-{number:06d}") == digest(images)
        assert all(value.startswith(key.encode() + b".") for key, value in images.items())
    assert found == {}


def test_a_large_shard_is_put_piece_by_piece_and_whole_with_its_digest(tmp_path, monkeypatch):
    """So that a worker need not hold it in memory; until then it belongs to nobody's shard."""
    monkeypatch.setattr(output, "_HELD", 50_000)
    store, lmdb_output, shard = (
        LocalStore(tmp_path, False),
        LmdbOutput(shard_size=10),
        Shard(2, 20, 30),
    )
    writer = LmdbWriter(tmp_path, shard, durable=False)
    for index in range(20, 30):
        writer.write(index, (b"%09d" % index).ljust(20_000, b"."))
    assert len(lmdb_values(tmp_path)) == 9 + 1  # three at a time
    assert lmdb_values(tmp_path)["train.lmdb/shard-000002"] == b""
    assert lmdb_output.present(store, [shard]) == set()
    forget(tmp_path)  # killed
    lmdb_output.clear(store, set())
    assert lmdb_values(tmp_path) == {}
    writer = LmdbWriter(tmp_path, shard, durable=False)
    for index in range(20, 30):
        writer.write(index, (b"%09d" % index).ljust(20_000, b"."))
    writer.commit()
    assert lmdb_output.present(store, [shard]) == {2}
    whole_shards(tmp_path, [2])


# --- all or nothing ------------------------------------------------------------------------------


def test_what_fails_in_the_middle_of_a_transaction_leaves_nothing(tmp_path):
    (tmp_path / "train.lmdb").mkdir()
    environment = ours.opened(tmp_path, writes=True, durable=False)
    with pytest.raises(lmdb.BadValsizeError):
        put_all(environment, [(b"000000000", b"an image"), (b"", b"no key")])
    assert lmdb_values(tmp_path) == {}


def write_on_and_on(target: Path, first: int) -> None:
    for number in range(first, 1_000_000, 2):
        write_shard(target, number, 20_000)


def test_killed_while_another_writes_there_is_no_shard_without_its_digest(tmp_path):
    for kill in range(6):
        target = tmp_path / str(kill)
        target.mkdir()
        children = [in_child(write_on_and_on, target, first) for first in (0, 1)]
        data = target / "train.lmdb" / "data.mdb"
        assert wait_until(lambda data=data: data.exists() and data.stat().st_size > MIB)
        time.sleep(0.01 * kill)
        for child in children:  # the second goes on writing for a moment
            os.kill(child.pid, signal.SIGKILL)
            child.join()
        found = lmdb_values(target)
        numbers = sorted(int(key[-6:]) for key in found if "shard-" in key)
        assert numbers
        whole_shards(target, numbers)
        write_shard(target, 1_000_000, 20_000)  # and it can be gone on with
        whole_shards(target, [*numbers, 1_000_000])


def test_a_killed_run_left_no_shard_without_its_digest(made, files):
    found = lmdb_values(made("lmdb").killed)
    numbers = [int(key[-6:]) for key in found if "shard-" in key]
    assert made("lmdb").committed <= len(numbers) < IMAGES // SHARD
    for number in numbers:
        mine = range(number * SHARD, (number + 1) * SHARD)
        images = {f"{index:09d}": found.pop(f"train.lmdb/{index:09d}") for index in mine}
        assert list(images.values()) == files[number * SHARD : (number + 1) * SHARD]
        assert found.pop(f"train.lmdb/shard-{number:06d}") == digest(images)
    assert found == {}


# --- damage --------------------------------------------------------------------------------------


def test_altered_and_deleted_values_and_digests_are_named_and_mended(run, target, copy, files):
    with reading(copy, write=True) as transaction:
        transaction.put(b"000000007", files[7][:-1] + bytes([files[7][-1] ^ 1]))
        transaction.put(b"000000028", files[28][:100])
        transaction.delete(b"000000049")
        transaction.put(b"shard-000003", b"0" * 64)
        transaction.delete(b"shard-000004")
    said = run("task=verify", f"targetpath={copy}", "threads=2", code=1)
    another = "is false: train.lmdb has another digest of them"
    assert said.stdout.splitlines() == [
        "image 7: train.lmdb/000000007 is altered",
        f"image 28: train.lmdb/000000028 is truncated (100 of {len(files[28]):,} bytes)",
        "image 49: train.lmdb/000000049 is missing",
        f"images 60 … 79: manifest/000003.jsonl {another}",
        f"images 80 … 99: manifest/000004.jsonl {another}",
    ]
    said = task("task=repair", f"targetpath={copy}", "threads=1")
    assert said.endswith("Repaired: 5 shards made again.\n")
    assert tree_hash(copy) == tree_hash(target)
    run("task=verify", f"targetpath={copy}")


@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_a_damaged_file_is_said_to_be_missing_and_made_again(run, target, copy, damage):
    # To read what is mapped behind the end of a file would end the process.
    data = copy / "train.lmdb" / "data.mdb"
    if damage == "cut":
        os.truncate(data, data.stat().st_size - 4096)
    else:
        with data.open("r+b") as file:
            file.write(bytes(8192))
    said = run("task=verify", f"targetpath={copy}", code=1)
    assert said.stdout.splitlines() == [
        f"images {first} … {first + SHARD - 1}: train.lmdb/{first:09d} is missing"
        for first in range(0, IMAGES, SHARD)
    ]
    with pytest.raises(OSError, match="LMDB: "):
        StoredDataset(copy).file(0)
    task("task=repair", f"targetpath={copy}", "threads=1")
    assert tree_hash(copy) == tree_hash(target)
