"""Targets behind URLs: a real S3 server, a network that fails, and the same bytes all the same."""

from __future__ import annotations

import re
import signal
import threading
import time
from dataclasses import dataclass

import pytest

from tests.cli.conftest import SMALL, TRUST, WORKERS
from tests.scenarios import Command, Result, wait_until
from tests.stores import BUCKET, Proxy, proxy, tree

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
pytest.importorskip("s3fs", reason="s3fs is not installed")
pytest.importorskip("upath", reason="universal-pathlib is not installed")
pytest.importorskip("pyarrow", reason="pyarrow is not installed")


@dataclass
class Made:
    """Datasets in the store, by output, and what was asked while they were made."""

    targets: dict[str, str]
    asked: Proxy

    @property
    def target(self) -> str:
        """The one of tar files."""
        return self.targets["webdataset"]


OUTAGE = 8.0  # seconds


@pytest.fixture(scope="module")
def begun(port, picture):
    """Commands in bad networks, by name, with these. They wait most of the time: other tests run
    meanwhile."""

    def start(name: str, network: Proxy, *more: str) -> Command:
        typed = (f"imgpath={picture}", *SMALL, *more, f"targetpath=s3://{BUCKET}/{name}")
        return Command(*typed, **network.environment)

    def interrupt(network: Proxy) -> None:
        if wait_until(lambda: network.happened["held"]):
            # The server forgets its objects when it ends: so what stops is the way to it.
            network.stop()
            time.sleep(OUTAGE)
            network.holds = ""
            network.start()

    with (
        proxy(port, every=3) as errors,
        proxy(port, cuts=8, losses=3) as cuts,
        proxy(port, holds="/train/", lets=2) as outage,
    ):
        interrupting = threading.Thread(target=interrupt, args=(outage,))
        commands = {
            "outage": (start("outage", outage), outage),
            "errors": (start("errors", errors), errors),
            "cuts": (start("cuts", cuts, "backend=threading", *WORKERS), cuts),
        }
        interrupting.start()
        yield commands
        for command, _ in commands.values():
            command.signal(signal.SIGKILL, everyone=True)  # if the tests did not wait for it
        interrupting.join()


@pytest.fixture(scope="module")
def survived(begun) -> dict[str, Survived]:
    """How they ended."""
    return {
        name: Survived(command.end(), f"s3://{BUCKET}/{name}", network)
        for name, (command, network) in begun.items()
    }


@dataclass
class Survived:
    """How a command ended, where its dataset is, and what had happened to it."""

    result: Result
    target: str
    network: Proxy


@pytest.fixture(scope="module")
def made(run, port, begun, picture, local, tmp_path_factory) -> Made:
    """Datasets that two processes made; tests that change one take a copy."""
    sweep = ("-m", f"imgpath={picture}", *SMALL, *WORKERS, "output=webdataset,parquet")
    with proxy(port) as asked:
        folder = tmp_path_factory.mktemp("sweep")
        target = f"targetpath=s3://{BUCKET}/made"
        result = run(*sweep, target, cwd=folder, **asked.environment)
    folders = re.findall(r"^job \d of 2, .* (s3://\S+)$", result.stdout, re.M)
    targets = {folder.split("-")[-2]: folder for folder in folders}
    return Made(targets, asked)


@pytest.fixture
def copy(made, store, request) -> str:
    """A copy of it."""
    target = f"s3://{BUCKET}/{request.node.name}"
    for file in store.find(made.target):
        name = file.removeprefix(made.target.removeprefix("s3://"))
        store.cp_file(file, target + name)
    return target


# --- the same bytes ------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["webdataset", "parquet"])
def test_processes_make_in_a_store_what_one_makes_in_a_folder(made, local, output):
    target = made.targets[output]
    assert tree(target) == tree(local[output, 180])


def test_nothing_else_lies_in_the_store(made, store):
    place = made.target.removeprefix("s3://")
    names = [file.removeprefix(f"{place}/") for file in store.find(place)]
    shards = range(6)
    assert names == [
        "README.md",
        "config.resolved.yaml",
        "config.yaml",
        "croissant.json",
        "dataset.json",
        *(f"manifest/{number:06d}.jsonl" for number in shards),
        "recipe.json",
        *(f"train/shard-{number:06d}.tar" for number in shards),
    ]


def test_a_record_comes_after_its_data_and_the_word_that_all_is_there_comes_last(made):
    place = made.target.removeprefix("s3://")
    puts = (request for request in made.asked.done if request.startswith(f"PUT /{place}/"))
    order = [request.removeprefix(f"PUT /{place}/") for request in puts]
    for number in range(6):
        record, data = f"manifest/{number:06d}.jsonl", f"train/shard-{number:06d}.tar"
        assert order.index(record) > order.index(data)
    assert order[0] == "recipe.json"
    assert order[-3:] == ["dataset.json", "croissant.json", "README.md"]  # beside what is whole


