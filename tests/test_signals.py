"""Signals become an exception in the main thread, once."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from singleimg.signals import Stopped, deaf, deferred, stoppable


@pytest.fixture(autouse=True)
def signals_are_heard():
    """A test that runs in the background inherits deaf ears."""
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


def test_while_stopping_further_signals_change_nothing():
    with stoppable(), deaf():
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_deferred_signal_is_answered_afterwards():
    reached = []
    with pytest.raises(Stopped), stoppable(), deferred():
        # To this thread: those that test workers and libraries have defer nothing.
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        reached.append(True)
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
