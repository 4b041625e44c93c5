"""A run's objects are built once, and travel small."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from singleimg.config import make
from singleimg.engines.picture import Pictures
from singleimg.jobs import job as jobs
from singleimg.jobs.progress import FileCounts
from singleimg.tasks.generate import generate
from tests.config.test_checks import loaded


def prepared(*overrides: str) -> jobs.Job:
    return jobs.prepare(loaded(*overrides))


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("augment", ["none", "weak", "script", "strong", "paper"])
def test_what_workers_get_loads_without_torch(picture, tmp_path, augment, engine):
    job = prepared(f"imgpath={picture}", f"augment={augment}", f"engine={engine}",
                   f"targetpath={tmp_path}", "save_params=true", "img_size=32")  # fmt: skip
    next(job.producer.images(job.shards[0]))  # a renderer and pixels, which stay here
    data = pickle.dumps(job.work(FileCounts(tmp_path / "counts"), tmp_path))
    (tmp_path / "work").write_bytes(data)
    code = (
        "import pickle, sys\n"
        f"work = pickle.load(open({str(tmp_path / 'work')!r}, 'rb'))\n"
        "sys.exit(bool({'torch', 'torchvision', 'hydra', 'omegaconf'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    assert len(data) < 6000


def test_everything_is_made_once(picture, tmp_path, monkeypatch):
    instantiated, decoded = [], []
    inner, load = make.hydra.utils.instantiate, Pictures._decode
    monkeypatch.setattr(
        make.hydra.utils,
        "instantiate",
        lambda node, **kw: instantiated.append(node["_target_"]) or inner(node, **kw),
    )
    monkeypatch.setattr(Pictures, "_decode", lambda self, k: decoded.append(k) or load(self, k))
    cfg = loaded(f"imgpath={picture}", "num_imgs=37", "img_size=32", "output.shard_size=10",
                 "save_params=true", f"targetpath={tmp_path / 'set'}")  # fmt: skip
    generate(cfg)
    assert len(instantiated) == len(set(instantiated)) <= 5
    assert decoded == [0]
