"""Files of weights: what is written comes back, the same bytes each time; others are refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from singleimg.errors import UserError
from singleimg.learn.training import exported
from singleimg.learn.training.exported import Exported, digest

TENSORS = {"b": torch.arange(6.0).view(2, 3), "a": torch.tensor(3), "c": torch.ones(2).bfloat16()}
RECORD = {"decides": {"seed": 3, "method": {"name": "a ‘name’"}}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where one is to be; the folder is not there yet."""
    return tmp_path / "deep" / "trunk.safetensors"


def refused(file: Path) -> str:
    with pytest.raises(UserError) as mistake:
        exported.read(file)
    return str(mistake.value)


def test_what_is_written_comes_back_in_a_folder_that_is_made(file: Path) -> None:
    exported.write(file, Exported(TENSORS, RECORD, 12, whole=False), {"mean": "[1]"})
    again = exported.read(file)
    assert (again.record, again.step, again.whole) == (RECORD, 12, False)
    assert again.tensors.keys() == TENSORS.keys()
    assert all(torch.equal(TENSORS[name], one) for name, one in again.tensors.items())
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_the_library_reads_it_as_any_other(file: Path) -> None:
    exported.write(file, Exported(TENSORS, RECORD, 12, whole=True), {"mean": "[1]"})
    assert all(torch.equal(TENSORS[name], one) for name, one in load_file(file).items())
    with safe_open(file, framework="pt") as opened:
        said = opened.metadata()
    assert (said["format"], said["mean"], said["step"]) == ("pt", "[1]", "12")
    assert said["holds"] == "trunk, top, head" and json.loads(said["record"]) == RECORD


def test_the_same_weights_give_the_same_bytes_and_take_the_place_of_others(file: Path) -> None:
    exported.write(file, Exported(TENSORS, RECORD, 12, whole=False), {"mean": "[1]", "std": "[2]"})
    first = file.read_bytes()
    other = {name: TENSORS[name].clone() for name in sorted(TENSORS)}
    exported.write(file, Exported({"a": torch.ones(1)}, {}, 1, whole=False), {})
    assert file.read_bytes() != first
    exported.write(file, Exported(other, RECORD, 12, whole=False), {"std": "[2]", "mean": "[1]"})
    assert file.read_bytes() == first


def test_a_write_that_fails_leaves_the_old_one_whole(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported.write(file, Exported(TENSORS, RECORD, 12, whole=False), {})
    before = file.read_bytes()

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        exported.write(file, Exported({}, RECORD, 13, whole=False), {})
    assert file.read_bytes() == before
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_a_digest_tells_names_types_shapes_and_values_and_no_order() -> None:
    one = {"a": torch.zeros(2, 3), "b": torch.ones(3)}
    assert digest(one) == digest(dict(reversed(one.items())))
    others = [
        {"a": torch.zeros(3, 2), "b": one["b"]},
        {"a": torch.zeros(2, 3).half(), "b": one["b"]},
        {"a": torch.zeros(2, 3), "c": one["b"]},
        {"a": torch.zeros(2, 3), "b": torch.tensor([1, 1, 1.0001])},
        {"a": torch.zeros(2, 3)},
    ]
    assert len({digest(one), *map(digest, others)}) == 6
    turned = torch.arange(6.0).view(2, 3).T
    assert digest({"a": turned}) == digest({"a": turned.contiguous()})


# --- files that are none -------------------------------------------------------------------------


def test_a_file_that_is_not_there_is_a_sentence(file: Path) -> None:
    assert refused(file) == (
        f"{file} does not exist: type a file that task=export_trunk has written."
    )


@pytest.mark.parametrize("data", [b"", b"no such file", b"\xff" * 100])
def test_other_bytes_are_a_sentence(file: Path, data: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(data)
    said = refused(file)
    assert said.startswith(f"{file} cannot be read as safetensors (")
    assert said.endswith("): write it again by task=export_trunk.")


def test_a_file_that_was_cut_is_a_sentence(file: Path) -> None:
    exported.write(file, Exported(TENSORS, RECORD, 12, whole=False), {})
    file.write_bytes(file.read_bytes()[:-4])
    assert refused(file).startswith(f"{file} cannot be read as safetensors (")


def test_a_single_changed_bit_is_seen(file: Path) -> None:
    exported.write(file, Exported(TENSORS, RECORD, 12, whole=False), {})
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert refused(file) == (
        f"{file} is corrupted, since its tensors are not those that were written: write it again "
        "by task=export_trunk."
    )


@pytest.mark.parametrize("metadata", [
    None, {"format": "pt"}, {"record": "{", "step": "1", "holds": "trunk", "sha256": ""},
    {"record": "{}", "step": "1", "holds": "a cat", "sha256": ""},
    {"record": "{}", "step": "x", "holds": "trunk", "sha256": ""},
])  # fmt: skip
def test_the_file_of_somebody_else_is_a_sentence(file: Path, metadata: dict | None) -> None:
    file.parent.mkdir()
    save_file(TENSORS, file, metadata)
    assert refused(file) == (
        f"{file} holds no trunk of ours: type a file that task=export_trunk has written."
    )


def test_without_safetensors_it_says_how_to_install_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    assert refused(file).startswith(
        "files of weights need the module safetensors, which is not installed: type pip install "
    )
