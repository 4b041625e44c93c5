"""One run at a time on a dataset."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from singleimg.errors import UserError
from singleimg.storage.local import LocalStore
from singleimg.storage.lock import hold

_HOLDING = (
    "import sys, time; from pathlib import Path; from singleimg.storage.lock import hold\n"
    "from singleimg.storage.local import LocalStore\n"
    "with hold(LocalStore(Path(sys.argv[1]))):\n"
    "    print('held', flush=True)\n"
    "    time.sleep(60)\n"
)


@pytest.fixture
def holder(tmp_path):
    """Another process that holds ``tmp_path / "d"``."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDING, str(tmp_path / "d")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_second_is_told_who_holds_it(tmp_path, holder):
    with pytest.raises(UserError) as caught, hold(LocalStore(tmp_path / "d")):
        pass
    assert re.fullmatch(
        rf"targetpath={tmp_path}/d is held by a run on {socket.gethostname()} \(process "
        rf"{holder.pid}\) since \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d: wait until that "
        r"ends, or type another targetpath\.",
        str(caught.value),
    )


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "d" / ".lock.json").exists()
    with hold(LocalStore(tmp_path / "d")):
        assert json.loads((tmp_path / "d/.lock.json").read_text())["pid"] == os.getpid()
    assert os.listdir(tmp_path / "d") == []


def test_only_one_of_many_gets_it(tmp_path):
    """Also while others take over and let go."""
    code = _HOLDING.replace("time.sleep(60)", "time.sleep(.02)").replace(
        "print('held', flush=True)",
        "f = open(sys.argv[1] + '-inside', 'x'); f.close(); time.sleep(.02); "
        "__import__('os').unlink(sys.argv[1] + '-inside')",
    )
    loop = code.replace("with hold", "for _ in range(30):\n  try:\n   with hold").replace(
        "):\n    f", "):\n      f"
    )
    loop = loop.replace("\n    time.sleep(.02)\n", "\n      time.sleep(.001)\n")
    loop += "  except __import__('singleimg.errors').errors.UserError: time.sleep(.003)\n"
    (tmp_path / "d").mkdir()
    processes = [
        subprocess.Popen([sys.executable, "-c", loop, str(tmp_path / "d")], stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    for process in processes:
        errors = process.communicate(timeout=60)[1]
        assert process.returncode == 0, errors.decode()


def test_another_host_is_not_taken_over(tmp_path):
    (tmp_path / ".lock.json").write_text('{"host": "elsewhere", "pid": 7, "since": "noon"}')
    with pytest.raises(UserError) as caught, hold(LocalStore(tmp_path)):
        pass
    assert str(caught.value) == (
        f"targetpath={tmp_path} is held by a run on elsewhere (process 7) since noon: wait until "
        "that ends, or type another targetpath (if that run has ended, remove "
        f"{tmp_path}/.lock.json)."
    )
    assert (tmp_path / ".lock.json").exists()


def test_an_unreadable_holder_is_no_holder(tmp_path):
    (tmp_path / ".lock.json").write_text('["half')
    with hold(LocalStore(tmp_path)):
        pass
    assert os.listdir(tmp_path) == []


def test_folders_made_for_nothing_go_again(tmp_path):
    with hold(LocalStore(tmp_path / "a" / "b")):
        pass
    assert os.listdir(tmp_path) == []
    with hold(LocalStore(tmp_path / "a" / "b")):
        (tmp_path / "a/b/file").write_text("")
    assert os.listdir(tmp_path / "a/b") == ["file"]


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    said = r"file/d cannot be written \(Not a directory\): type another"
    with pytest.raises(UserError, match=said), hold(LocalStore(tmp_path / "file" / "d")):
        pass


def test_waiting_is_not_needed_to_be_told(tmp_path, holder):
    begin = time.monotonic()
    with pytest.raises(UserError), hold(LocalStore(tmp_path / "d")):
        pass
    assert time.monotonic() - begin < 5
