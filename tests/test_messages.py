"""Every message that a person may see: found in the source, listed in one file, held to its rules.

``python -m tests.test_messages`` writes ``tests/messages.txt`` again, when messages have changed.
What they say when they are met, ``tests/cli/test_errors.py`` and the tests of each part run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "singleimg"
LISTED = ROOT / "tests" / "messages.txt"
HEAD = """\
Every message of singleimg, by module, written by: python -m tests.test_messages
{store} is filled in. (part): a sentence of a helper, the end of one, or printed. (log): logged.
"""
PAGES = ("report/", "jobs/page.py", "jobs/card.py")  # their sentences stand on pages, not here

# What tells what to do, after a colon or a semicolon.
ADVICE = (
    "type", "leave", "use", "move", "check", "start", "wait", "resume", "remove", "restore", "fix",
    "make", "save", "put", "give", "give yourself", "open", "change", "end", "install", "copy",
    "add", "write", "derive it", "docs/extending.md shows", "see", "raise the limit", "do not",
)  # fmt: skip

# Without advice, or with it elsewhere: the beginning of the message, and why.
WITHOUT_ADVICE = {
    "{key}={target} is not trusted": "it names what is trusted, and the hint says what to type",
    "{error}, then {how_to_go_on}": "an error with its own advice, and how to resume",
    "{held} (if that run has ended": "the sentence of _held with its advice, and what to remove",
    "image.url={url} redirects: {error}": "the sentence of the address to which it redirects",
    "{error} (the last good state": "the sentence of Diverged with its advice, and where it is",
    "what was drawn cannot be drawn again": "the sentence about the source, with its advice",
}  # fmt: skip

# Words that had to be decoded, and what stands for them now.
BANNED = {
    r"at work": "is running",
    r"is none of": "is not one of",
    r"is no (more|key|option|task|kernel|folder|checkpoint|group|value|output)\b": "is not a",
    r"be had": "is available",
    r"\bmend": "fix, or repair",
    r"\banew\b": "again",
    r"\bbeg[aiu]n": "start",
    r"go(es)? on\b": "resume, or continue",
    r"bring back|put .* back": "restore",
    r"\bwants?\b": "needs",
    r"asks? for|asked for": "needs",
    r"\bleads?\b": "redirects",
    r"\ball the same": "anyway",
    r"otherwise": "differently",
    r"on its way|in hand|in one go|in circles|nobody|elsewhere": "say it plainly",
    r"says? (more|what)": "type … to see",
    r"\bdamaged?\b|\bbroken\b": "corrupted",
    r"director(y|ies)\b": "folder",
    r"as needed|shared out|evenly spread": "say it plainly",
    r"\bplease\b|\bsorry\b|\boops\b|!": "nothing",
}


class Message(NamedTuple):
    """A sentence as it stands in the source, with the names of what is filled in."""

    module: str
    text: str
    kind: str  # mistake | part (of a sentence, by a helper) | log

    def __str__(self) -> str:
        return self.text if self.kind == "mistake" else f"({self.kind}) {self.text}"


# --- finding them --------------------------------------------------------------------------------


def messages() -> list[Message]:
    """All of them, sorted, each once for a module."""
    trees = {
        file.relative_to(PACKAGE).as_posix(): ast.parse(file.read_text(encoding="utf-8"))
        for file in sorted(PACKAGE.rglob("*.py"))
    }
    errors = error_classes(trees.values())
    found = {message for module, tree in trees.items() for message in _in(module, tree, errors)}
    return sorted(found, key=lambda one: (one.module, ("mistake", "part", "log").index(one.kind),
                                          one.text))  # fmt: skip


def error_classes(trees: Iterator[ast.Module]) -> set[str]:
    """The names of UserError and of all that is derived from it."""
    bases = {
        node.name: {ast.unparse(base) for base in node.bases}
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    known = {"UserError"}
    while more := {name for name, of in bases.items() if of & known} - known:
        known |= more
    return known


def _in(module: str, tree: ast.Module, errors: set[str]) -> Iterator[Message]:
    """Those of a module: what errors are made of, what is logged, other sentences in its code."""
    seen = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = ast.unparse(node.func)
        kind = "mistake" if name.split(".")[-1] in errors else "log"
        if kind == "log" and not re.fullmatch(r"log\.\w+", name):
            continue
        said = node.args[0]
        seen |= {id(part) for part in ast.walk(said)}
        if not _is_helper(said):
            yield from (Message(module, text, kind) for text in texts(said) if _has_words(text))
    if module.startswith(PAGES):
        return
    for node in ast.walk(tree):
        if _is_text(node) and id(node) not in seen:
            seen |= {id(part) for part in ast.walk(node)}
            for text in texts(node):
                if len(text.split()) > 3 and text.endswith("."):
                    yield Message(module, text, "part")


def texts(node: ast.expr) -> list[str]:
    """What an expression may say; a choice between two texts gives both."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            return ["".join(one) for one in product(*(texts(part) for part in parts))]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return ["".join(one) for one in product(texts(left), texts(right))]
        case ast.IfExp(body=one, orelse=other) if _is_text(one) or _is_text(other):
            return [*texts(one), *texts(other)]
        case ast.FormattedValue(value=ast.IfExp() as choice) if _is_text(choice.body):
            return texts(choice)
        case ast.FormattedValue(value=value):
            return [f"{{{name_of(value)}}}"]
    return [f"{{{name_of(node)}}}"]


