"""The benchmarks run, and their figures are what they say; nothing here asserts a speed."""

from __future__ import annotations

import json
import re
import time
from subprocess import CompletedProcess

import pytest
from PIL import Image

from tests.benchmarks import readme
from tests.benchmarks.timing import alternate, ratio
from tests.conftest import ROOT
from tests.in_process import run_script


def command(module: str, *arguments: object) -> CompletedProcess[str]:
    """``python -m tests.benchmarks.<module> …``, in this process."""
    return run_script(ROOT / "tests" / "benchmarks" / f"{module}.py", arguments, ROOT, {})


def test_contestants_alternate_and_get_different_images():
    seen: dict[str, list[int]] = {"a": [], "b": []}
    turns: list[str] = []

    def contestant(name: str, seconds: float):
        def make(i: int) -> None:
            seen[name].append(i)
            turns.append(name)
            time.sleep(seconds)

        return make

    spent = alternate({"a": contestant("a", 0.02), "b": contestant("b", 0.004)}, 5, 3)
    counted = [name for name, before in zip(turns, ["", *turns], strict=False) if name != before]
    assert counted == ["a", "b"] * 4  # a warm-up and three rounds
    assert seen["a"][-15:] == list(range(15))
    assert all(20 <= ms < 200 for ms in spent["a"])
    assert ratio(spent["a"], spent["b"]) > 1
    assert ratio([10, 20, 300], [10, 10, 10]) == 2


def test_scale_goes_on_with_what_is_there(tmp_path):
    result = command("scale", "--images", 20_000, "--shard", 100, "--folder", tmp_path)
    assert result.returncode == 0, result.stderr
    assert re.search(r"^2,000 images in 20 shards, .*^20,000 images in 200 shards, .* peak \d+ MB$"
                     r".*^growth of the peak: \d\.\d\d$", result.stdout, re.M | re.S)  # fmt: skip


def test_throughput_prints_and_writes_every_contestant(picture, tmp_path):
    file = tmp_path / "figures.json"
    result = command(
        "throughput", "--photograph", picture, "--sizes", 32, "--presets", "script", "paper",
        "--images", 4, "--rounds", 2, "--no-commands", "--json", file,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    rows = json.loads(file.read_text())["engines"]
    of = {preset: [r["contestant"] for r in rows if r["preset"] == preset] for preset in
          ("script", "paper")}  # fmt: skip
    assert of["script"][:4] == ["published, repaired", "reference", "native", "bare JPEG"]
    assert of["paper"][:3] == ["reference", "native", "bare JPEG"]
    native = next(row for row in rows if row["contestant"] == "native")
    assert native["native is faster by"] == 1
    assert all(native[part] > 0 for part in ("draw", "render", "encode", "write"))
    assert all(row["contestant"] in result.stdout for row in rows)
    assert "| `script` | 32 | " in result.stdout and "| `paper` | 32 | " in result.stdout


def test_profile_shows_where_the_time_goes(picture):
    result = command("throughput", "--photograph", picture, "--sizes", 32, "--profile")
    assert result.returncode == 0, result.stderr
    assert "render" in result.stdout and "call.py" in result.stdout


def test_equivalence_prints_its_table(tmp_path):
    file = tmp_path / "rows.json"
    result = command(
        "equivalence", "--images", 3, "--sizes", 32, "--presets", "none", "--json", file
    )
    assert result.returncode == 0, result.stderr
    rows = json.loads(file.read_text())
    assert rows[0]["source"] == "dead_leaves" and rows[0]["images"] == 1
    assert "| dead_leaves | none | 32 | 1 |" in result.stdout


def test_commits_prints_every_figure(picture, tmp_path):
    file = tmp_path / "figures.json"
    result = command(
        "commits", "--photograph", picture, "--images", 4, "--files", 6, "--pixels", 32,
        "--rounds", 1, "--json", file,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    figures = json.loads(file.read_text())
    assert len(figures) == 16 and all(figure > 0 for figure in figures.values())
    assert all(name in result.stdout for name in figures)


def test_faults_prints_its_table():
    result = command("faults", "--parts", "million", "--images", 20_000)
    assert "| 20,000 images, an engine that does nothing" in result.stdout, result.stderr


def test_formats_prints_every_figure_of_every_format(picture, tmp_path):
    file = tmp_path / "figures.json"
    result = command(
        "formats", "--photograph", picture, "--images", 60, "--pixels", 32, "--rounds", 1,
        "--million", 2_500, "--json", file,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    figures = json.loads(file.read_text())
    *stored, rendered = figures["formats"]
    assert [row["format"] for row in stored][:4] == ["folder", "webdataset", "parquet", "lmdb"]
    assert all(len(row) == 8 and all(row.values()) for row in stored)
    assert stored[0]["files"] > 60 > stored[1]["files"]
    assert rendered.keys() == {"format", "images/s read"} and rendered["images/s read"] > 0
    assert figures["RenderedDataset / engine"] > 0
    for row in figures["formats"]:
        assert f"\n| {row['format']} | " in result.stdout
    assert "open 2,500, ms |" in result.stdout


def test_training_prints_every_method_and_shares_of_its_updates(picture, tmp_path):
    pytest.importorskip("lightly")
    file = tmp_path / "figures.json"
    result = command(
        "training", "--photograph", picture, "--updates", 2, "--images", 130, "--json", file
    )
    assert result.returncode == 0, result.stderr
    figures = json.loads(file.read_text())
    assert list(figures["methods"]) == ["rotnet", "simclr", "vicreg", "byol", "dino"]
    for name, row in figures["methods"].items():
        assert 0 < row["views"] < row["update"] and 0 < row["share"] < 1
        assert f"| `{name}` | 128 | " in result.stdout
    assert figures["rendering"] > 0 and "50,000 patches of 32 px" in result.stdout


@pytest.mark.parametrize("module", ["throughput", "commits", "formats", "training"])
def test_a_photograph_that_is_not_there(module, tmp_path):
    result = command(module, "--photograph", tmp_path / "no.jpg")
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].endswith(
        f"{tmp_path}/no.jpg does not exist: type --photograph with one of your own"
    )


def test_the_readme_gets_the_table_that_was_measured(picture, tmp_path):
    page = tmp_path / "docs" / "speed.md"
    page.parent.mkdir()
    page.write_text("before\n<!-- measured: speed -->\nold\n<!-- /measured -->\n"
                    "<!-- measured: formats -->\nkept\n<!-- /measured -->\nafter\n")  # fmt: skip
    (tmp_path / "README.md").write_text("no table\n")
    result = command(
        "readme", "--photograph", picture, "--only", "speed", "docs/preview.jpg",
        "--images", 4, "--rounds", 2, "--root", tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    text = page.read_text()
    assert text.startswith("before\n<!-- measured: speed -->\n| `augment=` | px |")
    assert len(re.findall(r"^\| `(script|paper|strong)` \| (32|256) \| [\d,]+ \|", text, re.M)) == 4
    assert text.endswith("<!-- measured: formats -->\nkept\n<!-- /measured -->\nafter\n")
    assert (tmp_path / "README.md").read_text() == "no table\n"
    with Image.open(tmp_path / "docs" / "preview.jpg") as drawn:
        assert drawn.width == 1248


def test_every_table_that_a_page_marks_is_measured_by_somebody():
    texts = [page.read_text() for page in readme.pages(ROOT)]
    marked = {found[2] for text in texts for found in readme.MARKED.finditer(text)}
    assert marked <= set(readme.TABLES)
