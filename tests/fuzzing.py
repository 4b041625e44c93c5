"""Pictures that were cut or changed at random, always the same ones for the same seed."""

from __future__ import annotations

import faulthandler
import io
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (61, 47)  # odd, so that no block of a codec ends where the picture does
# Name (its ending is the format), mode, and options of Pillow's save.
_KINDS: tuple[tuple[str, str, dict], ...] = (
    ("baseline.jpeg", "RGB", {}),
    ("progressive.jpeg", "RGB", {"progressive": True}),
    ("grey.jpeg", "L", {}),
    ("cmyk.jpeg", "CMYK", {}),
    ("colour.png", "RGB", {}),
    ("clear.png", "RGBA", {}),
    ("palette.png", "P", {"transparency": 3}),
    ("bits.png", "1", {}),
    ("deep.png", "I;16", {}),
    ("lossy.webp", "RGB", {}),
    ("lossless.webp", "RGBA", {"lossless": True}),
    ("raw.tiff", "RGB", {}),
    ("lzw.tiff", "RGBA", {"compression": "tiff_lzw"}),
    ("deflate.tiff", "I;16", {"compression": "tiff_adobe_deflate"}),
    ("jpeg.tiff", "RGB", {"compression": "jpeg"}),
    ("packed.tiff", "P", {"compression": "packbits"}),
    ("fax.tiff", "1", {"compression": "group4"}),
    ("float.tiff", "F", {}),
)


def fuzzed_files(folder: Path, count: int, seed: int) -> list[Path]:
    """``count`` files in ``folder``, each a picture that was cut, or in which bits flipped."""
    chance, whole = random.Random(seed), list(whole_files())
    files = []
    for number in range(count):
        name, data = whole[number % len(whole)]
        harm = _cut if chance.random() < 0.3 else _flip
        path = Path(folder) / f"{number:04d}-{name}"
        path.write_bytes(harm(data, chance))
        files.append(path)
    return files


def whole_files() -> Iterator[tuple[str, bytes]]:
    """Name and bytes of the pictures that are harmed: formats, modes and compressions."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "to be shown turned by a quarter"
    for name, mode, options in _KINDS:
        data, format_ = io.BytesIO(), name.partition(".")[2]
        more = {} if format_ == "tiff" else {"exif": exif}
        _picture(mode).save(data, format_, **options, **more)
        yield name, data.getvalue()


def _picture(mode: str) -> Image.Image:
    width, height = SIZE
    rows, columns = np.mgrid[:height, :width]
    channels = [rows * 5, columns * 4, (rows * columns) % 256]
    picture = Image.fromarray(np.stack(channels, -1).astype(np.uint8))
    if mode == "I;16":
        return Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    return picture.convert(mode)


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def _flip(data: bytes, chance: random.Random) -> bytes:
    """Up to 16 bits, most of them among the first bytes, where headers are."""
    harmed = bytearray(data)
    for _ in range(chance.randint(1, 16)):
        end = len(harmed) if chance.random() < 0.4 else min(len(harmed), 300)
        harmed[chance.randrange(end)] ^= 1 << chance.randrange(8)
    return bytes(harmed)


# --- what becomes of them ------------------------------------------------------------------------

_PATIENCE = 20  # seconds for one file


def use(files: list[Path]) -> Iterator[str]:
    """``rendered`` or ``refused`` for each file, of which two images of 32 px are asked for.

    Ends the process when that takes too long: decoders written in C cannot be interrupted.
    """
    from hydra import compose, initialize_config_dir

    from singleimg import SingleImage
    from singleimg.config import checks, location
    from singleimg.errors import UserError

    with initialize_config_dir(str(location.CONF), version_base="1.3"):
        cfg = compose("config", ["img_size=32", "imgpath=later"])
    for file in files:
        print(file.name, end=" ", flush=True)  # the last line names the file of a crash
        faulthandler.dump_traceback_later(_PATIENCE, exit=True)
        cfg.imgpath = str(file)
        try:
            images = SingleImage.from_config(checks.load(cfg))
            shapes = [images.render(index).shape for index in range(2)]
        except UserError as error:
            yield f"refused {str(error)!r}"
        else:
            yield "rendered" if shapes == 2 * [(32, 32, 3)] else f"gave {shapes}"
        finally:
            faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    for word in use(sorted(Path(sys.argv[1]).iterdir())):
        print(word, flush=True)
