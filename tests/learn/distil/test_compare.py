"""A teacher and its students on the same test images: what is counted, written and read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from singleimg.errors import UserError
from singleimg.learn.data.base import Labelled
from singleimg.learn.data.imagefolder import Folders
from singleimg.learn.distil.compare import (
    Comparison,
    Row,
    cells,
    classes_said,
    read,
    share,
    shares,
    write,
)

ROWS = [Row("teacher", "its own, with labels", None, None, 0.816, 1.0),
        Row("student", "30,000 of photo-paper", 5000, 90.0, 0.64, 0.7345)]  # fmt: skip
COMPARISON = Comparison("tiny", 16, {"student": "0a1b"}, ROWS)


class Bright(nn.Module):
    """Says 1 of images whose ``channel`` is brighter than another one in the upper rows."""

    def __init__(self, channel: int) -> None:
        super().__init__()
        self.channel, self.modes = channel, []

    def forward(self, images: Tensor) -> Tensor:
        self.modes.append(self.training)
        low = images[:, self.channel, 8:].mean((1, 2))
        return torch.stack([torch.full_like(low, 0.4), low], 1)


def test_each_says_a_class_of_each_test_image_in_eval_mode(labelled: Path) -> None:
    models = {"teacher": Bright(0), "student": Bright(1)}
    said = classes_said(models, Folders(str(labelled)), 32, torch.device("cpu"),
                        workers=1, memory=1)  # fmt: skip
    again = classes_said(models, Folders(str(labelled)), 32, torch.device("cpu"),
                         workers=0, memory=1e-9)  # fmt: skip
    assert all(torch.equal(said[name], again[name]) for name in models)
    assert said["teacher"].shape == (16,) and said["teacher"].dtype == torch.int64
    assert not any(models["teacher"].modes) and not models["student"].training
    # Odd pictures have a red ramp, and are the second class.
    found = shares(said, Folders(str(labelled)))
    assert found["teacher"] == (1.0, 1.0)
    assert found["student"][0] == found["student"][1] < 1


def test_a_share_is_of_all_images() -> None:
    assert share(torch.tensor([0, 1, 2, 2]), torch.tensor([0, 1, 1, 2])) == 0.75


class Empty(Labelled):
    """Whoever reads its training images is told so."""

    name, path = "tiny", ""

    def __init__(self, test: Dataset) -> None:
        self._test = test

    def train(self) -> Dataset:
        raise AssertionError("the training images are read")

    def test(self) -> Dataset:
        return self._test


def test_only_test_images_are_read(labelled: Path) -> None:
    data = Empty(Folders(str(labelled)).test())
    said = classes_said({"teacher": Bright(0)}, data, 32, torch.device("cpu"),
                        workers=1, memory=1)  # fmt: skip
    assert shares(said, data)["teacher"] == (1.0, 1.0)


def test_its_table_has_shares_in_percent_and_says_what_is_not_known() -> None:
    assert COMPARISON.markdown() == (
        "| | images | updates | minutes | accuracy | agreement |\n"
        "|---|---|---:|---:|---:|---:|\n"
        "| teacher | its own, with labels | – | – | 81.6 | 100.0 |\n"
        "| student | 30,000 of photo-paper | 5,000 | 1.5 | 64.0 | 73.5 |"
    )
    assert cells(ROWS[1])[2:4] == ["5,000", "1.5"]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write(tmp_path, COMPARISON)
    assert read(tmp_path) == COMPARISON


@pytest.mark.parametrize(("text", "reason"), [
    ("", "Expecting value: line 1 column 1 (char 0)"), ("{}", "'rows'"),
])  # fmt: skip
def test_what_cannot_be_read_is_named(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "distil.json").write_text(text)
    with pytest.raises(UserError) as mistake:
        read(tmp_path)
    assert str(mistake.value) == (
        f"{tmp_path / 'distil.json'} cannot be read ({reason}): remove it, and type the command "
        "that wrote it again."
    )
