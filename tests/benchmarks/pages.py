"""What the page of a dataset costs: ``python -m tests.benchmarks.pages``.

Runs make datasets of some sizes with ``report=false``; then ``task=report`` writes their pages.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import singleimg
from singleimg.dataset.target import PAGE
from singleimg.jobs.existing import find_target, open_finished
from singleimg.jobs.page import write_page
from tests.conftest import ROOT, SHARED


def main() -> None:
    """Parses the command line, makes sets, prints a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photograph", type=Path, default=SHARED / "images" / "ameyoko.jpg")
    parser.add_argument("--images", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--pixels", type=int, default=256, help="a side of those")
    parser.add_argument("--rounds", type=int, default=3, help="pages of each set")
    given = parser.parse_args()
    if not given.photograph.exists():
        parser.error(f"{given.photograph} does not exist: type --photograph with one of your own")
    print(f"images of {given.pixels} px, augment=strong, webdataset; the run has two workers")
    with tempfile.TemporaryDirectory() as folder:
        for count in given.images:
            run, page, size = cost(given, Path(folder) / str(count), count)
            print(
                f"{count:,} images: the run {run:.1f} s, its page {page:.2f} s "
                f"({page / run:.1%} of the run), {size / 1e6:.2f} MB",
                flush=True,
            )


def cost(given: argparse.Namespace, target: Path, count: int) -> tuple[float, float, int]:
    """Seconds of the whole run, of its page, and bytes of that."""
    typed = [f"imgpath={given.photograph}", f"num_imgs={count}", f"img_size={given.pixels}"]
    typed += ["augment=strong", "output=webdataset", "threads=2", "report=false"]
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, str(ROOT / "run.py"), *typed, f"targetpath={target}"],
        check=True, stdout=subprocess.DEVNULL, cwd=ROOT,
    )  # fmt: skip
    run, pages = time.perf_counter() - begin, []
    cfg = singleimg.compose("task=report", f"targetpath={target}")
    for _ in range(given.rounds):
        begin = time.perf_counter()
        write_page(open_finished(cfg, find_target(cfg)))
        pages.append(time.perf_counter() - begin)
    return run, median(pages), (target / PAGE).stat().st_size


if __name__ == "__main__":
    main()
