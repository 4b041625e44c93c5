"""A store, and datasets in folders to compare with what lies there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stores import environment, server

TRUST = "trusted_modules=[tests.stubs]"
# Six shards, of an engine for which no process imports torch.
SMALL = ("num_imgs=180", "img_size=32", "output=webdataset", "output.shard_size=30",
         "engine._target_=tests.stubs.SlowEngine", TRUST)  # fmt: skip
WORKERS = ("backend.from_seconds=0", "threads=2")  # processes, however short the run


@pytest.fixture(scope="package")
def port():
    """That of a server, to which all in this folder leads that is not led elsewhere."""
    with server() as port, pytest.MonkeyPatch.context() as patch:
        for name, value in environment(f"http://127.0.0.1:{port}").items():
            patch.setenv(name, value)
        yield port


@pytest.fixture(scope="package")
def local(run, picture, tmp_path_factory) -> dict[tuple[str, int], Path]:
    """Finished datasets in folders, by output and number of images."""
    folder = tmp_path_factory.mktemp("local")
    sweep = ("-m", f"imgpath={picture}", *SMALL, f"targetpath={folder / 'sets'}")
    run(*sweep, "output=webdataset,parquet", "num_imgs=180,240", cwd=folder)
    return {
        (output, number): found
        for output in ("webdataset", "parquet")
        for number in (180, 240)
        for found in (folder / "sets").glob(f"*-{output}-num_imgs{number}-*")
    }


@pytest.fixture
def store(port):
    """The store as any other program sees it."""
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    return fsspec.filesystem("s3", use_listings_cache=False)
