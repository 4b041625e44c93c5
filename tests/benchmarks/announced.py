"""The announced time against the time taken: ``python -m tests.benchmarks.announced``.

Twelve situations of about half a minute each, as a person may be in: large pictures, folders of
them, other programs at work, a set that goes on, a store, formats, backends. For each the time of
the line that is printed first, and of the one at a tenth of the work, by the time that was taken
from the first line on. "Others": cores that other programs had until the first line, and after it:
where they changed, no estimate can be right. Ends with 1 when a factor is over 2, or two are over
1.5. About ten minutes on two cores; needs a photograph (``--photograph``), and moto for the store.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from tests import stores
from tests.conftest import ROOT, SHARED

_UNITS = {"s": 1, "min": 60, "h": 3600}


@dataclass
class Situation:
    """What is typed, and what is so around it. before: typed first, and not measured."""

    name: str
    typed: str
    around: Callable = nullcontext
    before: str | None = None
    environment: dict[str, str] = field(default_factory=dict)


@dataclass
class Result:
    """Seconds: said first, said at a tenth, taken; and cores of others before and after."""

    name: str
    first: float
    again: float | None
    taken: float
    others: tuple[float, float]

    def factors(self) -> list[float]:
        """How far off each is, 1 or more."""
        said = [self.first] if self.again is None else [self.first, self.again]
        return [max(one / self.taken, self.taken / one) for one in said]

    def __str__(self) -> str:
        again = "–" if self.again is None else f"{self.again:.0f} ({self.again / self.taken:.2f})"
        return (
            f"| {self.name} | {self.first:.0f} ({self.first / self.taken:.2f}) | {again} | "
            f"{self.taken:.1f} | {self.others[0]:.1f} → {self.others[1]:.1f} |"
        )


def seconds_of(text: str) -> float:
    """Of ``18 s``, ``2 min`` or ``1 h 02 min``."""
    return sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+) (min|s|h)", text))


def measure(situation: Situation, place: Path) -> Result:
    """Runs one situation, its output in a pipe."""
    with situation.around():
        if situation.before is not None:
            for _ in _lines(situation, situation.before, place):
                pass
        lines = _lines(situation, situation.typed, place)
        first = again = None
        for at, line, load in lines:
            if found := re.search(r"about .* [kMG]?B.*?, ([\dhmins ]+) with \d+ worker", line):
                first, begin, before = seconds_of(found[1]), at, load
            if found := re.search(r" left, ([\dhmins ]+) in all\.", line):
                again = seconds_of(found[1])
        taken = at - begin
        after = (load[0] - before[0]) / taken
        return Result(situation.name, first, again, taken, (before[0] / before[1], after))


def _lines(situation: Situation, typed: str, place: Path) -> Iterator:
    """When each line came, the line, and what others had by then: seconds of a core, of so many."""
    typed = typed.format(place=place)
    process = psutil.Popen(
        [sys.executable, str(ROOT / "run.py"), *shlex.split(typed)], cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, **situation.environment},
    )  # fmt: skip
    begin, busy, said = time.monotonic(), _busy(), []
    own: dict[int, float] = {}
    os.set_blocking(process.stdout.fileno(), False)
    while True:
        ended = process.poll() is not None
        try:
            for one in [process, *process.children(recursive=True)]:
                times = one.cpu_times()
                own[one.pid] = times.user + times.system
        except psutil.Error:
            pass
        load = (_busy() - busy - sum(own.values()), time.monotonic() - begin)
        for line in process.stdout.readlines():
            said.append(line)
            yield time.monotonic(), line, load
        if ended:
            break
        time.sleep(0.05)
    yield time.monotonic(), "", load
    if process.returncode:
        raise SystemExit("".join(said))


def _busy() -> float:
    times = psutil.cpu_times()
    return sum(times[:8]) - times.idle - times.iowait


@contextmanager
def spinning() -> Iterator[None]:
    """Two processes that never wait."""
    loop = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(loop) for _ in range(2)]
    try:
        time.sleep(1)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def situations(photograph: Path, folder: Path, port: int | None) -> list[Situation]:
    """All of them; makes the pictures that they need in ``folder``."""
    large = _enlarged(photograph, (10_400, 8_000), folder / "large.png")
    camera = _enlarged(photograph, (8_200, 6_000), folder / "camera.jpg")
    for number in range(40):
        shape = (4_000, 3_000)
        _enlarged(photograph, shape, folder / "album" / f"{number}.jpg", number)
    for number in range(200):
        _enlarged(photograph, (640, 480), folder / "thumbs" / f"{number}.jpg", number)
    photo = f"imgpath={shlex.quote(str(photograph))} targetpath={{place}}"
    elastic = (
        "[{_target_: torchvision.transforms.v2.RandomResizedCrop, size: ${img_size}}, "
        "{_target_: torchvision.transforms.v2.RandomApply, p: 0.1, transforms: "
        "[{_target_: torchvision.transforms.v2.ElasticTransform}]}]"
    )
    varying = shlex.quote(f"augment.transforms={elastic}").replace("{", "{{").replace("}", "}}")
    two = "threads=2"
    found = [
        Situation("two workers", f"{photo} num_imgs=45000 {two}"),
        Situation("a PNG of 83 megapixels", f"imgpath={large} targetpath={{place}} "
                  f"num_imgs=40000 {two}"),
        Situation("a JPEG of 49 megapixels, one process", f"imgpath={camera} "
                  "targetpath={place} num_imgs=25000 backend=sequential"),
        Situation("a folder of 40 pictures of 12 megapixels", f"image=folder "
                  f"imgpath={folder / 'album'} targetpath={{place}} num_imgs=30000 "
                  f"output.shard_size=200 {two}"),
        Situation("a folder of 200 small pictures, one process", f"image=folder "
                  f"imgpath={folder / 'thumbs'} targetpath={{place}} num_imgs=80000 img_size=64 "
                  "backend=sequential"),
        Situation("two other programs that never wait", f"{photo} num_imgs=25000 {two}", spinning),
        Situation("a set of 20,000 goes on to 60,000, webdataset",
                  f"{photo} num_imgs=60000 output=webdataset output.shard_size=2500 {two}",
                  before=f"{photo} num_imgs=20000 output=webdataset output.shard_size=2500 {two}"),
        Situation("parquet, augment=paper, 64 px",
                  f"{photo} num_imgs=120000 output=parquet augment=paper img_size=64 {two} "
                  "output.shard_size=4000"),
        Situation("a transform that is slow, for one image of ten",
                  f"{photo} num_imgs=5000 augment=weak {varying} img_size=128 {two}"),
        Situation("threads", f"{photo} num_imgs=50000 augment=strong backend=threading {two}"),
        Situation("reference engine, PNG, one process",
                  f"{photo} num_imgs=1300 engine=reference encode=png backend=sequential"),
    ]  # fmt: skip
    if port is not None:
        target = f"s3://{stores.BUCKET}/announced-{time.time_ns()}"
        found.insert(8, Situation(
            "a store", f"imgpath={photograph} targetpath={target} num_imgs=80000 img_size=128 "
            f"output=webdataset output.shard_size=2000 {two}",
            environment=stores.environment(f"http://127.0.0.1:{port}"),
        ))  # fmt: skip
    return found


def _enlarged(photograph: Path, size: tuple[int, int], file: Path, number: int = 0) -> Path:
    """The photograph at another size, with the noise of a sensor."""
    if file.exists():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(photograph) as image:
        pixels = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR))
    noise = np.random.default_rng(number).integers(-4, 5, (size[1], size[0], 1), np.int16)
    Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)).save(file, compress_level=1)
    return file


def main() -> int:
    """Parses the command line, measures, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photograph", type=Path, default=SHARED / "images" / "ameyoko.jpg")
    parser.add_argument("--only", type=int, nargs="+", help="situations by their numbers, from 1")
    parser.add_argument("--scale", type=float, default=1, help="times as many images")
    parser.add_argument("--pictures", type=Path, help="a folder to keep those that are made")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, stores.server() as port:
        folder, results = Path(name), []
        print("| situation | said first, s | at a tenth, s | taken, s | others, cores |")
        print("|---|---:|---:|---:|---:|")
        pictures = (given.pictures or folder).absolute()
        found = situations(given.photograph.absolute(), pictures, port)
        for number, one in enumerate(found, 1):
            if given.only is None or number in given.only:
                one.typed = re.sub(
                    r"num_imgs=(\d+)",
                    lambda n: f"num_imgs={int(n[1]) * given.scale:.0f}",
                    one.typed,
                )
                results.append(measure(one, folder / f"set {number}".replace(" ", "-")))
                print(results[-1], flush=True)
    for column in range(2):
        factors = sorted(one.factors()[-1 if column else 0] for one in results)
        within = sum(factor <= 1.5 for factor in factors)
        name = ("first", "at a tenth")[column]
        print(f"{name}: {within} of {len(factors)} within 1.5, the worst {factors[-1]:.2f}")
    factors = [max(one.factors()) for one in results]
    return int(max(factors) > 2 or sum(factor > 1.5 for factor in factors) > 1)


if __name__ == "__main__":
    sys.exit(main())
