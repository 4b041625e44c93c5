"""What decides the bytes of a dataset, written down so that two runs can be compared.

``pixels`` decides the bytes of every image, ``layout`` where they lie, ``made_with`` names the
libraries, and the kind of processor where that decides too. The fingerprint is the SHA-256 of
``pixels`` as canonical JSON.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from singleimg.errors import UserError
from singleimg.version import __version__

_ALBUMENTATIONS = ("albumentations", "albucore")
# Of the rules in drawing/stream.py and transforms/: a change to a draw raises it. 1: with libm's
# exp, log, sin and cos, whose last bits are a matter of processor and version.
NUMBERING = 2


@dataclass(frozen=True)
class Recipe:
    """The three parts of ``recipe.json``; each a tree of plain JSON values."""

    pixels: dict[str, Any]
    layout: dict[str, Any]
    made_with: dict[str, str]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of ``pixels``, 64 hexadecimal digits."""
        return sha256(canonical(self.pixels).encode()).hexdigest()

    def text(self) -> str:
        """The text of ``recipe.json``."""
        return json.dumps({"fingerprint": self.fingerprint, **asdict(self)}, indent=2) + "\n"

    def differences(self, other: Recipe) -> list[str]:
        """``key: old → new`` for every value in which ``other`` (the new one) differs.

        Of pictures it is said how many differ, since their hashes tell nobody anything; of other
        transforms their names.
        """
        old, new = dict(_leaves(asdict(self))), dict(_leaves(asdict(other)))
        keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        had, has = (_names(one.pixels.get("transforms", ())) for one in (self, other))
        if had != has:
            old["pixels.transforms"], new["pixels.transforms"] = ", ".join(had), ", ".join(has)
            kept = [key for key in keys if not key.startswith("pixels.transforms")]
            keys = ["pixels.transforms", *kept]
        said = {key: f"{old.get(key, 'nothing')} → {new.get(key, 'nothing')}" for key in keys}
        if "pixels.sources" in said:
            had, has = self.pixels["sources"], other.pixels["sources"]
            changed = sum(one != another for one, another in zip(had, has, strict=False))
            said["pixels.sources"] = (
                f"{len(had)} → {len(has)} pictures" if len(had) != len(has)
                else f"{changed} of {len(has)} pictures changed"
            )  # fmt: skip
        return [f"{key}: {value}" for key, value in said.items()]


def _names(transforms: Iterable[Mapping[str, Any]]) -> list[str]:
    return [str(one.get("_target_")).rpartition(".")[2] for one in transforms]


def make_recipe(
    *,
    sources: list[str],
    transforms: list[dict[str, Any]],
    img_size: int,
    seed: int,
    engine: str,
    encoder: dict[str, Any],
    layout: dict[str, Any],
    libraries: Sequence[str],
) -> Recipe:
    """The recipe of a run.

    ``sources`` are the hashes of the source pixels, in order; ``libraries`` those (by the names
    that pip knows) whose code decides bytes, and "processor" where its kind does.
    """
    pixels = {
        "sources": sources,
        "transforms": transforms,
        "img_size": img_size,
        "seed": seed,
        "engine": engine,
        "encoder": encoder,
        "draws": NUMBERING,
    }
    if "'_target_': 'albumentations." in str(transforms):  # below our adapter
        libraries = [*libraries, *_ALBUMENTATIONS]
    return Recipe(numbers_as_floats(pixels), layout, versions(libraries))


def versions(names: Iterable[str]) -> dict[str, str]:
    """What stands here: the version of this package, and of each library of ``names``, or the kind
    of ``processor``."""
    others = {name.lower(): _version(name) for name in names if name != "singleimg"}
    return {"singleimg": __version__, **others}


def _version(name: str) -> str:
    if name == "processor":
        return processor()
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def parse_recipe(text: str | bytes) -> Recipe:
    """The recipe in the text of a ``recipe.json``."""
    parts = json.loads(text)
    return Recipe(dict(parts["pixels"]), dict(parts["layout"]), dict(parts["made_with"]))


def check_draws(recipe: Recipe, what: str, mend: str) -> None:
    """Raises UserError for the recipe of ``what`` when other numbers are drawn for it here.

    ``mend``: what to do then, the end of a sentence.
    """
    if recipe.pixels.get("draws", NUMBERING) != NUMBERING:
        by = recipe.made_with.get("singleimg", "of another version")
        raise UserError(
            f"{what} was made by singleimg {by}, which drew other numbers than {__version__}: "
            f"{mend}"
        )


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: one text for one value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def numbers_as_floats(value: Any) -> Any:
    """``value`` with every whole number as a float, since 30 and 30.0 make the same pixels."""
    if isinstance(value, Mapping):
        return {key: numbers_as_floats(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [numbers_as_floats(item) for item in value]
    return float(value) if type(value) is int and abs(value) < 2**53 else value


def processor() -> str:
    """The kind of processor, as far as kernels round differently on it."""
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        return "x86-64 with AVX2" if _has_avx2() else "x86-64"
    return "arm64" if machine in ("arm64", "aarch64") else machine


def _has_avx2() -> bool:
    try:  # Linux tells without importing torch; elsewhere x86-64 machines of this age have it
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return True
    return "avx2" in flags.split()


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    items: Any = ()
    if isinstance(value, Mapping):
        items = ((f"{path}.{key}" if path else str(key), item) for key, item in value.items())
    elif isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value):
        items = ((f"{path}[{place}]", item) for place, item in enumerate(value))
    else:
        yield path, value
    for key, item in items:
        yield from _leaves(item, key)
