"""The blocks of code of a page, and what comments before them say about running them.

``<!-- run: with num_imgs=50 -->``     added to the commands of the next block that are ours
``<!-- run: slow -->``                 run by ``-m slow`` alone
``<!-- run: no: <reason> -->``         not run
``<!-- run: replace A by B -->``       the text A of the block is B when it is run
``<!-- run: file NAME -->``            written to this file of the page's folder, and not run
``<!-- run: fails -->``                each of its commands ends with another exit status than 0

Several may stand before one block. What starts processes of a launcher or a cluster is slow by
itself. A block whose first comment is a path (``# my_package/a.py``) is
a file of that name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tests.conftest import ROOT

_FENCE = re.compile(r"^( *)(`{3,}|~{3,})\s*([\w+-]*)(.*)$")
_STEER = re.compile(r"^\s*<!-- run: (.*?) -->\s*$")
_LONG = re.compile(r"hydra/launcher=|backend=(?:dask|ray)")
_NAMED = re.compile(r"^# ((?:[\w.-]+/)+[\w.-]+|[\w-]+\.(?:py|ya?ml))$")


@dataclass
class Block:
    """A fenced block: where it begins, its language, its text, and how it is run."""

    page: str  # its path below the repository
    line: int
    language: str
    text: str
    more: list[str] = field(default_factory=list)  # arguments added
    slow: bool = False
    reason: str = ""  # why it is not run
    file: str = ""  # its name, where it is one
    fails: bool = False

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def first(self) -> str:
        """Its first line, by which people know it."""
        return self.text.strip().partition("\n")[0]

    def steer(self, said: str) -> None:
        """Does what one comment says; ValueError when that is nothing."""
        verb, _, rest = said.partition(" ")
        if verb == "with":
            self.more += rest.split()
        elif said == "slow":
            self.slow = True
        elif said == "fails":
            self.fails = True
        elif verb == "no:" and rest:
            self.reason = rest
        elif verb == "file" and rest:
            self.file = rest
        elif verb == "replace" and " by " in rest:
            before, _, after = rest.partition(" by ")
            if before not in self.text:
                raise ValueError(
                    f"{self.place}: {before!r} is to be replaced and does not stand here"
                )
            self.text = self.text.replace(before, after)
        else:
            raise ValueError(f"{self.place}: nobody knows <!-- run: {said} -->")


def pages() -> list[str]:
    """Every page for people to read, by its path below the repository."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [str(page.relative_to(ROOT)) for page in found if page.exists()]


def blocks_of(page: str) -> list[Block]:
    """The blocks of a page, in order."""
    return blocks_in((ROOT / page).read_text(encoding="utf-8"), page)


def blocks_in(text: str, page: str) -> list[Block]:
    """The same of a text."""
    found: list[Block] = []
    steers: list[str] = []
    opened, indent, lines, begun, language = "", "", [], 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if opened:
            if (
                line.strip()
                and set(line.strip()) == {opened[0]}
                and len(line.strip()) >= len(opened)
            ):
                found.append(_block(Block(page, begun, language, "\n".join(lines) + "\n"), steers))
                opened, steers = "", []
            else:
                lines.append(line.removeprefix(indent))
        elif fence := _FENCE.match(line):
            indent, opened, language = fence[1], fence[2], fence[3]
            lines, begun = [], number
        elif steer := _STEER.match(line):
            steers.append(steer[1])
        elif line.strip() and steers:
            raise ValueError(f"{page}:{number}: no block follows <!-- run: {steers[-1]} -->")
    if opened or steers:
        raise ValueError(f"{page}: a block is not closed, or a comment has no block")
    return found


def _block(block: Block, steers: list[str]) -> Block:
    for said in steers:
        block.steer(said)
    named = [_NAMED.match(line) for line in block.text.splitlines()[:2]]
    if block.language == "bash" and _LONG.search(block.text) and not block.reason:
        block.slow = True
    if not block.file and block.language in ("python", "yaml"):
        block.file = next((one[1] for one in named if one), "")
    return block


def text_beside_blocks(page: str) -> str:
    """What stands in a page outside of its blocks."""
    kept, opened = [], ""
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
        fence = _FENCE.match(line)
        if opened:
            if fence and fence[2].startswith(opened) and not fence[3]:
                opened = ""
        elif fence:
            opened = fence[2]
        else:
            kept.append(line)
    return "\n".join(kept)
