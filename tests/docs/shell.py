"""Runs the blocks of a page as a reader would who has a checkout, a photograph and little time.

What makes a command long is made small by itself, unless ``<!-- run: with … -->`` says otherwise: a
typed ``num_imgs``, ``img_size``, ``threads``, ``method.updates``, … is capped (``MOST``), and where
it was left out and the task reads it, a small one is typed; of a sweep, two values of the first two
keys are left, and one of each other; in Python ``num_workers`` is at most 2.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from singleimg.config.location import CONF
from singleimg.config.ranges import parse_count
from singleimg.config.tasks import TASKS
from singleimg.errors import UserError
from tests.conftest import ROOT
from tests.docs.pages import Block, blocks_of
from tests.in_process import as_new_process, run_script

# Most of a key that a page does not steer, and what is typed where the page leaves it out.
MOST = {
    "num_imgs": 48, "img_size": 64, "threads": 2, "preview.rows": 2, "preview.columns": 3,
    "method.updates": 2, "method.epochs": 2, "method.batch_size": 16, "method.k": 4,
    "probe.epochs": 1, "probe.updates": 0, "probe.images": 40, "hydra.sweeper.n_trials": 2,
    "task.slices": 2,
    "shortcut.updates": 2, "shortcut.images": 64, "shortcut.sources": 2,
    "shortcut.tested_sources": 2, "shortcut.tested": 64,
}  # fmt: skip
_IMAGES = ("num_imgs", "img_size")
_TYPED_BY = {
    "generate": _IMAGES, "prepare": _IMAGES,
    "preview": (*_IMAGES, "preview.rows", "preview.columns"),
    "pretrain": (*_IMAGES, "method.updates", "method.batch_size"),
    "evaluate": (*_IMAGES, "method.updates", "method.batch_size", "probe.epochs", "probe.updates",
                 "probe.images"),
    "distil": (*_IMAGES, "method.updates", "method.batch_size"),
    "probe": ("probe.epochs", "probe.updates", "probe.images"),
    "shortcut": tuple(key for key in MOST if key.startswith("shortcut.")),
}  # fmt: skip
_ASIDE = {"--help", "-h", "--version", "--cfg", "--hydra-help", "--info", "-i", "-c"}
_SHELL = re.compile(r"[;|<>`]|\$\(|&(?!&)(?<!&&)|^\s*(?:for|while|if|set) ", re.MULTILINE)
_OURS = {
    ("python", "run.py"): "run.py",
    ("python", "-m", "singleimg"): "singleimg/__main__.py",
    ("singleimg",): "singleimg/__main__.py",
}
_LINKS = ("run.py", "conf", "singleimg", "tests", "docs", "pyproject.toml", "README.md")


def follow(page: str, folder: Path, environment: dict[str, str], *, slow: bool) -> dict[str, Any]:
    """Does all that a page asks for, in a folder of its own; with ``slow``, what is long too.

    Gives the names that its Python has left.
    """
    furnish(folder)
    reader = Reader(folder, environment)
    for block in blocks_of(page):
        if slow or not block.slow:
            reader.follow(block)
    return reader.names


def furnish(folder: Path) -> None:
    """Puts into a folder what commands of pages refer to: a checkout, and pictures.

    photo.jpg: 320×240, no flip or turn of it is itself, with EXIF (orientation 6). photos/: three
    such pictures. labelled/: two classes, train/ and test/, as ``data=imagefolder`` reads them.
    """
    for name in _LINKS:
        (folder / name).symlink_to(ROOT / name)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "singleimg"
    _picture(320, 240, 0).save(folder / "photo.jpg", exif=exif)
    (folder / "photos").mkdir()
    for number, name in enumerate(("bridge", "market", "street"), 1):
        _picture(240 + 16 * number, 200, number).save(folder / "photos" / f"{name}.jpg", exif=exif)
    for split, count in (("train", 24), ("test", 8)):
        for label in ("left", "right"):
            place = folder / "labelled" / split / label
            place.mkdir(parents=True)
            for number in range(count):
                picture = _picture(32, 32, number + (label == "right") * 100)
                picture.save(place / f"{number}.png")


def _picture(width: int, height: int, seed: int) -> Image.Image:
    across = Image.linear_gradient("L").rotate(90).resize((width, height))
    down = (
        Image.radial_gradient("L")
        .resize((width, height))
        .point(lambda level: (level * 2 + seed * 9) % 256)
    )
    return Image.merge("RGB", (across, down, across.point(lambda level: level * (seed + 2) % 256)))


class Reader:
    """Somebody who types what a page shows, from its first block to its last."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = self.cwd = folder
        self.environment = {"PYTHONPATH": str(folder), **environment}  # where files of a page lie
        self.names: dict[str, Any] = {"__name__": "__main__"}

    def follow(self, block: Block) -> None:
        """Does what a block asks for; AssertionError says which of its lines failed, and how."""
        if block.reason:
            return
        if block.file:
            file = self.folder / block.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            self.execute(block)
        elif block.language in ("bash", "sh", "console"):
            self.type(block)

    def execute(self, block: Block) -> None:
        """Python, in the names of the page."""
        code = "\n" * block.line + block.text  # tracebacks name the line of the page
        code = re.sub(
            r"\bnum_workers=(\d+)", lambda found: f"num_workers={min(2, int(found[1]))}", code
        )
        with as_new_process([block.place], self.cwd, self.environment):
            exec(compile(ast.parse(code), block.place, "exec"), self.names)

    def type(self, block: Block) -> None:
        """Lines of a shell: ours in this process, others each in one of its own."""
        text = re.sub(r"\\\n\s*", " ", block.text)
        if _SHELL.search(_unquoted(text)):
            text = re.sub(r"[\w.]+=[^\s'\"]+", lambda found: capped(found[0]), text)
            self._check(block, text, self._process(["bash", "-euc", text]))
            return
        for line in text.splitlines():
            for command in _commands(line):
                if words := self._words(command):
                    self._check(block, command, self._run(block, words))

    def _words(self, command: str) -> list[str]:
        """The words of a command, as a shell hands them on."""
        printed = subprocess.run(
            ["bash", "-c", f'printf "%s\\0" {command}'], cwd=self.cwd, capture_output=True,
            text=True, check=True, env={**os.environ, **self.environment},
        )  # fmt: skip
        return [word for word in printed.stdout.split("\0")[:-1]] if command.strip() else []

    def _run(self, block: Block, words: list[str]) -> subprocess.CompletedProcess[str]:
        environment = dict(self.environment)
        while re.match(r"[A-Z_]+=", words[0]):
            name, _, value = words.pop(0).partition("=")
            environment[name] = value
        if words[0] == "cd":
            self.cwd = (self.cwd / words[1]).resolve()
            return subprocess.CompletedProcess(words, 0, "", "")
        if words[0] == "export":
            self.environment.update(word.split("=", 1) for word in words[1:])
            return subprocess.CompletedProcess(words, 0, "", "")
        for begins, script in _OURS.items():
            if tuple(words[: len(begins)]) == begins:
                arguments = smaller(words[len(begins) :], block.more)
                return run_script(ROOT / script, arguments, self.cwd, environment)
        return self._process(words, environment)

    def _process(
        self, words: list[str], environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, cwd=self.cwd, capture_output=True, text=True, timeout=300,
            env={**os.environ, **(environment or self.environment)},
        )  # fmt: skip

    @staticmethod
    def _check(block: Block, command: str, done: subprocess.CompletedProcess[str]) -> None:
        assert (done.returncode != 0) == block.fails, (
            f"{block.place}: {command}\nexit status {done.returncode}\n{done.stdout}{done.stderr}"
        )


