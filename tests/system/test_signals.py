"""Signals become an exception in the main thread, once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from singleimg.system.signals import Stopped, deferred, ignore_signals, stoppable
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def signals_are_heard():
    """A test that runs in the background inherits ignored signals."""
    heard = (signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)
    before = [(number, signal.signal(number, handler)) for number, handler in heard]
    yield
    for number, handler in before:
        signal.signal(number, handler)


@pytest.mark.parametrize("name, status", [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_is_raised_with_its_status(name, status):
    before = signal.getsignal(getattr(signal, name))
    with pytest.raises(Stopped) as caught, stoppable():
        os.kill(os.getpid(), getattr(signal, name))
    assert caught.value.status == status
    assert signal.getsignal(getattr(signal, name)) is before


def test_a_second_one_does_not_cut_short_what_is_done_after_the_first():
    reached = []
    with pytest.raises(Stopped) as caught, stoppable():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            reached.append(True)
    assert caught.value.status == 143 and reached == [True]


def test_while_stopping_further_signals_change_nothing():
    with stoppable(), ignore_signals():
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_deferred_signal_is_answered_afterwards():
    reached = []
    with pytest.raises(Stopped), stoppable(), deferred():
        # To this thread: those that test workers and libraries have defer nothing.
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        reached.append(True)
    assert reached == [True]


def test_a_deferred_signal_is_answered_once_and_after_a_mistake_as_well():
    with pytest.raises(Stopped) as caught, stoppable(), deferred():
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        raise OSError("No space left on device")
    # Of several that wait, the system hands over whichever it likes first.
    assert caught.value.status in (130, 143) and isinstance(caught.value.__context__, OSError)


def test_a_signal_that_another_thread_receives_is_deferred_as_well():
    """The system hands it to any thread that does not block it."""
    reached, ready, done = [], threading.Event(), threading.Event()

    def receive() -> None:
        ready.set()
        done.wait()

    thread = threading.Thread(target=receive)  # begun before: it blocks nothing
    thread.start()
    ready.wait()
    try:
        with pytest.raises(Stopped), stoppable(), deferred():
            signal.pthread_kill(thread.ident, signal.SIGTERM)
            time.sleep(0.05)
            reached.append(True)
    finally:
        done.set()
        thread.join()
    assert reached == [True]


def test_what_is_ignored_stays_ignored():
    """As nohup does it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_leave_signals_alone():
    def work() -> None:
        with stoppable():
            handlers.append(signal.getsignal(signal.SIGTERM))

    handlers: list[object] = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGTERM)]


DEAF = """
import hashlib, os, signal, sys, threading
from singleimg.system.signals import deferred, ignore_signals, stoppable
threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
try:
    with stoppable(), {within}:
        hashlib.pbkdf2_hmac("sha256", b"", b"", {rounds})  # seconds, and Python hears nothing
        print("done")
except KeyboardInterrupt as stopped:
    sys.exit(stopped.status)
"""


@pytest.mark.parametrize(
    "within, rounds, said, status",
    [
        (
            "stoppable()",
            10**9,
            "Stopped in a long step: type the same command again to resume.\n",
            130,
        ),
        pytest.param("deferred()", 2 * 10**7, "done\n", 130, marks=pytest.mark.slow),
        pytest.param("ignore_signals()", 2 * 10**7, "done\n", 0, marks=pytest.mark.slow),
    ],
)
def test_a_library_that_hears_nothing_is_not_waited_for(within, rounds, said, status):
    """Unless signals are deferred or ignored, as when a checkpoint is written."""
    script = DEAF.replace("{within}", within).replace("{rounds}", str(rounds))
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (result.stdout + result.stderr, result.returncode) == (said, status)


class Dropping:
    """Python prints what is raised while an object goes, and goes on."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(100):
            pass


def test_a_signal_that_python_drops_is_raised_again(capfd):
    dropping = Dropping()
    with pytest.raises(Stopped), stoppable():
        del dropping
        time.sleep(5)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("way", [["run.py"], ["-m", "singleimg"]])
def test_a_signal_before_the_program_is_there_says_nothing(way):
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", *way, "--help"], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    said = ""
    for line in process.stderr:  # of each module, as it is there
        if "omegaconf" in line:
            process.send_signal(signal.SIGINT)
        said += "" if line.startswith("import time:") else line
    assert process.wait() == -signal.SIGINT and said == ""
    process.stdout.close()
    process.stderr.close()
