"""Who ends others when its own process is gone."""

from __future__ import annotations

import signal
import subprocess
import sys

import psutil
import pytest

from singleimg.system.watcher import Watcher
from tests.conftest import ROOT
from tests.scenarios import wait_until

SLEEPS = [sys.executable, "-c", "import time; time.sleep(300)"]
DRIVER = """
import subprocess, sys, time
from singleimg.system.watcher import Watcher
child = subprocess.Popen(%r, start_new_session=True)
Watcher([child.pid])
print(child.pid, flush=True)
time.sleep(300)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_them_however_the_driver_ends(number):
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER % SLEEPS], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    child = psutil.Process(int(driver.stdout.readline()))
    driver.send_signal(number)
    driver.wait(30)
    driver.stdout.close()
    assert wait_until(lambda: not child.is_running() or child.status() == "zombie", 15)


def test_it_ends_them_when_it_is_asked_to():
    child = subprocess.Popen(SLEEPS)
    Watcher([child.pid]).end()
    assert child.wait(15) == -signal.SIGKILL


def test_a_process_that_got_the_id_of_one_that_is_gone_lives(monkeypatch):
    child = subprocess.Popen(SLEEPS)
    try:
        monkeypatch.setattr(psutil.Process, "create_time", lambda self: 1e9)
        Watcher([child.pid]).end()
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()
