"""Every command that a page shows is run as it stands there; ``pages`` says what steers that.

The README is followed by default, the other pages by ``-m pages``; what is longer by ``-m slow``,
and then the whole page from its beginning.
"""

from __future__ import annotations

import importlib.util
import re
import shlex

import pytest

from singleimg import UserError, compose
from tests.conftest import ROOT
from tests.docs.pages import blocks_in, blocks_of, pages, text_beside_blocks
from tests.docs.shell import Reader, capped, follow, furnish, smaller

# Generated, and run elsewhere: signatures, and a page whose every block has a test of its own.
_REFERENCE = ("docs/reference/settings.md", "docs/reference/interfaces.md")
_ELSEWHERE = {"docs/extending.md": "tests/test_extending.py"}
PAGES = [page for page in pages() if page not in (*_REFERENCE, *_ELSEWHERE)]
BLOCKS = {page: blocks_of(page) for page in PAGES}
_OURS = re.compile(
    r"(?m)^\s*(?:\$ )?(?:[A-Z_]+=\S+ )*(?:python run\.py|python -m \w|singleimg |pip )"
)

# What is shown and not run, beside ``pip install``: by page, how its block begins, and why.
NOT_RUN: dict[str, dict[str, str]] = {
    "README.md": {
        "pip install -r requirements.txt && python run.py n": "pip install",
    },
    "CONTRIBUTING.md": {
        "python -m venv .venv && source .venv/bin/activate": "pip install",
        "python -m pytest tests/outputs": "the test suite",
        "ruff check": "the linter",
    },
    "docs/formats.md": {
        "import streaming": "needs an environment of its own",
    },
    "docs/guides/cluster.md": {
        "python run.py imgpath=photo.jpg num_imgs=1M output": "needs a cluster",
        "python run.py -m hydra/launcher=submitit_slurm img": "SLURM",
        "#!/bin/bash": "SLURM",
    },
    "docs/guides/pretrain-and-probe.md": {
        "python run.py task=pretrain method=rotnet network=": "needs GPUs",
        "python run.py task=probe task.checkpoint=outputs/r": "needs ImageNet",
    },
    "docs/guides/reproduce-the-paper.md": {
        "python run.py experiment=study_cifar10 data.path=c": "needs CIFAR-10 and two hours",
    },
    "docs/guides/share-a-dataset.md": {
        "hf upload name/set outputs/set --repo-type dataset": "a hub",
    },
    "docs/index.md": {
        "pip install -r requirements.txt": "pip install",
    },
    "docs/science.md": {
        "python run.py experiment=study_cifar10 data=imagef": "needs CIFAR-10 and 100 minutes",
        "python run.py task=pretrain method=deepcluster met": "needs CIFAR-10",
    },
    "docs/tutorial.md": {
        "python -m venv .venv && source .venv/bin/activate": "pip install",
    },
}


# Those of guides/ are followed in test_guides, so that two workers share the time.
FOLLOWED = [
    pytest.param(page, marks=() if page == "README.md" else pytest.mark.pages)
    for page in PAGES
    if BLOCKS[page] and "/guides/" not in page
]


@pytest.mark.parametrize("page", FOLLOWED)
def test_a_page_can_be_followed(page, tmp_path, stores):
    follow(page, tmp_path, stores(page), slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if any(b.slow for b in BLOCKS[page])])
def test_a_page_can_be_followed_with_what_is_long(page, tmp_path, stores):
    follow(page, tmp_path, stores(page), slow=True)


def test_what_is_not_run_is_so_on_purpose():
    found = {
        page: {
            block.first[:50]: block.reason
            for block in blocks
            if block.reason and not re.fullmatch(r"(pip install \S+ \S+\s+)+", block.text)
        }
        for page, blocks in BLOCKS.items()
    }
    assert {page: reasons for page, reasons in found.items() if reasons} == NOT_RUN


@pytest.mark.parametrize("page", PAGES)
def test_no_command_hides_in_a_block_that_is_not_run(page):
    for block in BLOCKS[page]:
        if block.language not in ("bash", "python", "yaml") and not block.reason:
            assert not _OURS.search(block.text), f"{block.place}: call this block bash"


@pytest.mark.parametrize("page", PAGES)
def test_commands_within_sentences_mean_something(page):
    """Those in ``code``: tests and modules that are there, and settings that go together."""
    for line in re.findall(r"`((?:python|singleimg) [^`]*)`", text_beside_blocks(page)):
        _, *words = shlex.split(line)
        if words[:2] == ["-m", "pytest"]:
            named = [word for word in words if "/" in word]
            assert [word for word in named if not (ROOT / word).exists()] == [], f"{page}: {line}"
        elif words[:1] == ["-m"] and words[1:2] != ["singleimg"]:
            assert importlib.util.find_spec(words[1]), f"{page}: {line}"
        elif not re.search(r"[…<|]|^(?:-|singleimg -)", " ".join(words)) and "=" in line:
            arguments = [word for word in words if "=" in word]
            try:
                compose(*arguments)
            except UserError as error:
                assert "does not exist" in str(error), f"{page}: {line}: {error}"


