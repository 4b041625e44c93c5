"""What goes wrong in the lives of runs, done to the real command line.

The suite does each a few times; ``python -m tests.benchmarks.faults`` does the same at full size.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import psutil

from singleimg.storage.manifest import Entry, Record, parse_entries, parse_record

ROOT = Path(__file__).parents[1]
PATIENCE = 300.0  # seconds, until a command counts as hanging


@dataclass
class Result:
    """What a command said, and how it ended."""

    status: int
    output: str
    seconds: float


class Command:
    """``python run.py …`` in a process group of its own, its output in one string."""

    def __init__(
        self,
        *arguments: str,
        cwd: Path = ROOT,
        python: str = sys.executable,
        through: Sequence[str] = (),
        **environment: str,
    ) -> None:
        self.begin = time.monotonic()
        self.process = subprocess.Popen(
            [*through, python, str(ROOT / "run.py"), *map(str, arguments)],
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=_hear_signals,
            env={**os.environ, **environment},
        )

    def signal(self, number: int, everyone: bool) -> None:
        """Sends a signal to the command, or to it and all that it started."""
        with suppress(ProcessLookupError):  # it may have ended by itself
            (os.killpg if everyone else os.kill)(self.process.pid, number)

    def workers(self) -> list[psutil.Process]:
        """The processes that render."""
        try:
            children = psutil.Process(self.process.pid).children()
            return [c for c in children if "popen_loky_posix" in " ".join(c.cmdline())]
        except psutil.Error:
            return []

    def end(self) -> Result:
        """Waits for its end."""
        output, _ = self.process.communicate(timeout=PATIENCE)
        return Result(self.process.returncode, output, time.monotonic() - self.begin)

    def ended(self) -> bool:
        """Whether it has ended."""
        return self.process.poll() is not None

    def left_behind(self) -> list[int]:
        """Processes of its group that still live."""
        return [
            process.pid
            for process in psutil.process_iter()
            if _group(process.pid) == self.process.pid
            and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        ]


def _hear_signals() -> None:
    """A test that runs in the background inherits ignored signals."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def wait_until(what, seconds: float = 60.0) -> bool:
    """Waits until ``what()`` is true; False when it did not come true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.01)
    return False


def records(target: Path) -> int:
    """How many shards have a record."""
    return len(list((target / "manifest").glob("[0-9]*.jsonl")))


def tree_hash(target: Path) -> str:
    """SHA-256 over names and bytes of all that a recipe decides."""
    total = sha256()
    parts = ("train", "params", "manifest", "recipe.json", "dataset.json")
    for part in parts:
        for file in sorted([target / part, *(target / part).rglob("*")]):
            if file.is_file():
                total.update(f"{file.relative_to(target)}\n".encode())
                total.update(sha256(file.read_bytes()).digest())
    for key, value in lmdb_values(target).items():
        total.update(f"{key}\n".encode())
        total.update(sha256(value).digest())
    return total.hexdigest()


def lmdb_values(target: Path) -> dict[str, bytes]:
    """Everything in ``train.lmdb``, by ``train.lmdb/<key>``; nothing where there is none.

    Out of a copy: LMDB opens no file twice in a process.
    """
    if not (target / "train.lmdb" / "data.mdb").exists():
        return {}
    import lmdb

    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(target / "train.lmdb" / "data.mdb", folder)
        with (
            lmdb.open(folder, readonly=True, lock=False) as environment,
            environment.begin() as transaction,
        ):
            return {f"train.lmdb/{key.decode()}": value for key, value in transaction.cursor()}


def leftovers(target: Path) -> list[str]:
    """Hidden and temporary names in a dataset's folder."""
    return sorted(path.name for path in target.iterdir() if path.name.startswith("."))


def read_record(file: Path) -> Record:
    """The shard in a record's file."""
    return parse_record(str(file), file.read_bytes())


def read_entries(file: Path) -> list[Entry]:
    """The files and images that it lists."""
    return list(parse_entries(str(file), file.read_bytes()))


def false_records(target: Path) -> list[str]:
    """Records that speak of files that are not there, not whole, or other ones."""
    wrong, values = [], lmdb_values(target)
    for file in (target / "manifest").glob("[0-9]*.jsonl"):
        for line in file.read_text().splitlines()[2:]:
            _, path, size, digest, *offset = json.loads(line)
            data = values.get(path, b"")
            if (target / path).exists():
                data = (target / path).read_bytes()
            for begin in offset:  # of an image that is a part of the file
                data = data[begin : begin + size]
            if (len(data), sha256(data).hexdigest()) != (size, digest):
                wrong.append(path)
    return wrong


# --- killing -------------------------------------------------------------------------------------


