"""Every experiment is composed and run at 8 images, by the real command line."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading

import pytest

from singleimg.config import CONF
from tests.conftest import images_of

EXPERIMENTS = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))


@pytest.fixture(scope="module")
def stand_in(picture):
    """The paper's images have no licence and are not here: a picture of ours stands in for them."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(picture.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        digest = hashlib.sha256(picture.read_bytes()).hexdigest()
        address = f"http://127.0.0.1:{server.server_port}/{picture.name}"
        yield f"image.url={address}", f"image.sha256={digest}", "+image.allow_http=true"
        server.shutdown()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_it_runs(run, stand_in, tmp_path, name):
    run(f"experiment={name}", "num_imgs=8", f"targetpath={tmp_path / 'set'}", *stand_in)
    assert len(images_of(tmp_path / "set")) == 8


def test_the_ablation_makes_its_eight_sets(run, stand_in, tmp_path):
    """The command that stands in its file."""
    lines = (CONF / "experiment" / "paper_ablation.yaml").read_text().splitlines()
    (command,) = [line.split("run.py ")[1] for line in lines if "run.py" in line]
    run(*command.split(), "num_imgs=8", f"targetpath={tmp_path}", *stand_in)
    names = [path.name.split("-8-")[-1][:-9] for path in tmp_path.iterdir()]
    assert len(names) == 8
    assert {"deg0-scalenull-jitter0", "deg0", "scalenull-jitter0"} <= set(names)
    sets = {tuple(images_of(path).values()) for path in tmp_path.iterdir()}
    assert len(sets) == 8
