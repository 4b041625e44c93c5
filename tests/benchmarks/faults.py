"""Nothing lost, at full size: ``python -m tests.benchmarks.faults``.

Does to real runs what the suite does a few times: kills, a disk that fills up, damage, fuzzed
sources; and plans a million images. About three quarters of an hour on two cores. Prints a table,
and ends with 1 when anything was lost or false.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests import killing, scenarios
from tests.conftest import ROOT
from tests.fuzzing import fuzzed_files
from tests.scenarios import Command, tree_hash
from tests.stubs import NAP

_LONG = ("num_imgs=60000", "img_size=32", "output.shard_size=200", "threads=2")
_SHORT = ("num_imgs=240", "img_size=32", "output=webdataset", "output.shard_size=100", "threads=2",
          "backend.from_seconds=0", "engine._target_=tests.stubs.SlowEngine",
          "trusted_modules=[tests.stubs]")  # fmt: skip
_CHUNK = 10  # images of these
_NAP = {NAP: "0.02"}
_MEMORY_EVERY = 0.2  # seconds


@dataclass
class Row:
    """One line of the table: what was done, how often, and what was wrong."""

    what: str
    times: str
    wrong: list[str]
    seconds: float = 0

    def __str__(self) -> str:
        found = "; ".join(self.wrong[:3]) or "nothing lost"
        return f"| {self.what} | {self.times} | {found} | {self.seconds / 60:.1f} |"


class Faults:
    """Each method does one thing to runs whose targets lie in ``folder``."""

    def __init__(self, folder: Path, kills: int, fuzz: int, damages: int, images: int) -> None:
        self.folder, self.kills, self.fuzz = folder, kills, fuzz
        self.damages, self.images = damages, images
        self._undisturbed: str | None = None

    def finished(self, typed: list[str]) -> list[str]:
        """Lets a run end; what was wrong with it."""
        result = Command(*typed).end()
        return [] if result.status == 0 else [f"status {result.status}: {result.output}"]

    @property
    def undisturbed(self) -> str:
        """The hash of an undisturbed run's tree, made when first asked for."""
        if self._undisturbed is None:
            target = self.folder / "undisturbed"
            wrong = self.finished([*_LONG, f"targetpath={target}"])
            self._undisturbed = wrong[0] if wrong else tree_hash(target)
        return self._undisturbed

    def kill_everyone(self) -> Iterator[Row]:
        """A dataset is made again from time to time, so that every kill meets work."""
        yield from self._kills("kill -9 of the process group, at random moments", 10,
                               scenarios.kill_everyone)  # fmt: skip

    def kill_workers(self) -> Iterator[Row]:
        """As above, one worker at a time."""
        yield from self._kills("kill -9 of one worker", 10, scenarios.kill_workers)

    def _kills(
        self, what: str, a_dataset: int, kill: Callable[..., Iterator[str]]
    ) -> Iterator[Row]:
        wrong: list[str] = []
        for begin in range(0, self.kills, a_dataset):
            target = self.folder / f"{kill.__name__}-{begin}"
            typed = [*_LONG, f"targetpath={target}"]
            wrong += kill(typed, target, min(a_dataset, self.kills - begin), seed=begin)
            wrong += self.finished(typed)
            if tree_hash(target) != self.undisturbed:
                wrong.append(f"{target} differs from an undisturbed run")
            wrong += scenarios.leftovers(target)
            print(f"{what}: {min(begin + a_dataset, self.kills)}", file=sys.stderr)
        yield Row(what, f"{self.kills} kills", wrong)

    def kill_in_parts(self) -> Iterator[Row]:
        """A worker at each place where parts are made and used; every second time, all there is."""
        whole = self.folder / "short"
        wrong = self.finished([*_SHORT, f"targetpath={whole}"])
        expected, times = tree_hash(whole), max(1, self.kills // 5)
        for place in killing.PLACES:
            for number in range(1, times + 1):
                target, told = self.folder / "parts", self.folder / f"told-{place}-{number}"
                typed = [*_SHORT, f"targetpath={target}"]
                at = 1 + number % (1 if place == killing.PLACES[-1] else 5)
                command = Command(*typed, **killing.armed(place, at, told, _CHUNK), **_NAP)
                if number % 2:  # the whole run, at the moment when the worker is
                    scenarios.wait_until(lambda t=told, c=command: t.exists() or c.ended())
                    command.signal(signal.SIGKILL, everyone=True)
                    command.end()
                    wrong += scenarios.false_records(target)
                else:
                    result = command.end()
                    wrong += [] if result.status == 0 else [result.output]
                wrong += [] if told.exists() else [f"nobody was killed {place}"]
                wrong += self.finished(typed)
                if tree_hash(target) != expected:
                    wrong.append(f"killed {place}: the tree differs from an undisturbed run's")
                wrong += scenarios.leftovers(target)
                shutil.rmtree(target)
            print(f"kill -9 {place}: {times}", file=sys.stderr)
        yield Row("kill -9 where parts are made and used", f"{4 * times} kills", wrong)

    def full_disk(self) -> Iterator[Row]:
        """A file system of 20 MB that fills up, is given room, and fills up again."""
        if not scenarios.can_mount(self.folder / "probe"):
            yield Row("a disk of 20 MB fills up", "0 (only root may mount one)", [])
            return
        typed = ["num_imgs=2000", "img_size=128", "output.shard_size=100"]
        whole = self.folder / "whole"
        wrong = self.finished([*typed, f"targetpath={whole}"])
        with scenarios.small_disk(self.folder / "disk", 20) as disk:
            target = disk / "set"
            for filled in range(5):
                command = Command(*typed, f"targetpath={target}")
                before = scenarios.records(target)
                scenarios.wait_until(lambda b=before: scenarios.records(target) > b)
                filler = disk / "filler"
                scenarios.fill(filler)
                result = command.end()
                if result.status != 1 or "No space left on device" not in result.output:
                    wrong.append(f"fill {filled}: status {result.status}: {result.output}")
                wrong += scenarios.false_records(target) + scenarios.leftovers(target)
                filler.unlink()
            wrong += self.finished([*typed, f"targetpath={target}"])
            if tree_hash(target) != tree_hash(whole):
                wrong.append("the tree differs from an undisturbed run's")
        yield Row("a disk of 20 MB fills up at work, then has room", "5 fills", wrong)

    def damage(self) -> Iterator[Row]:
        """Six kinds of damage at once, found, named and mended."""
        target, wrong = self.folder / "undisturbed", []
        before = self.undisturbed
        verify = ["task=verify", f"targetpath={target}"]
        for seed in range(self.damages):
            said = scenarios.damage(target, seed)
            output = Command(*verify).end().output
            wrong += [f"not said: {path} {what}" for path, what in said.items()
                      if f"{path} {what}" not in output]  # fmt: skip
            wrong += self.finished(["task=repair", *verify[1:]])
            if tree_hash(target) != before:
                wrong.append(f"seed {seed} was not mended")
        times = f"{6 * self.damages} damages"
        yield Row("flip, cut, delete, add, swap, edit a record: verify, repair", times, wrong)

    def fuzzed(self) -> Iterator[Row]:
        """Fuzzed sources through the real command line: a dataset or a sentence."""
        made, refused, wrong = 0, 0, []
        place = self.folder / "fuzz"
        place.mkdir()
        for number, file in enumerate(fuzzed_files(place, self.fuzz, seed=1)):
            target = self.folder / "fuzzed" / str(number)
            command = [f"imgpath={file}", "num_imgs=2", "img_size=32", "threads=1"]
            result = Command(*command, f"targetpath={target}").end()
            lines = result.output.splitlines()
            if result.status == 0 and (target / "dataset.json").exists():
                made += 1
            elif result.status == 1 and len(lines) == 1 and lines[0].startswith("imgpath="):
                refused += 1
            else:
                wrong.append(f"{file.name}: status {result.status}: {result.output}")
        times = f"{self.fuzz} files: {made} datasets, {refused} sentences"
        yield Row("fuzzed JPEG, PNG, WebP and TIFF sources", times, wrong)

    def million(self) -> Iterator[Row]:
        """Many images with an engine that does nothing: the driver stays as small as it was."""
        command = Command(
            f"num_imgs={self.images}",
            "output=none",
            "encode=jpeg",
            "img_size=8",
            "augment=none",
            "threads=2",
            "engine._target_=tests.stubs.BlankEngine",
            "trusted_modules=[tests.stubs]",
            PYTHONPATH=str(ROOT),
        )
        driver, sizes = psutil.Process(command.process.pid), []
        while not command.ended():
            try:
                sizes.append((time.monotonic(), driver.memory_info().rss / 1e6))
            except psutil.Error:
                break
            time.sleep(_MEMORY_EVERY)
        result = command.end()
        wrong = [] if result.status == 0 else [result.output]
        begin, end = sizes[0][0], sizes[-1][0]
        early = max(size for at, size in sizes if at < begin + 0.3 * (end - begin))
        late = max(size for at, size in sizes)
        what = f"{self.images:,} images, an engine that does nothing, output=none"
        times = f"driver {early:.0f} MB at 30 % of the time, {late:.0f} MB at most"
        if late > 1.1 * early + 5:
            wrong.append("the driver's memory grew")
        seconds = planning_seconds(self.images)
        yield Row(what, f"{times}; planned in {seconds:.2f} s", wrong)


def planning_seconds(images: int) -> float:
    """Seconds from a checked configuration to all tasks, with torch left out."""
    code = (
        "import time, sys\n"
        "from hydra import compose, initialize_config_dir\n"
        "from singleimg.config import checks, location, schema\n"
        "from singleimg.jobs.job import prepare\n"
        f"typed = ['num_imgs={images}', 'output=none', 'image=noise', 'image.width=64',"
        " 'image.height=64']\n"
        "with initialize_config_dir(str(location.CONF), version_base='1.3'):\n"
        "    cfg = checks.load(compose('config', typed), typed)\n"
        "begin = time.perf_counter()\n"
        "job = prepare(cfg)\n"
        f"assert sum(map(len, job.todo(job.target.look()))) == {images}\n"
        "print(time.perf_counter() - begin)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stdout)


_PARTS = (
    "kill_everyone",
    "kill_workers",
    "kill_in_parts",
    "full_disk",
    "damage",
    "fuzzed",
    "million",
)


def main() -> int:
    """Parses the command line, does what it asks for, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=_PARTS)
    parser.add_argument("--kills", type=int, default=100, help="of each kind")
    parser.add_argument("--fuzz", type=int, default=200, help="files")
    parser.add_argument("--damages", type=int, default=10, help="times six kinds")
    parser.add_argument("--images", type=int, default=1_000_000, help="to plan")
    given = parser.parse_args()
    wrong = False
    print("| what | how often | found | minutes |\n|---|---|---|---:|")
    with tempfile.TemporaryDirectory() as folder:
        faults = Faults(Path(folder), given.kills, given.fuzz, given.damages, given.images)
        for part in given.parts:
            begin = time.monotonic()
            for row in getattr(faults, part)():
                row.seconds = time.monotonic() - begin
                print(row, flush=True)
                wrong = wrong or bool(row.wrong)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
