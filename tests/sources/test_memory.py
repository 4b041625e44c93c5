"""What loading a picture takes: at most 2.5 times its pixels above the idle process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.conftest import ROOT
from tests.sources.test_colour import SPACES, profile

pyvips = pytest.importorskip("pyvips", reason="pyvips, which has a profile of inks")

MOST = 2.5  # times width × height × 3 bytes: Pillow's own copy takes 4 bytes a pixel, ours 3
# Decoders that hold more before we see a pixel: coefficients of three whole channels, planes and a
# copy of the result, 4 bytes a pixel and a copy of them.
MORE = {
    "scans.jpg": 3.4, "clear.webp": 2.7, "rgb.avif": 3.2, "full.avif": 3.7, "rgba.avif": 4.0
}  # fmt: skip
SPARE = 4_000_000  # bytes, of a picture of any size: strips at work, the tables of a profile
SIZES = [(2000, 1500), pytest.param((9500, 9000), marks=pytest.mark.slow)]

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="a peak can be set back on Linux alone"
)

# The start of a run: looked at and hashed, loaded, shared. The first file is there for the imports.
LOADING = """
import gc, json, sys, tempfile
from pathlib import Path
import torchvision.io
from singleimg.engines.picture import Pictures
from singleimg.sources import decoding
from singleimg.sources.base import hashes
from singleimg.sources.file import File
from singleimg.system.malloc import give_back_memory

def status(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(key))

def peak(file):
    decoding.load_picture.cache_clear()
    gc.collect()
    give_back_memory()
    Path("/proc/self/clear_refs").write_text("5")
    idle, source = status("VmRSS"), File(file)
    pictures = Pictures(source, expected=hashes(source))
    with tempfile.TemporaryDirectory() as folder:
        pictures.share(Path(folder))
    return status("VmHWM") - idle, pictures.load(0).pixels.nbytes

first, *files = sys.argv[1:]
peak(first)
print(json.dumps({Path(file).name: peak(file) for file in files}))
"""


def heic(image: Image.Image, path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif, which writes it")
    pillow_heif.from_pillow(image).save(path, quality=50)


def writers(size: tuple[int, int]) -> dict[str, Callable[[Path], object]]:
    """What writes a picture of each kind, by the name of its file."""
    rows, columns = np.ogrid[: size[1], : size[0]]
    channels = [rows // 16 % 256, columns // 16 % 256, (rows + columns) // 32 % 256]
    pixels = np.stack(np.broadcast_arrays(*channels), -1).astype(np.uint8)
    rgb, alpha = Image.fromarray(pixels), Image.fromarray(pixels[..., 0])
    rgba = rgb.copy()
    rgba.putalpha(alpha)
    grey, cmyk, palette = rgb.convert("L"), rgb.convert("CMYK"), rgb.quantize(16, method=2)
    deep = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    lab = ImageCms.profileToProfile(
        rgb, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    adobe = {"icc_profile": profile(b"RGB ", "Adobe RGB", *SPACES["Adobe RGB"])}
    linear = {"icc_profile": profile(b"GRAY", "linear grey", [], 1.0)}
    inks = bytes(pyvips.Image.profile_load("cmyk"))
    turned, fast = Image.Exif(), {"compress_level": 1}
    turned[0x0112] = 6

    return {
        "rgb.jpg": lambda path: rgb.save(path),
        "progressive.jpg": lambda path: rgb.save(path, progressive=True),
        "scans.jpg": lambda path: rgb.save(path, progressive=True, subsampling=0),
        "adobe.jpg": lambda path: rgb.save(path, **adobe),
        "turned.jpg": lambda path: rgb.save(path, exif=turned, **adobe),
        "grey.jpg": lambda path: grey.save(path, **linear),
        "cmyk.jpg": lambda path: cmyk.save(path),
        "inks.jpg": lambda path: cmyk.save(path, icc_profile=inks),
        "rgb.png": lambda path: rgb.save(path, **fast),
        "rgba.png": lambda path: rgba.save(path, **adobe, **fast),
        "la.png": lambda path: rgba.convert("LA").save(path, **fast),
        "palette.png": lambda path: palette.save(path, transparency=3, **fast),
        "deep.png": lambda path: deep.save(path, **linear, **fast),
        "rgb.tiff": lambda path: rgb.save(path),
        "turned.tiff": lambda path: rgb.save(path, compression="tiff_lzw", tiffinfo={274: 6}),
        "lab.tiff": lambda path: lab.save(path, compression="tiff_lzw"),
        "bits.tiff": lambda path: rgb.convert("1").save(path, compression="group4"),
        "rgb.bmp": lambda path: rgb.save(path),
        "palette.gif": lambda path: palette.save(path),
        "rgb.ppm": lambda path: rgb.save(path),
        "rgb.webp": lambda path: rgb.save(path, method=0, **adobe),
        "rgba.webp": lambda path: rgba.save(path, method=0),
        "lossless.webp": lambda path: rgb.save(path, method=0, lossless=True, quality=0),
        "clear.webp": lambda path: rgba.save(path, method=0, lossless=True, quality=0),
        "rgb.avif": lambda path: rgb.save(path, speed=10),
        "full.avif": lambda path: rgb.save(path, speed=10, subsampling="4:4:4", **adobe),
        "rgba.avif": lambda path: rgba.save(path, speed=10),
        "rgb.heic": lambda path: heic(rgb, path),
        "rgba.heic": lambda path: heic(rgba, path),
        "deflate.tiff": lambda path: rgb.save(path, compression="tiff_deflate"),
        "inks.tiff": lambda path: cmyk.save(path, compression="tiff_lzw", icc_profile=inks),
    }


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: "×".join(map(str, size)))
def peaks(request, tmp_path_factory) -> Iterator[dict[str, tuple[int, int]]]:
    """Of each kind: the bytes that a process takes at most to load it, and those of its pixels."""
    folder = tmp_path_factory.mktemp("memory")
    Image.new("RGB", (8, 8)).save(
        folder / "first.jpg", icc_profile=profile(b"RGB ", "a", *SPACES["ProPhoto"])
    )
    files = [folder / name for name in writers((8, 8))]
    for file, write in zip(files, writers(request.param).values(), strict=True):
        write(file)
    result = subprocess.run(
        [sys.executable, "-c", LOADING, folder / "first.jpg", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        # Large blocks go back to the system at once: what one picture leaves would hide the next.
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000"},
    )
    return json.loads(result.stdout)


@pytest.mark.parametrize("kind", writers((8, 8)))
def test_a_picture_is_held_two_and_a_half_times_at_most_or_as_its_decoder_holds_it(peaks, kind):
    peak, pixels = peaks[kind]
    assert pixels <= peak <= MORE.get(kind, MOST) * pixels + SPARE
