"""The optional packages: what each extra of ``pyproject.toml`` needs, and how it is installed."""

from __future__ import annotations

import re
import shlex
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

_ROOT = Path(__file__).parents[2]
CHECKOUT = _ROOT if (_ROOT / "pyproject.toml").exists() else None  # None: installed by a wheel


def extras() -> dict[str, list[str]]:
    """Requirements by extra, as ``pyproject.toml`` has them; empty if singleimg is not installed.

    Source: the metadata of the installed package (``importlib.metadata.requires``).
    """
    try:
        needs = requires("singleimg") or []
    except PackageNotFoundError:
        return {}
    found: dict[str, list[str]] = {}
    for need in needs:
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", need)
        if extra:
            found.setdefault(extra[1], []).append(need.partition(";")[0].strip())
    return found


def install(extra: str) -> str:
    """The command that installs an extra: in a checkout by its name, else package by package.

    It never names singleimg, which a public registry may hold under this name by somebody else.
    """
    if CHECKOUT is not None:
        folder = "." if Path.cwd() == CHECKOUT else str(CHECKOUT)
        quoted = f'"{folder}[{extra}]"' if folder == "." else shlex.quote(f"{folder}[{extra}]")
        return f"pip install -e {quoted}"
    packages = extras().get(extra, [])
    return " ".join(["pip install", *(f'"{package}"' for package in packages)])