_TRANSPARENT = ("clause", "float", "len", "list", "one_line", "set", "size", "str")


def name_of(node: ast.expr) -> str:
    """A short name for what is filled in: ``store`` for ``self.store``."""
    match node:
        case ast.Attribute(value=ast.Call(func=ast.Name(id="type")), attr="__name__"):
            return "class"
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.strip("_")
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(between)), attr="join"),
                      args=[joined, *_]):  # fmt: skip
            return name_of(joined) + ", …" * ("," in between or ";" in between)
        case ast.Call(func=ast.Attribute(value=inner, attr="split" | "splitlines")):
            return name_of(inner)
        case ast.Call(func=ast.Name(id=name), args=[inner, *_]) if name in _TRANSPARENT:
            return name_of(inner)
        case ast.Call(func=ast.Attribute(attr="path_of"), args=[inner, *_]):
            return name_of(inner)
        case ast.Call(func=called):
            return name_of(called)
        case ast.Subscript(value=value, slice=ast.Constant(value=str(key))):
            return key if name_of(value) != "…" else "…"
        case ast.Subscript(value=value) | ast.BinOp(left=value) | ast.BoolOp(values=[value, *_]):
            return name_of(value)
        case ast.GeneratorExp(elt=one):
            return name_of(one)
        case ast.JoinedStr():
            return texts(node)[0].strip("{}").replace("}", "").replace("{", "")
    return "…"


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _is_helper(node: ast.expr) -> bool:
    """Whether another function makes the sentence: it is found where that returns it."""
    return isinstance(node, ast.Call | ast.Name)


def _has_words(text: str) -> bool:
    return re.search(r"[A-Za-z]", re.sub(r"\{[^}]*\}|%\w", "", text)) is not None


def document(found: list[Message]) -> str:
    """The file: a heading for each module, and below it a message a line."""
    lines, module = [HEAD], None
    for one in found:
        if one.module != module:
            lines.append(f"\n{one.module}\n")
            module = one.module
        lines.append(f"  {one}\n".replace("\\n", " "))
    return "".join(lines)


# --- the file ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def every() -> list[Message]:
    return messages()


def test_the_file_lists_every_message(every):
    listed, found = LISTED.read_text(encoding="utf-8"), document(every)
    gone, come = set(listed.splitlines()), set(found.splitlines())
    assert listed == found, (
        f"tests/messages.txt misses {sorted(come - gone)} and lists {sorted(gone - come)}: read "
        "the new ones as somebody who sees this program for the first time, and type "
        "python -m tests.test_messages."
    )


def test_errors_are_found_by_their_class_and_helpers_by_their_sentence(every):
    texts_of = [one.text for one in every]
    for part in ("={target} cannot be written", "is held by {who}", "{value} is not {kind}: type"):
        assert len([text for text in texts_of if part in text]) == 1, part
    assert [one for one in every if one.module == "learn/methods/train_state.py"]  # Diverged


# --- the rules -----------------------------------------------------------------------------------

_ADVICE = re.compile(rf"[:;] .*\b({'|'.join(ADVICE)})\b")
_ENDS_IN_ADVICE = re.compile(r"[:;] (to run )?\{\w+\}\.?$")  # which a helper gives
_TWO_SENTENCES = re.compile(r"[a-z})\d]\. [A-Z{]")
_JUDGES = re.compile(r"(error|warning|failed|invalid|cannot|could|you)\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def mistakes(every) -> list[str]:
    return [one.text for one in every if one.kind == "mistake"]


def test_a_mistake_is_one_sentence_with_a_full_stop_or_a_command_to_paste(mistakes):
    assert [text for text in mistakes if not text.endswith((".", "}"))] == []
    assert [text for text in mistakes if _TWO_SENTENCES.search(text)] == []


def test_a_mistake_begins_with_the_key_the_place_or_the_thing(mistakes):
    assert [text for text in mistakes if _JUDGES.match(text)] == []
    named = re.compile(r"[a-z{]|The |\w+: ")  # a key, a thing, a class and its colon
    assert [text for text in mistakes if not named.match(text)] == []


def test_a_mistake_says_what_to_do(mistakes):
    """After a colon, by a verb of ADVICE."""
    without = [text for text in mistakes if not text.startswith(tuple(WITHOUT_ADVICE))]
    says = (_ADVICE.search, _ENDS_IN_ADVICE.search)
    assert [text for text in without if not any(one(text) for one in says)] == []


def test_no_word_has_to_be_decoded(every):
    """Those of BANNED, each with what is said instead."""
    plain = [re.sub(r"\{\w+\}", "", one.text) for one in every]
    found = [(word, text) for word in BANNED for text in plain if re.search(word, text)]
    assert found == []


@pytest.mark.parametrize("said", ["another run is at work there.", "that worker is no more.",
                                  "mend it.", "x asks for y.", "the file is damaged."])  # fmt: skip
def test_a_banned_word_is_seen(said):
    assert any(re.search(word, said) for word in BANNED)


def test_every_exception_is_still_one(mistakes):
    there = {start for start in WITHOUT_ADVICE for text in mistakes if text.startswith(start)}
    assert there == set(WITHOUT_ADVICE)


if __name__ == "__main__":
    LISTED.write_text(document(messages()), encoding="utf-8")
