"""Where the time of a native image goes."""

from __future__ import annotations

import cProfile
import io
import pstats
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from singleimg.outputs.folder import FolderOutput
from singleimg.storage.local import LocalStore
from singleimg.storage.manifest import Record
from singleimg.storage.shards import Shard
from singleimg.storage.staging import Staging
from tests.benchmarks import contestants

_ROUNDS = 5


def split(photograph: Path, preset: str, size: int, count: int) -> dict[str, float]:
    """Milliseconds an image of ``draw``, ``render``, ``encode`` and ``write`` (a file each)."""
    made = contestants.images(photograph, "engine=native", f"augment={preset}", f"img_size={size}")
    encoder = contestants.encoder_of("native")
    drawn = made.draw_many(range(count))
    pixels = list(made.render_drawn(drawn))
    files = [encoder.encode(one) for one in pixels]
    return {
        "draw": _each(made.draw_many, [range(count)]) / count,
        "render": _each(lambda drawn: deque(made.render_drawn(drawn), 0), [drawn]) / count,
        "encode": _each(encoder.encode, pixels),
        "write": _written(files),
    }


def _each(function: Callable[[Any], Any], items: Sequence[Any]) -> float:
    spent = []
    for _ in range(_ROUNDS):
        begin = time.perf_counter()
        for item in items:
            function(item)
        spent.append(1000 * (time.perf_counter() - begin) / len(items))
    return median(spent)


def _written(files: list[bytes]) -> float:
    spent, output = [], FolderOutput(class_name="c")
    with tempfile.TemporaryDirectory() as folder:  # emptied at the end: see commands.py
        for number in range(_ROUNDS):
            shard = Shard(number, 0, len(files))
            begin = time.perf_counter()
            with Staging(LocalStore(Path(folder)), shard) as staging:
                writer = output.open(staging, shard)
                for index, data in enumerate(files):
                    writer.write(index, data)
                staging.commit(Record(number, 0, len(files), 0, "", {}), writer.close())
            spent.append(1000 * (time.perf_counter() - begin) / len(files))
    return median(spent)


def table(photograph: Path, preset: str, size: int, count: int = 500) -> str:
    """The split, and the functions that take the most of the rendering."""
    parts = split(photograph, preset, size, count)
    whole = sum(parts.values())
    lines = [f"{preset}, {size} px, native: milliseconds an image"]
    lines += [f"  {name:8}{ms:8.3f}  {ms / whole:6.0%}" for name, ms in parts.items()]
    made = contestants.images(photograph, "engine=native", f"augment={preset}", f"img_size={size}")
    made.render_many(range(2))
    profiler, text = cProfile.Profile(), io.StringIO()
    profiler.enable()
    deque(made.render_drawn(made.draw_many(range(count))), 0)
    profiler.disable()
    pstats.Stats(profiler, stream=text).sort_stats("tottime").print_stats(15)
    return "\n".join(lines) + "\n" + text.getvalue()
