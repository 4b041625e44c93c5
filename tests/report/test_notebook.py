"""What a notebook shows, by IPython's own formatter where that is installed."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

import singleimg


def shown(html: str) -> np.ndarray:
    (data,) = re.findall(r'src="data:image/png;base64,([^"]*)"', html)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


@pytest.fixture(scope="module")
def made(run, picture, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "set"
    run(f"imgpath={picture}", "img_size=96", "num_imgs=10", "encode=png", f"targetpath={folder}")
    return folder


def test_a_notebook_shows_the_first_images(made, picture):
    rendered = singleimg.RenderedDataset(made)
    expected = np.asarray(rendered[9][0])
    for one, count in (
        (singleimg.StoredDataset(made), 10),
        (rendered, 10),
        (singleimg.SingleImage.open(made), 24),
    ):
        html = one._repr_html_()
        assert f'alt="the first {count} images"' in html
        sheet = shown(html)
        assert sheet.shape == (-(-count // 8) * 98, 8 * 98, 3)
        assert np.array_equal(sheet[98 + 1 : 98 + 97, 98 + 1 : 98 + 97], expected)  # image 9


def test_names_are_text(picture, tmp_path):
    strange = tmp_path / "<b>&.png"
    strange.write_bytes(picture.read_bytes())
    html = singleimg.RenderedDataset(strange, num_imgs=2, img_size=16)._repr_html_()
    assert "<b>" not in html and "&lt;b&gt;&amp;.png" in html
