"""A worker needs little memory, however large the shard: run with ``-m slow``."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

MOST = 250  # megabytes above those at rest; the shard has a thousand


@pytest.mark.slow
@pytest.mark.parametrize("name", ["webdataset", "parquet", "lmdb"])
def test_a_shard_of_a_gigabyte_is_assembled_in_a_quarter_of_it(tmp_path, name):
    pytest.importorskip({"parquet": "pyarrow", "lmdb": "lmdb"}.get(name, "os"))
    assert megabytes(sys.executable, name, tmp_path) < MOST


def megabytes(python: str, name: str, folder) -> int:
    """What :mod:`tests.memory` finds."""
    command = [python, "-m", "tests.memory", name, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])
