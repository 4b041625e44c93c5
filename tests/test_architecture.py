"""Which package may import which, and how large a file may be. See docs/architecture.md."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

from tests.conftest import ROOT

# From the ground up; a package imports only from layers below it. Above all of them stands the
# public face, singleimg/__init__.
LAYERS = (
    ("errors", "version"),
    ("system",),
    ("encoders", "sources", "storage", "transforms"),
    ("backends", "config", "drawing"),
    ("cli", "engines", "outputs"),
    ("report",),
    ("images",),
    ("dataset",),
    ("jobs",),
    ("learn", "tasks"),
)
LAYER_OF = {package: layer for layer, packages in enumerate(LAYERS) for package in packages}
FACE = ("singleimg", "__main__")  # the public face, and the way in of an installed package
MOST_ARROWS = 82  # between packages
MOST_LINES = 400
PACKAGE = ROOT / "singleimg"

Arrow = tuple[str, str]  # who imports, what is imported: modules, without ``singleimg.``


@pytest.fixture(scope="module")
def arrows() -> list[Arrow]:
    """Every import between our modules, within functions and under TYPE_CHECKING too."""
    graph = grimp.build_graph("singleimg", cache_dir=None)
    return [
        (importer.removeprefix("singleimg."), imported.removeprefix("singleimg."))
        for importer in sorted(graph.modules)
        for imported in sorted(graph.find_modules_directly_imported_by(importer))
    ]


def package(module: str) -> str:
    return module.partition(".")[0]


def between_packages(arrows: list[Arrow]) -> list[Arrow]:
    """Those from one package to another, but for what stands above all layers."""
    return [(a, b) for a, b in arrows if package(a) != package(b) and a not in FACE]


def test_every_package_is_in_a_layer():
    found = {file.stem for file in PACKAGE.glob("*.py")} | {
        folder.parent.name for folder in PACKAGE.glob("*/__init__.py")
    }
    assert found - {"__init__", "__main__"} == set(LAYER_OF)


def test_a_package_imports_only_from_layers_below_it(arrows):
    upwards = [
        f"{importer} imports {imported}"
        for importer, imported in between_packages(arrows)
        if LAYER_OF.get(package(imported), len(LAYERS)) >= LAYER_OF[package(importer)]
    ]
    assert upwards == []


def test_there_are_few_arrows_between_packages(arrows):
    assert len({(package(a), package(b)) for a, b in between_packages(arrows)}) <= MOST_ARROWS


def test_no_import_goes_round_in_a_circle(arrows):
    graph: dict[str, set[str]] = {}
    for importer, imported in arrows:
        # A package is what its __init__ imports: a module within it does not wait for that.
        if not importer.startswith(f"{imported}."):
            graph.setdefault(importer, set()).add(imported)
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("siblings", ["tasks", "learn.tasks"])
def test_no_task_imports_another(arrows, siblings):
    within = f"{siblings}."
    assert [a for a in arrows if a[0].startswith(within) and a[1].startswith(within)] == []


def test_a_conf_group_has_a_package_with_a_base_and_a_file_for_each_choice():
    for group, package in GROUPS.items():
        files = {file.stem for file in (PACKAGE / package).glob("*.py")}
        assert "base" in files, f"{package} has no base.py"
        missing = {name for name in targets(group) if "." not in name} - files
        assert missing == set(), f"conf/{group} names what {package} has no file for"


GROUPS = {
    "image": "sources",
    "engine": "engines",
    "encode": "encoders",
    "output": "outputs",
    "backend": "backends",
    "method": "learn/methods",
    "network": "learn/networks",
    "data": "learn/data",
    "probe": "learn/probes",
}


def targets(group: str) -> set[str]:
    lines = [
        line
        for file in (ROOT / "conf" / group).glob("*.yaml")
        for line in file.read_text().splitlines()
    ]
    return {line.split()[1] for line in lines if line.startswith("_target_:")}


@pytest.mark.parametrize("top", ["singleimg", "tests"])
def test_no_file_is_long(top):
    files = [*(ROOT / top).rglob("*.py")]
    long = {str(f.relative_to(ROOT)): len(f.read_text().splitlines()) for f in files}
    assert {file: lines for file, lines in long.items() if lines > MOST_LINES} == {}


@pytest.mark.parametrize(
    "package", sorted(PACKAGE.rglob("__init__.py")), ids=lambda file: file.parent.name
)
def test_a_package_says_what_lives_there_and_what_it_may_import(package: Path):
    said = ast.get_docstring(ast.parse(package.read_text())) or ""
    assert len(said) > 40 and "import" in said.lower()


def _is_text(call: ast.Call) -> bool:
    """Whether a call opens a file for text, as far as can be read."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in ("read_text", "write_text"):
        return True
    words = [one.value for one in call.args if isinstance(one, ast.Constant)]
    modes = [word for word in words if isinstance(word, str) and set(word) <= set("rwxab+")]
    plain = isinstance(call.func, ast.Name) or any(key.arg == "newline" for key in call.keywords)
    return name == "open" and not any("b" in mode for mode in modes) and (plain or bool(modes))


def test_a_file_of_text_is_utf_8_whatever_the_locale() -> None:
    unnamed = [
        f"{file.relative_to(ROOT)}:{call.lineno}"
        for file in sorted(PACKAGE.rglob("*.py"))
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and _is_text(call)
        if not any(key.arg == "encoding" for key in call.keywords)
    ]
    assert unnamed == []
