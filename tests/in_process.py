"""``python run.py …`` without a process of its own: what a command finds and leaves, put back.

A process begins with nothing and takes everything with it when it ends. Here the command shares
the tests' interpreter: before it runs it is given what a new process has, and afterwards the
interpreter is as it was. Modules stay imported, which is what makes it fast.
"""

from __future__ import annotations

import importlib
import logging
import os
import random
import runpy
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import BinaryIO, TextIO

import hydra._internal.hydra
import numpy as np
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from omegaconf.basecontainer import BaseContainer
from PIL import Image

from singleimg.outputs import lmdb_environment
from singleimg.storage import remote

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STOPPED = [128 + number for number in _SIGNALS]


def run_script(
    script: Path,
    arguments: Sequence[str],
    cwd: Path,
    environment: dict[str, str],
    terminal: BinaryIO | None = None,
) -> CompletedProcess[str]:
    """Runs a script as ``python script …``; ``environment`` is added to that of the tests.

    ``terminal``: where it prints; else what was printed is caught. KeyboardInterrupt when a signal
    stopped it: that was meant for the tests.
    """
    typed = [str(script), *map(str, arguments)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with (
            as_new_process(typed, cwd, environment),
            _stream("stdout", 1, terminal or out),
            _stream("stderr", 2, terminal or err),
        ):
            status = _status(script)
        said = [_text(file) for file in (out, err)]
    if status in _STOPPED:
        raise KeyboardInterrupt
    return CompletedProcess([sys.executable, *typed], status, *said)


@contextmanager
def as_new_process(typed: list[str], cwd: Path, environment: dict[str, str]) -> Iterator[None]:
    """The interpreter as a process started with these arguments finds it; put back afterwards."""
    with ExitStack() as world:
        world.enter_context(_environment(environment))
        world.enter_context(_folder(cwd))
        world.enter_context(_own_modules(environment.get("PYTHONPATH", "")))
        world.enter_context(_arguments(typed))
        for restored in (_hydra, _logs, _signals, _numbers, _warnings, _stores):
            world.enter_context(restored())
        _end_workers_of_others()
        yield


def _status(script: Path) -> int:
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def _text(file: TextIO) -> str:
    file.seek(0)
    return file.read().decode()


@contextmanager
def _stream(name: str, number: int, file: TextIO) -> Iterator[None]:
    """Catches what is written to a stream, and by other processes to its file descriptor."""
    before, kept = getattr(sys, name), os.dup(number)
    before.flush()
    os.dup2(file.fileno(), number)
    stream = open(number, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    setattr(sys, name, stream)
    try:
        yield
    finally:
        stream.flush()
        setattr(sys, name, before)
        os.dup2(kept, number)
        os.close(kept)


@contextmanager
def _environment(more: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(more)
    folder, tempfile.tempdir = tempfile.tempdir, None  # which TMPDIR may have changed
    try:
        yield
    finally:
        tempfile.tempdir = folder
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _stores() -> Iterator[None]:
    """Connections to stores, which go where the environment led when they were opened, and files of
    LMDB, which a process may have open once."""
    _forget_stores()
    try:
        yield
    finally:
        _forget_stores()


def _forget_stores() -> None:
    remote._file_system.cache_clear()
    while lmdb_environment._open:
        lmdb_environment._open.popitem()[1].environment.close()
    if "s3fs" in sys.modules:
        sys.modules["s3fs"].S3FileSystem.clear_instance_cache()


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def _own_modules(path: str) -> Iterator[None]:
    """Modules below ``path`` can be imported, and are forgotten afterwards."""
    folders = [folder for folder in path.split(os.pathsep) if folder]
    before = list(sys.path)
    sys.path[:0] = folders
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None) or ""
            if any(file.startswith(f"{folder}{os.sep}") for folder in folders):
                del sys.modules[name]


@contextmanager
def _arguments(typed: list[str]) -> Iterator[None]:
    before, sys.argv = sys.argv, typed
    try:
        yield
    finally:
        sys.argv = before


@contextmanager
def _hydra() -> Iterator[None]:
    """Hydra and OmegaConf keep one application, one configuration and resolvers a process."""
    instances, resolvers = dict(Singleton._instances), dict(BaseContainer._resolvers)
    loader = hydra._internal.hydra.ConfigLoaderImpl
    for own in (GlobalHydra, HydraConfig):
        Singleton._instances.pop(own, None)
    try:
        yield
    finally:
        hydra._internal.hydra.ConfigLoaderImpl = loader
        for kept, found in (
            (Singleton._instances, instances),
            (BaseContainer._resolvers, resolvers),
        ):
            kept.clear()
            kept.update(found)


@contextmanager
def _logs() -> Iterator[None]:
    """What ``logging.config`` changes: handlers, levels, and which loggers are silent."""
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    names = ("level", "propagate", "disabled")
    before = [
        (logger, list(logger.handlers), {name: getattr(logger, name) for name in names})
        for logger in loggers
        if isinstance(logger, logging.Logger)
    ]
    try:
        yield
    finally:
        for logger, handlers, values in before:
            for handler in [one for one in logger.handlers if one not in handlers]:
                handler.close()
            logger.handlers[:] = handlers
            vars(logger).update(values)
            logger._cache.clear()


@contextmanager
def _signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _numbers() -> Iterator[None]:
    """Global generators, torch's threads and Pillow's limit."""
    torch = sys.modules.get("torch")
    limit, states = Image.MAX_IMAGE_PIXELS, (random.getstate(), np.random.get_state())
    of_torch = (torch.get_rng_state(), torch.get_num_threads()) if torch else None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit
        random.setstate(states[0])
        np.random.set_state(states[1])
        if torch and of_torch:
            torch.set_rng_state(of_torch[0])
            torch.set_num_threads(of_torch[1])


@contextmanager
def _warnings() -> Iterator[None]:
    """Python's own filters, and on standard error; pytest collects them otherwise."""

    def show(message, category, filename, lineno, file=None, line=None) -> None:
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))

    with warnings.catch_warnings():
        warnings.resetwarnings()
        for category in (
            DeprecationWarning,
            PendingDeprecationWarning,
            ImportWarning,
            ResourceWarning,
        ):
            warnings.simplefilter("ignore", category)
        warnings.showwarning = show
        yield


_begun_in: dict[str, str] = {}  # the environment of the last command


def _end_workers_of_others() -> None:
    """joblib keeps worker processes for the next call, and they the environment of their start."""
    here = {name: text for name, text in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    executors = sys.modules.get("joblib.externals.loky.reusable_executor")
    if here != _begun_in and executors and executors._executor is not None:
        executors._executor.shutdown(wait=True, kill_workers=True)
        executors._executor = executors._executor_kwargs = None
    _begun_in.clear()
    _begun_in.update(here)