def test_the_same_command_has_nothing_to_do_and_more_images_are_added(run, picture, copy, local):
    typed = (f"imgpath={picture}", *SMALL[1:], f"targetpath={copy}")
    result = run(*typed, "num_imgs=180")
    *lines, last = result.stdout.splitlines()
    assert lines == [
        f"All 180 images are in {copy} already.",
        f"Folder:  {copy}",
        f"Load:    singleimg.StoredDataset('{copy}')",
    ]
    assert last.startswith("Extend:  python run.py ") and last.endswith(" num_imgs=360")
    result = run(*typed, "num_imgs=240")
    assert result.stdout.startswith(f"60 of 240 images of 32 px into {copy}: ")
    assert tree(copy) == tree(local["webdataset", 240])


def test_an_extension_asks_for_each_record_once_and_little_else(run, port, picture, copy):
    """Tests of jobs count it for 1,281 shards, in memory."""
    with proxy(port) as asked:
        typed = (f"imgpath={picture}", *SMALL[1:], "num_imgs=210", f"targetpath={copy}")
        run(*typed, **asked.environment)
    found = [re.fullmatch(r"GET /.*/manifest/(\d+)\.jsonl.*", one) for one in asked.done]
    assert sorted(one[1] for one in found if one) == [f"{number:06d}" for number in range(7)]
    assert sum(asked.happened.values()) <= 6 + 26, asked.done


def test_overwriting_by_another_output_removes_all_objects_of_the_old_one(
    run, picture, copy, store, local
):
    typed = (f"imgpath={picture}", *SMALL, f"targetpath={copy}")
    run(*typed, "output=parquet", "if_exists=overwrite")
    assert tree(copy) == tree(local["parquet", 180])
    assert store.find(f"{copy}/train") == [
        f"{copy.removeprefix('s3://')}/train/shard-{number:06d}.parquet" for number in range(6)
    ]


def test_a_dataset_is_exported_from_a_store_and_into_one(made, local, tmp_path, port):
    typed = ("task=export", "output.shard_size=30", TRUST)
    near, far = tmp_path / "set", f"s3://{BUCKET}/exported"
    with proxy(port) as asked:
        commands = [  # at once
            Command(*typed, f"targetpath={made.target}", f"task.to={near}", "output=parquet",
                    **asked.environment),
            Command(*typed, f"targetpath={local['parquet', 180]}", f"task.to={far}",
                    "output=webdataset"),
        ]  # fmt: skip
        for command in commands:
            result = command.end()
            assert result.status == 0, result.output
    read = [one for one in asked.done if re.match(r"GET /.*/train/.*\.tar", one)]
    assert 6 <= len(read) < 60, asked.done  # large pieces, not 180 images; some to try it out
    assert tree(near) == tree(local["parquet", 180])
    assert tree(far) == tree(local["webdataset", 180])


# --- reading -------------------------------------------------------------------------------------


def test_processes_that_are_forked_load_batches_from_the_store(made, local, store):
    from torch.utils.data import DataLoader

    import singleimg

    stored = singleimg.StoredDataset(made.target, transform=lambda image: image.tobytes())
    near = singleimg.StoredDataset(local["webdataset", 180], transform=stored.transform)
    assert len(stored) == 180
    # Connections of this process are open by now; those that it forks must not use them.
    assert stored.file(77) == near.file(77)
    loader = DataLoader(
        stored,
        batch_size=16,
        num_workers=2,
        multiprocessing_context="fork",
        collate_fn=lambda batch: [image for image, _ in batch],
        timeout=60,
    )
    loaded = [image for batch in loader for image in batch]
    assert loaded == [near[index][0] for index in range(180)]
    assert [stored.file(index) for index in (0, 29, 30, -1)] == [
        near.file(index) for index in (0, 29, 30, 179)
    ]


# --- verify --------------------------------------------------------------------------------------


def test_verify_names_what_is_not_as_it_was_and_mends_it(run, copy, store, local):
    result = run("task=verify", f"targetpath={copy}")
    assert result.stdout == f"All 180 images in {copy} are as they were committed.\n"
    altered, deleted = f"{copy}/train/shard-000001.tar", f"{copy}/train/shard-000002.tar"
    data = bytearray(store.cat_file(altered))
    data[600] ^= 1  # in the first image, behind the header of 512 bytes
    store.pipe_file(altered, bytes(data))
    store.rm_file(deleted)
    # A name that is a pattern, which matches those of shards.
    store.pipe_file(f"{copy}/train/[s]*.tar", b"mine")
    result = run("task=verify", f"targetpath={copy}", code=1)
    assert result.stdout.splitlines() == [
        "image 30: train/shard-000001.tar is altered",
        "images 60 … 89: train/shard-000002.tar is missing",
        "train/[s]*.tar is foreign (no record lists it)",
    ]
    assert result.stderr == (
        f"targetpath={copy}: 3 things are wrong: to repair it, type python run.py task=repair "
        f"targetpath={copy}\n"
    )
    result = run("task=repair", f"targetpath={copy}", "threads=1", TRUST)
    assert result.stdout.splitlines()[-2:] == [
        f"1 foreign file was moved to {copy}/foreign.",
        "Repaired: 2 shards made again.",
    ]
    assert tree(copy) == tree(local["webdataset", 180])
    assert store.cat_file(f"{copy}/foreign/train/[s]*.tar") == b"mine"