@pytest.mark.parametrize("page", [*PAGES, *_ELSEWHERE])
def test_arguments_are_quoted_that_zsh_would_take_for_a_pattern(page):
    for block in blocks_of(page):
        for line in block.text.splitlines() if block.language in ("bash", "") else ():
            if _OURS.match(line):
                bare = re.sub(r"'[^']*'|\"[^\"]*\"| #.*", "", line)
                assert not re.search(r"[][(){}*?]", bare), f"{block.place}: {line}"


# --- how blocks are read -------------------------------------------------------------------------


def test_comments_steer_the_block_that_follows():
    text = """
<!-- run: with num_imgs=50 seed=1 -->
<!-- run: replace s3://mine by here -->

```bash
python run.py targetpath=s3://mine
```
<!-- run: no: a cluster is needed -->
```bash
sbatch job.sh
```
```yaml
# my_conf/image/a.yaml
a: 1
```
"""
    first, second, third = blocks_in(text, "page.md")
    assert (first.more, first.text) == (
        ["num_imgs=50", "seed=1"],
        "python run.py targetpath=here\n",
    )
    assert (second.reason, second.first, third.file) == (
        "a cluster is needed", "sbatch job.sh", "my_conf/image/a.yaml",
    )  # fmt: skip


@pytest.mark.parametrize(("said", "fault"), [
    ("fast", "page.md:2: nobody knows <!-- run: fast -->"),
    ("no:", "page.md:2: nobody knows <!-- run: no: -->"),
    ("replace a by b", "page.md:2: 'a' is to be replaced and does not stand here"),
])  # fmt: skip
def test_a_comment_that_says_nothing_is_a_mistake(said, fault):
    with pytest.raises(ValueError) as refused:
        blocks_in(f"<!-- run: {said} -->\n```bash\ncd ..\n```\n", "page.md")
    assert str(refused.value) == fault


def test_commands_are_made_small():
    assert capped("num_imgs=1M") == "num_imgs=48" and capped("num_imgs=3") == "num_imgs=3"
    assert capped("num_imgs=1k,4") == "num_imgs=48,4" and capped("deg=90") == "deg=90"
    assert smaller(["deg=3"]) == ["deg=3", "num_imgs=48", "img_size=64"]
    assert smaller(["num_imgs=1k"], ["num_imgs=60"]) == ["img_size=64", "num_imgs=60"]
    assert smaller(["--help"]) == ["--help"]
    assert smaller(["-cp", "set", "-cn", "config"]) == ["-cp", "set", "-cn", "config"]
    assert smaller(["task=verify"]) == ["task=verify"]
    sweep = ["-m", "deg=0,1,2", "scale=null,[9,1],[5,1]", "seed=1,2", "debug=true"]
    assert smaller(sweep) == [
        "-m", "deg=0,1", "scale=null,[9,1]", "seed=1", "debug=true", "img_size=64",
    ]  # fmt: skip


@pytest.mark.parametrize(("text", "status"), [
    ("python run.py num_imgs=2 deg=no", 1), ("singleimg dge=3", 1), ("false", 1),
    ("true && false", 1), ("echo a | grep b", 1), ("ls photo.jpg nothing.jpg", 2),
])  # fmt: skip
def test_a_command_that_fails_is_told_with_its_line(tmp_path, text, status):
    furnish(tmp_path)
    [block] = blocks_in(f"```bash\n{text}\n```\n", "page.md")
    with pytest.raises(AssertionError, match=rf"page\.md:1: (.|\n)*\nexit status {status}\n"):
        Reader(tmp_path, {}).follow(block)


def test_python_that_fails_names_the_line_of_the_page(tmp_path):
    furnish(tmp_path)
    [block] = blocks_in("Text.\n\n```python\nimport singleimg\n1 / 0\n```\n", "page.md")
    with pytest.raises(ZeroDivisionError) as failed:
        Reader(tmp_path, {}).follow(block)
    assert (str(failed.traceback[-1].path).endswith("page.md:3"), failed.traceback[-1].lineno) == (
        True, 4,
    )  # fmt: skip


def test_a_page_elsewhere_has_its_test():
    for page, test in _ELSEWHERE.items():
        assert page in (ROOT / test).read_text(encoding="utf-8")
