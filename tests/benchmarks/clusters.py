"""What clusters and slices cost: ``python -m tests.benchmarks.clusters``.

The same images by ``backend=dask``, ``ray`` and ``loky``, two workers each, by turns: seconds from
the first commit to the last, and seconds of processors that all of their processes took meanwhile
(start-up is before). Then images in slices, one after the other, against one run, all of one
worker: seconds of processors after each has said what it is about to make, and how long a command
of one image takes. Ratios are medians of the rounds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from threading import Thread
from typing import NamedTuple

import psutil

from tests.conftest import ROOT, SHARED

_LOOK = 0.1  # seconds between two looks at processes


class Spent(NamedTuple):
    """Seconds: from the first commit to the last, of processors then, and of both before; and of
    processors until it was said what is about to be made, images that are tried out among them."""

    seconds: float
    cpu: float
    before: float
    cpu_before: float
    cpu_start: float

    @property
    def work(self) -> float:
        """Of processors, beyond what it takes to start."""
        return self.cpu_before + self.cpu - self.cpu_start


def main() -> None:
    """Parses the command line, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photograph", type=Path, default=SHARED / "images" / "ameyoko.jpg")
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--pixels", type=int, default=256)
    parser.add_argument("--shard", type=int, default=1000)
    parser.add_argument("--backends", nargs="*", default=["loky", "dask", "ray"])
    parser.add_argument("--sliced", type=int, default=100_000, help="images; 0: none")
    parser.add_argument("--slices", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="writes the figures to this file as well")
    given = parser.parse_args()
    if not given.photograph.exists():
        parser.error(f"{given.photograph} does not exist: type --photograph with one of your own")
    figures = {}
    if given.backends:
        figures |= backends(given)
    if given.sliced:
        figures |= slices(given)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


def backends(given: argparse.Namespace) -> dict[str, float]:
    """Each of them, against the first."""
    spent: dict[str, list[Spent]] = {name: [] for name in given.backends}
    typed = (f"num_imgs={given.images}", f"img_size={given.pixels}", "threads=2",
             f"output.shard_size={given.shard}", f"imgpath={given.photograph}")  # fmt: skip
    for _ in range(given.rounds):
        for name in given.backends:
            spent[name].append(measured(*typed, f"backend={name}"))
    first, figures = given.backends[0], {}
    for name, rounds in spent.items():
        against = [
            one.seconds / other.seconds for one, other in zip(rounds, spent[first], strict=True)
        ]
        cpu = [one.cpu / other.cpu for one, other in zip(rounds, spent[first], strict=True)]
        line = Spent(*map(median, zip(*rounds, strict=True)))
        figures |= {f"{name} against {first}": median(against), f"{name}, CPU": median(cpu)}
        print(f"{name:5} {line.seconds:6.1f} s ({', '.join(f'{one:.2f}' for one in against)} of "
              f"{first}: {median(against):.2f}), CPU {line.cpu:.1f} s ({median(cpu):.2f}); until "
              f"the first commit {line.before:.1f} s, CPU {line.cpu_before:.1f} s",
              flush=True)  # fmt: skip
    return figures


def slices(given: argparse.Namespace) -> dict[str, float]:
    """All slices of a dataset, against one run."""
    typed = (f"num_imgs={given.sliced}", "img_size=128", "threads=1",
             f"output.shard_size={given.shard}", f"imgpath={given.photograph}")  # fmt: skip
    ratios, starts = [], []
    for _ in range(given.rounds):
        none = measured(*typed[1:], "num_imgs=1")
        whole = measured(*typed)
        with tempfile.TemporaryDirectory() as name:
            parts = [
                measured(*typed, f"slice={k}/{given.slices}", target=Path(name) / "set")
                for k in range(given.slices)
            ]
        ratios.append(sum(part.work for part in parts) / whole.work)
        starts.append(none.before)
    print(f"{given.slices} slices: CPU {median(ratios):.3f} of one run's "
          f"({', '.join(f'{one:.3f}' for one in ratios)}); a command is at its first commit after "
          f"{median(starts):.1f} s")  # fmt: skip
    return {"slices, CPU": median(ratios), "slices, start": median(starts)}


def measured(*typed: str, target: Path | None = None) -> Spent:
    """Runs a command to its end."""
    with tempfile.TemporaryDirectory() as name:
        target = target or Path(name) / "set"
        began = time.time()
        known = set((target / "manifest").glob("*.jsonl"))
        process = subprocess.Popen(
            [sys.executable, "run.py", "output=webdataset", f"targetpath={target}", *typed],
            cwd=ROOT, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        used: dict[psutil.Process, float] = {}
        first, start = None, [0.0]

        def listen() -> None:
            for line in process.stdout:
                if " px into " in line:
                    spent: dict[psutil.Process, float] = {}
                    look(process.pid, spent)
                    start[0] = sum(spent.values())

        listener = Thread(target=listen)
        listener.start()
        while process.poll() is None:
            look(process.pid, used)
            if first is None and set((target / "manifest").glob("*.jsonl")) - known:
                first = sum(used.values())
            time.sleep(_LOOK)
        listener.join()
        assert process.returncode == 0 and start[0], typed
        own = set((target / "manifest").glob("*.jsonl")) - known
        times = sorted(file.stat().st_mtime for file in own)
        total = sum(used.values())
        first = total if first is None else first  # it ended before anybody looked
        return Spent(times[-1] - times[0], total - first, times[0] - began, first, start[0])


def look(pid: int, used: dict[psutil.Process, float]) -> None:
    """Notes how many seconds of processors each process of a family has used."""
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return
    for process in family:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        used[process] = times.user + times.system


if __name__ == "__main__":
    main()
