"""A format of a user's own: one class in a package of theirs, and nothing else is touched."""

from __future__ import annotations

import pytest

from singleimg import RenderedDataset, StoredDataset, UserError

MODULE = """
from dataclasses import dataclass
import numpy as np
from singleimg.outputs.base import Part, find_parts
from singleimg.outputs.one_file import FileOutput

@dataclass(frozen=True, kw_only=True)
class NpzOutput(FileOutput):
    name = "npz"
    suffix = ".npz"

    def open(self, staging, shard, columns=None):
        return Writer(staging.path(self.place(shard)), self.place(shard))

class Writer:
    def __init__(self, path, place):
        self.path, self.place, self.images, self.parts = path, place, {}, []

    def write(self, index, data, drawn=None):
        self.images[f"{index:09d}"] = np.frombuffer(data, np.uint8)
        self.parts.append(Part.of(index, data))

    def close(self):
        np.savez(self.path, **self.images)
        return list(find_parts(self.path, self.place, self.parts))
"""


def test_it_is_made_verified_extended_and_read(run, picture, tmp_path, monkeypatch):
    (tmp_path / "npz_of_a_user.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "conf/output").mkdir(parents=True)
    (tmp_path / "conf/output/npz.yaml").write_text(
        "_target_: npz_of_a_user.NpzOutput\nshard_size: 10\n"
    )
    trust, target = "trusted_modules=[npz_of_a_user]", tmp_path / "set"
    run("--config-dir", tmp_path / "conf", "output=npz", trust, f"imgpath={picture}",
        "num_imgs=25", "img_size=32", f"targetpath={target}")  # fmt: skip
    run("-cp", target, "-cn", "config", trust, f"targetpath={target}", "num_imgs=34")
    said = run("task=verify", trust, f"targetpath={target}").stdout
    assert said == f"All 34 images in {target} are as they were committed.\n"
    stored = StoredDataset(target, trusted_modules=["npz_of_a_user"])
    rendered = RenderedDataset(target, trusted_modules=["npz_of_a_user"])
    assert [stored.file(i) for i in range(34)] == [rendered.file(i) for i in range(34)]
    with pytest.raises(UserError, match=r"npz_of_a_user.NpzOutput is not trusted"):
        StoredDataset(target, trusted_modules=["another"])