def kill_everyone(
    arguments: Sequence[str], target: Path, times: int, seed: int, seconds: float = 6
) -> Iterator[str]:
    """Kills the whole process group ``times`` times, at random moments; what was wrong then.

    A moment lies anywhere from the start of the command to ``seconds`` of work of all workers.
    """
    moments = random.Random(seed)
    for _ in range(times):
        command = Command(*arguments)
        if moments.random() < 0.2:
            time.sleep(moments.uniform(0, 5))  # loading, planning, locking
        else:
            done = records(target)
            wait_until(lambda done=done, c=command: c.ended() or records(target) > done)
            time.sleep(moments.uniform(0, seconds))
        command.signal(signal.SIGKILL, everyone=True)
        command.end()
        yield from false_records(target)
        if (target / "dataset.json").exists() and records(target) == 0:
            yield "dataset.json"


_ONCE = "A worker process was killed, most likely because memory ran out (its shards: "
_AGAIN = "a worker process was killed again, most likely because memory ran out (its shards: "


def kill_workers(
    arguments: Sequence[str], target: Path, times: int, seed: int, seconds: float = 1
) -> Iterator[str]:
    """Kills one worker ``times`` times; what was wrong. Two kills end a run, with a sentence."""
    moments, killed = random.Random(seed), 0
    for _ in range(4 * times):  # where no kill is noticed it would never end
        if killed == times:
            return
        command, in_this = Command(*arguments), 0
        while in_this < 2 and killed < times:
            done = records(target)
            busy = wait_until(
                lambda c=command, d=done: c.ended() or (c.workers() and records(target) > d + 2)
            )
            time.sleep(moments.uniform(0, seconds))
            workers = command.workers()
            if not busy or command.ended() or not workers:
                break
            with suppress(psutil.NoSuchProcess):
                workers[moments.randrange(len(workers))].kill()
            killed, in_this = killed + 1, in_this + 1
        result = command.end()
        noticed = (_ONCE in result.output) + (_AGAIN in result.output)
        if (target / "dataset.json").exists():  # a kill after the last shard changes nothing
            killed, in_this = killed - (in_this - noticed), noticed
        if result.status != in_this // 2 or noticed != in_this or "Traceback" in result.output:
            yield f"{in_this} kills, status {result.status}: {result.output}"
        yield from false_records(target)
        if killed < times and (target / "dataset.json").exists():
            shutil.rmtree(target)  # again, from nothing
    if killed < times:
        yield f"{killed} of {times} kills were noticed"


def killed_at(
    step: int,
    operations: Sequence[str],
    work: Callable[[], object],
    counts: Callable[[], bool] = lambda: True,
) -> bool:
    """Does ``work`` in a child that kills itself before its ``step``-th call of ``os.<operation>``.

    Calls are counted from the first one before which ``counts()`` is true. False when there were
    fewer than that.
    """
    child = os.fork()
    if child == 0:
        left, begun = step, False

        def counted(function: Callable[..., object]) -> Callable[..., object]:
            def call(*arguments: object, **options: object) -> object:
                nonlocal left, begun
                begun = begun or counts()
                left -= begun
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **options)

            return call

        for name in operations:
            setattr(os, name, counted(getattr(os, name)))
        try:
            work()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] == signal.SIGKILL


# --- faults --------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of that size (only root may mount one)."""
    folder.mkdir()
    options = f"size={megabytes}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(file: Path) -> None:
    """Takes all the room that is left on a disk."""
    with suppress(OSError), file.open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(1 << 16))


def can_mount(folder: Path) -> bool:
    """Whether this process may mount a file system."""
    try:
        with small_disk(folder, 1):
            return True
    except (subprocess.CalledProcessError, OSError):
        return False
    finally:
        folder.rmdir()


# --- damage --------------------------------------------------------------------------------------


def damage(target: Path, seed: int) -> dict[str, str]:
    """Six kinds of damage to six shards of a dataset; for each file what is to be said of it."""
    chance = random.Random(seed)
    shards = sorted((target / "train").glob("*/[0-9]*"))
    chosen = iter(chance.sample(shards, 6))
    name = lambda path: str(path.relative_to(target))  # noqa: E731
    pick = lambda: chance.choice(sorted(next(chosen).iterdir()))  # noqa: E731
    said = {}

    flipped = pick()
    data = bytearray(flipped.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    flipped.write_bytes(data)
    said[name(flipped)] = "is altered"

    cut = pick()
    size = cut.stat().st_size
    os.truncate(cut, size // 2)
    said[name(cut)] = f"is truncated ({size // 2:,} of {size:,} bytes)"

    deleted = pick()
    deleted.unlink()
    said[name(deleted)] = "is missing"

    added = next(chosen) / "notes.txt"
    added.write_text("mine")
    said[name(added)] = "is foreign (no record lists it)"

    first, second = chance.sample(sorted(next(chosen).iterdir()), 2)
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)
    for path, now, then in ((first, two, one), (second, one, two)):
        cut_short = f"is truncated ({len(now):,} of {len(then):,} bytes)"
        said[name(path)] = cut_short if len(now) < len(then) else "is altered"

    edited = target / "manifest" / f"{next(chosen).name}.jsonl"
    edited.write_text(edited.read_text().replace('"stop": ', '"stop": 1', 1))
    said[name(edited)] = "(the record) is altered"
    return said
