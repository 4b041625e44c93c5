"""How fast: ``python -m tests.benchmarks.throughput --photograph ameyoko.jpg``.

Times the published pipeline, both engines, bare JPEG encoding and Albumentations on one core, all
in one process and in turn; then ``run.py`` itself with one and two workers. Figures are medians.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from statistics import median

from tests.benchmarks import commands, contestants, profile
from tests.benchmarks.timing import alternate, ratio
from tests.conftest import SHARED

SIZES, PRESETS = (32, 64, 224, 256), ("script", "paper", "strong")
FAST = "native"


def main() -> None:
    """Parses the command line, runs what it asks for, prints tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photograph", type=Path, default=SHARED / "images" / "ameyoko.jpg")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="pixels a side")
    parser.add_argument("--presets", nargs="+", default=PRESETS)
    parser.add_argument("--images", type=int, default=200, help="a turn")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contestant")
    parser.add_argument("--no-commands", action="store_true", help="leave run.py out")
    parser.add_argument("--profile", action="store_true", help="where a native image's time goes")
    parser.add_argument("--json", type=Path, help="writes the figures to this file as well")
    given = parser.parse_args()
    if not given.photograph.exists():
        parser.error(f"{given.photograph} does not exist: type --photograph with one of your own")
    if given.profile:
        print(profile.table(given.photograph, given.presets[0], given.sizes[-1]))
        return
    figures = {
        "processor": platform.processor() or platform.machine(),
        "photograph": given.photograph.name,
        "engines": engines(given),
    }
    print(f"\n{summary(figures['engines'])}")
    if not given.no_commands:
        figures["commands"] = commands.measure(given.photograph, rate_of(figures["engines"]))
        print(commands.table(figures["commands"]))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


def engines(given: argparse.Namespace) -> list[dict]:
    """One dict for each preset, size and contestant; each table is printed when it is known."""
    rows = []
    for preset in given.presets:
        print(f"\n{preset}: milliseconds an image, one core, JPEG included, nothing written")
        print(HEAD)
        for size in given.sizes:
            here = compare(given, preset, size)
            rows += here
            print("\n".join(line(row) for row in here), flush=True)
    return rows


HEAD = (
    f"{'px':>4}  {'contestant':24}{'ms':>9}{'images/s':>10}{'draw':>8}{'render':>8}{'encode':>8}"
    f"{'write':>8}   native is … times as fast"
)


def line(row: dict) -> str:
    """A row of the table."""
    parts = "".join(
        f"{row[part]:8.3f}" if part in row else f"{'':8}"
        for part in ("draw", "render", "encode", "write")
    )
    return (
        f"{row['size']:4}  {row['contestant']:24}{row['ms']:9.3f}{1000 / row['ms']:10.0f}{parts}"
        f"   {row['native is faster by']:.2f}"
    )


def compare(given: argparse.Namespace, preset: str, size: int) -> list[dict]:
    """All contestants of one preset at one size, in turn."""
    photograph = given.photograph
    every = {
        "published, repaired": contestants.published(photograph, size)
        if preset == "script"
        else None,
        "reference": contestants.ours(photograph, "reference", preset, size),
        FAST: contestants.ours(photograph, FAST, preset, size),
        "bare JPEG": contestants.bare_jpeg(photograph, preset, size, 64),
        "Albumentations": contestants.albumentations(photograph, preset, size),
        "Albumentations, smooth": contestants.albumentations(
            photograph, preset, size, antialias=True
        ),
    }
    present = {name: make for name, make in every.items() if make}
    spent = alternate(present, given.images, given.rounds)
    split = profile.split(photograph, preset, size, given.images)
    return [
        {
            "preset": preset,
            "size": size,
            "contestant": name,
            "ms": median(times),
            "native is faster by": ratio(times, spent[FAST]),
            **(split if name == FAST else {}),
        }
        for name, times in spent.items()
    ]


AGAINST = ("published, repaired", "reference", "Albumentations", "Albumentations, smooth")


def summary(rows: list[dict]) -> str:
    """One line a preset and size, in Markdown: native, and how many times as long others take."""
    lines = [
        f"| preset | px | native, ms | {' | '.join(AGAINST)} | bare JPEG, ms |",
        "|---|---" + "|---:" * (len(AGAINST) + 2) + "|",
    ]
    cells = {(row["preset"], row["size"], row["contestant"]): row for row in rows}
    for preset, size in dict.fromkeys((row["preset"], row["size"]) for row in rows):
        others = [cells.get((preset, size, name)) for name in AGAINST]
        ratios = [f"{row['native is faster by']:.1f}×" if row else "–" for row in others]
        native, jpeg = (cells[preset, size, name]["ms"] for name in (FAST, "bare JPEG"))
        lines.append(f"| `{preset}` | {size} | {native:.2f} | {' | '.join(ratios)} | {jpeg:.2f} |")
    return "\n".join(lines)


def rate_of(rows: list[dict]) -> float | None:
    """Images a second of the native engine on one core, for run.py's default settings."""
    for row in rows:
        if (row["preset"], row["size"], row["contestant"]) == ("script", 256, FAST):
            return 1000 / row["ms"]
    return None


if __name__ == "__main__":
    main()