# --- a network that fails ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["errors", "cuts", "outage"])
def test_a_run_gets_through_a_bad_network_with_the_same_bytes(survived, local, name):
    result = survived[name].result
    assert result.status == 0, result.output
    assert len(result.output.splitlines()) == 5, result.output  # nothing is said of it
    assert tree(survived[name].target) == tree(local["webdataset", 180])


def test_and_the_network_was_bad(survived):
    assert survived["errors"].network.happened["error"] > 10
    cuts = survived["cuts"].network
    assert (cuts.happened["cut"], cuts.happened["lost"]) == (8, 3)
    assert len(cuts.uploads("train")) == 6 + 3  # those whose answer was lost came twice
    assert survived["outage"].network.happened["held"] > 0


def test_an_object_of_several_parts_comes_whole_though_they_are_cut_off(
    port, store, tmp_path, monkeypatch
):
    from singleimg.storage import remote

    # A file of 100 MB and more goes in parts of 50 MB.
    size, target = (100 << 20) + 1, f"s3://{BUCKET}/parts"
    with (tmp_path / "file").open("wb") as file:
        file.truncate(size)
    with proxy(port, cuts=3) as network:
        options = {"endpoint_url": network.environment["AWS_ENDPOINT_URL"]}
        monkeypatch.setattr(remote, "_options", lambda protocol: options)
        remote._file_system.cache_clear()
        remote.open_url(target).put(tmp_path / "file", "train/file")
        remote._file_system.cache_clear()
    assert network.happened["cut"] == 3
    assert store.size(f"{target}/train/file") == size
    assert not store.call_s3("list_multipart_uploads", Bucket=BUCKET).get("Uploads")


# --- what cannot be ------------------------------------------------------------------------------


def refused(run, *arguments: str, **environment: str) -> str:
    """The one sentence that a command ends with."""
    result = run(*arguments, code=1, **environment)
    assert "Traceback" not in result.stdout
    return result.stderr


def test_a_store_that_refuses(run, port, picture, made):
    typed = (f"imgpath={picture}", *SMALL, f"targetpath=s3://{BUCKET}/refused")
    with proxy(port, forbids=True) as network:
        assert refused(run, *typed, **network.environment) == (
            "s3://bucket/refused/recipe.json cannot be read (AccessDenied): check the credentials "
            "in the environment, and what they allow there.\n"
        )
        verify = ("task=verify", f"targetpath={made.target}")
        assert refused(run, *verify, **network.environment) == (
            f"{made.target}/recipe.json cannot be read (AccessDenied): check the credentials in "
            "the environment, and what they allow there.\n"
        )


def test_no_bucket(run, port, picture):
    assert refused(run, f"imgpath={picture}", *SMALL, "targetpath=s3://none/set") == (
        "s3://none/set/recipe.json cannot be written (The specified bucket does not exist): make "
        "the bucket first, or type another targetpath.\n"
    )


def test_no_credentials(run, port, picture):
    typed = (f"imgpath={picture}", *SMALL, f"targetpath=s3://{BUCKET}/set")
    assert refused(run, *typed, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="") == (
        "s3://bucket/set/recipe.json cannot be read (Unable to locate credentials): put "
        "credentials into the environment (for S3 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
        "AWS_PROFILE).\n"
    )


@pytest.mark.parametrize("output", ["folder", "lmdb"])
def test_what_lies_on_disks_only(run, port, picture, output):
    if output == "lmdb":
        pytest.importorskip("lmdb", reason="lmdb is not installed")
    target = f"targetpath=s3://{BUCKET}/set"
    assert refused(run, f"imgpath={picture}", "num_imgs=4", f"output={output}", target) == (
        f"targetpath=s3://bucket/set is behind a URL, and output={output} writes to disks of this "
        "machine only: type output=webdataset, output=parquet or output=mds, or a folder.\n"
    )


def test_a_prefix_that_holds_something_else_is_left_alone(run, port, picture, store):
    store.pipe_file(f"s3://{BUCKET}/other/thesis.tex", b"mine")
    typed = (f"imgpath={picture}", *SMALL, f"targetpath=s3://{BUCKET}/other")
    assert refused(run, *typed) == (
        "targetpath=s3://bucket/other is not empty (thesis.tex is in it) and holds no dataset: "
        "type the name of a new or empty folder.\n"
    )
    assert store.find(f"s3://{BUCKET}/other") == [f"{BUCKET}/other/thesis.tex"]
