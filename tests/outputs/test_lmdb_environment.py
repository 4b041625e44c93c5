"""The one file of ``lmdb``: on networks, and after a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from singleimg import UserError
from singleimg.outputs import lmdb as layout
from singleimg.outputs.lmdb import LmdbOutput
from singleimg.outputs.lmdb_environment import file_system
from singleimg.storage.local import LocalStore
from singleimg.storage.shards import Shard
from tests.outputs.test_lmdb import committed, forget
from tests.scenarios import lmdb_values

lmdb = pytest.importorskip("lmdb", reason="pip install lmdb")

MIB = 1 << 20


MOUNTS = """\
/dev/sdb1 /data/sets/local xfs rw 0 0
/dev/root / ext4 rw,relatime 0 0
tmpfs /tmp tmpfs rw 0 0
server:/sets /data/sets nfs4 rw,vers=4.2 0 0
//server/share /data/my\\040share cifs rw 0 0
"""


@pytest.mark.parametrize(
    "path, kind",
    [
        ("/home/me", "ext4"),
        ("/data/sets", "nfs4"),
        ("/data/sets/a/b", "nfs4"),
        ("/data/setsbeside", "ext4"),
        ("/data/my share/a", "cifs"),
        ("/data/sets/local/a", "xfs"),
    ],
)
def test_the_innermost_mount_says_the_kind_of_file_system(path, kind):
    assert file_system(Path(path), lambda: MOUNTS) == kind


def test_where_mounts_cannot_be_read_the_kind_is_not_known():
    def unreadable() -> str:
        raise FileNotFoundError

    assert file_system(Path("/data"), unreadable) == ""


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "smb3", "lustre", "fuse.sshfs"])
def test_a_network_is_refused(monkeypatch, tmp_path, kind):
    monkeypatch.setattr(layout, "file_system", lambda path: kind)
    with pytest.raises(UserError) as refused:
        LmdbOutput().check_place(tmp_path)
    assert str(refused.value) == (
        f"targetpath={tmp_path} is on a network file system ({kind}), where LMDB would corrupt its "
        "own file: type a targetpath on a disk of this machine, or output=webdataset."
    )


# --- what a killed run leaves --------------------------------------------------------------------


def test_shards_that_were_committed_and_not_recorded_go(tmp_path):
    for shard in (Shard(0, 0, 10), Shard(1, 10, 15)):
        committed(tmp_path, shard)
    LmdbOutput(shard_size=10).clear(LocalStore(tmp_path), {"000000"})
    keys = [f"train.lmdb/{index:09d}" for index in range(10)]
    assert sorted(lmdb_values(tmp_path)) == [*keys, "train.lmdb/shard-000000"]


def test_an_error_that_may_pass_does_not_count_as_damage(tmp_path, monkeypatch):
    """What is damaged is made anew: that must not be said of a whole file."""
    committed(tmp_path, Shard(0, 0, 10))
    forget(tmp_path)

    def refuses(*_, **__):
        raise lmdb.Error("too many open files")

    import lmdb

    with monkeypatch.context() as patched:
        patched.setattr(lmdb, "open", refuses)
        with pytest.raises(OSError, match="too many open files"):
            LmdbOutput(shard_size=10).damaged(LocalStore(tmp_path))
    assert LmdbOutput(shard_size=10).damaged(LocalStore(tmp_path)) == ()
