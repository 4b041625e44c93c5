"""What a sweep saves: ``python -m tests.benchmarks.sweeps``.

Sixteen jobs of 256 images at 64 px as one sweep by ``hydra/launcher=joblib``, one by Hydra's own
launcher, and as sixteen commands one after the other, by turns. Ratios are medians of the rounds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path
from statistics import median

from tests.conftest import ROOT, SHARED

DEG, SHEAR = (0, 10, 20, 30), (0, 10, 20, 30)


def main() -> None:
    """Parses the command line, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photograph", type=Path, default=SHARED / "images" / "ameyoko.jpg")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--pixels", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="writes the figures to this file as well")
    given = parser.parse_args()
    if not given.photograph.exists():
        parser.error(f"{given.photograph} does not exist: type --photograph with one of your own")
    typed = (f"imgpath={given.photograph}", f"num_imgs={given.images}", f"img_size={given.pixels}")
    swept = ("-m", f"deg={','.join(map(str, DEG))}", f"shear={','.join(map(str, SHEAR))}", *typed)
    contestants = {
        "sixteen commands": [
            (f"deg={deg}", f"shear={shear}", *typed) for deg, shear in product(DEG, SHEAR)
        ],
        "a sweep": [swept],
        "a sweep, hydra/launcher=joblib": [("hydra/launcher=joblib", *swept)],
    }
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(given.rounds):
        for name, commands in contestants.items():
            with tempfile.TemporaryDirectory() as folder:
                begin = time.perf_counter()
                for arguments in commands:
                    subprocess.run(
                        [sys.executable, str(ROOT / "run.py"), *arguments], cwd=folder,
                        stdout=subprocess.DEVNULL, check=True,
                    )  # fmt: skip
                seconds[name].append(time.perf_counter() - begin)
                made = len(list(Path(folder).glob("outputs/*/dataset.json")))
                if made != len(DEG) * len(SHEAR):
                    raise SystemExit(f"{name}: {made} datasets")
    first, figures = seconds["sixteen commands"], {}
    for name, rounds in seconds.items():
        faster = [one / other for one, other in zip(first, rounds, strict=True)]
        figures[name] = median(faster)
        print(f"{name:31} {median(rounds):6.1f} s, {median(faster):.2f} times as fast "
              f"({', '.join(f'{one:.2f}' for one in faster)})", flush=True)  # fmt: skip
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