def _unquoted(text: str) -> str:
    return re.sub(r"'[^']*'|\"[^\"]*\"|(?<!\S)#.*", "", text)


def _commands(line: str) -> list[str]:
    """The commands of a line, between ``&&``; a prompt before them is none of theirs."""
    masked = re.sub(r"'[^']*'|\"[^\"]*\"", lambda found: "_" * len(found[0]), line)
    masked = re.sub(r"(?<!\S)#.*", "", masked)
    ends = [found.span() for found in re.finditer("&&", masked)]
    starts = [0, *(end for _, end in ends)]
    stops = [*(start for start, _ in ends), len(masked)]
    parts = [line[start:stop].strip() for start, stop in zip(starts, stops, strict=True)]
    return [part.removeprefix("$ ") for part in parts if part]


def smaller(arguments: Sequence[str], more: Sequence[str] = ()) -> list[str]:
    """The arguments of a command of ours, with ``more``, and small where the page says nothing."""
    steered = {one.partition("=")[0] for one in more}
    kept = [capped(one) for one in arguments if one.partition("=")[0] not in steered]
    kept = _fewer_jobs(kept) if {"-m", "--multirun"} & set(kept) else kept
    if _ASIDE & set(arguments):
        return [*kept, *more]
    typed = dict(one.partition("=")[::2] for one in (*kept, *more))
    return [*kept, *(f"{key}={MOST[key]}" for key in _left_out(typed)), *more]


def _fewer_jobs(arguments: Sequence[str]) -> list[str]:
    """The arguments of a sweep, of which at most four jobs are left."""
    kept, swept = [], 0
    for one in arguments:
        key, equals, value = one.partition("=")
        values = re.split(r",(?![^\[(]*[\])])", value)  # between brackets a comma is a list's
        if equals and len(values) > 1:
            swept += 1
            one = f"{key}={','.join(values[: 2 if swept <= 2 else 1])}"
        kept.append(one)
    return kept


def _left_out(typed: dict[str, str]) -> list[str]:
    """The keys that make a command long and were not typed, though its task reads them."""
    if {"-cn", "--config-name"} & set(typed):
        return []  # a saved configuration has them
    named = CONF / "experiment" / f"{typed.get('experiment')}.yaml"
    of_experiment = (
        re.search(r"override /task: (\w+)", named.read_text()) if named.exists() else None
    )
    task = typed.get("task", of_experiment[1] if of_experiment else "generate")
    unread = {"num_imgs"} if "debug" in typed else set()
    if "probe" in typed:  # another protocol has keys of its own
        unread |= {"probe.epochs", "probe.updates"}
    for key, others in TASKS[task].beside.items() if task in TASKS else ():
        unread |= set(others) if key in typed else set()
    return [key for key in _TYPED_BY.get(task, ()) if key not in typed and key not in unread]


def capped(argument: str) -> str:
    """``key=value``, of which no number is larger than ``MOST`` allows; several under ``-m``."""
    key, equals, value = argument.partition("=")
    if key not in MOST or not equals:
        return argument
    try:
        numbers = [min(parse_count(key, one, "pixels"), MOST[key]) for one in value.split(",")]
    except UserError:
        return argument  # no number
    return f"{key}={','.join(map(str, dict.fromkeys(numbers)))}"
