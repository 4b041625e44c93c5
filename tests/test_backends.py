"""The same bytes on any backend and any number of workers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from singleimg.backends import JoblibBackend
from singleimg.errors import UserError
from singleimg.manifest import Manifest, plan
from singleimg.progress import Progress
from singleimg.recipe import Recipe
from singleimg.shards import Task, build, render_shard
from tests.conftest import images_of
from tests.test_config import loaded

NUM_IMGS = 120


def made(picture, target, backend: str, workers: int, engine: str) -> dict[str, str]:
    cfg = loaded(f"imgpath={picture}", "img_size=32", "output.class_name=c", "save_params=true",
                 "output.shard_size=10", "augment=strong", f"engine={engine}")  # fmt: skip
    spec = json.dumps(OmegaConf.to_container(cfg, resolve=True))
    Manifest(target).begin(Recipe({}, {}, {}), {})
    shards = plan(NUM_IMGS, 10)
    target.with_name(target.name + "-counts").mkdir()
    with Progress(target.with_name(target.name + "-counts"), NUM_IMGS, 0, len(shards)) as progress:
        pictures = Path(progress.file).parent if workers > 1 else None
        if pictures:
            build(spec)[0].pictures.share(pictures)
        tasks = [
            Task(spec, target, one, progress.file, k, pictures) for k, one in enumerate(shards)
        ]
        records = list(JoblibBackend(backend).run(render_shard, tasks, workers))
        counted = int(progress._counts.sum())
    assert sorted(one.number for one in records) == list(range(12))
    assert counted == NUM_IMGS
    params = [file.read_text() for file in sorted((target / "params").iterdir())]
    return {**images_of(target), "params": "".join(params)}


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_the_same_bytes_everywhere(picture, tmp_path, engine):
    alone = made(picture, tmp_path / "alone", "sequential", 1, engine)
    assert len(alone) == NUM_IMGS + 1
    for backend, workers in (("loky", 1), ("loky", 2), ("loky", 3), ("threading", 4)):
        target = tmp_path / f"{backend}{workers}"
        assert made(picture, target, backend, workers, engine) == alone


def _nested(_: int) -> int:
    return JoblibBackend("loky").workers(8)


def test_inside_a_worker_of_joblib_nothing_is_started():
    assert set(JoblibBackend("loky").run(_nested, [1, 2], 2)) == {1}


def _killed(number: int) -> None:
    import os
    import signal

    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_ends_the_run_with_a_sentence():
    with pytest.raises(UserError, match=r"^a worker process was killed, most likely because mem"):
        list(JoblibBackend("loky").run(_killed, [0, 1, 2, 3], 2))


def test_the_number_of_workers():
    assert JoblibBackend("loky").workers(3) == 3
    assert JoblibBackend("loky").workers(None) >= 1
    assert JoblibBackend("sequential").workers(3) == 1
