"""Pictures of every kind that public writers make, and two decoders that know nothing of ours.

``cells`` writes them; ``by_vips`` and ``by_codecs`` read them as ``float`` H×W×3 of 0 … 255, over
white.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
import pillow_heif
import pyvips
import tifffile
from PIL import Image

HEIGHT, WIDTH = 37, 52  # of no side that a block, a tile or a byte of bits divides


class Cell(NamedTuple):
    """One kind of file: how it is named, and what writes it; ``lossless`` ones keep each level.

    within: levels; 2 where two roundings of 16 bits meet. truth: what was written, as the decoders
    would say it, where neither reads such files. tagged: it has a profile, of which libvips alone
    knows what it means.
    """

    name: str
    write: Callable[[Path], object]
    lossless: bool = True
    within: int = 1
    truth: np.ndarray | None = None
    tagged: bool = False


def levels(channels: int, bits: int) -> np.ndarray:
    """H×W[×channels], whole numbers below 2^bits: smooth, and no flip or exchange leaves it."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] / [[[HEIGHT - 1]], [[WIDTH - 1]]]
    parts = [rows, columns, (rows + columns) / 2, 1 - rows * columns][:channels]
    if channels in (2, 4):
        parts[-1] = 0.25 + 0.75 * (1 - rows * columns)  # of alpha, or black: never nothing
    whole = np.rint(np.stack(parts, -1) * (2**bits - 1))
    return whole.astype(np.uint8 if bits <= 8 else np.uint16).squeeze()


def cells() -> Iterator[Cell]:
    """All of them."""
    for make in (tiff, tiff_bits, png, jpeg, webp, avif, heif, gif, bmp, pnm, profiles):
        yield from make()


# --- writers -------------------------------------------------------------------------------------

_KINDS = {  # channels, photometric, extra samples
    "grey": (1, "minisblack", None),
    "white-is-zero": (1, "miniswhite", None),
    "grey+alpha": (2, "minisblack", ["unassalpha"]),
    "rgb": (3, "rgb", None),
    "rgb+alpha": (4, "rgb", ["unassalpha"]),
    "cmyk": (4, "separated", None),
}
_LAYOUTS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 8},
    "tiles": {"tile": (16, 16)},
    "planes": {"planarconfig": "separate", "rowsperstrip": 8},
}


def tiff() -> Iterator[Cell]:
    compressions = (None, "lzw", "deflate", "packbits", "zstd", "lzma")
    for kind, bits, layout, packed in itertools.product(_KINDS, (8, 16), _LAYOUTS, compressions):
        channels, photometric, extra = _KINDS[kind]
        if layout == "planes" and channels == 1:
            continue
        pixels = levels(channels, bits)
        more = {**_LAYOUTS[layout], "photometric": photometric, "compression": packed}
        if extra:
            more["extrasamples"] = extra
        planes = np.moveaxis(pixels, -1, 0) if layout == "planes" else pixels
        yield Cell(
            f"tiff {kind} {bits} {layout} {packed}",
            lambda path, a=planes, m=more: tifffile.imwrite(path, a, **m),
            within=2 if bits == 16 and channels in (2, 4) else 1,
        )
    for kind, bits, order in itertools.product(("grey", "rgb"), (8, 16), "<>"):
        channels, photometric, _ = _KINDS[kind]
        for big, predictor in ((True, None), (False, 2)):
            more = {"byteorder": order, "bigtiff": big, "photometric": photometric}
            if predictor:
                more |= {"predictor": predictor, "compression": "deflate"}
            pixels = levels(channels, bits)
            yield Cell(
                f"tiff {kind} {bits} {order} big={big} predictor={predictor}",
                lambda path, a=pixels, m=more: tifffile.imwrite(path, a, **m),
            )


def tiff_bits() -> Iterator[Cell]:
    """By Pillow and libvips: bits, palettes, fax, JPEG within."""
    bits = Image.fromarray(levels(1, 8)).convert("1")
    for packed in (None, "group3", "group4", "tiff_lzw", "packbits"):
        yield Cell(f"tiff 1 bit {packed}", lambda path, c=packed: bits.save(path, compression=c))
    colours = Image.fromarray(levels(3, 8)).quantize(64)
    for packed in (None, "tiff_lzw", "tiff_adobe_deflate"):
        yield Cell(
            f"tiff palette {packed}", lambda path, c=packed: colours.save(path, compression=c)
        )
    vips = pyvips.Image.new_from_array(levels(3, 8)).copy(interpretation="srgb")
    for tile in (False, True):
        yield Cell(
            f"tiff jpeg tile={tile}",
            lambda path, t=tile: vips.tiffsave(str(path), compression="jpeg", Q=90, tile=t),
            lossless=False,
        )
    grey = pyvips.Image.new_from_array(levels(1, 8)).copy(interpretation="b-w")
    for depth, white in itertools.product((1, 2, 4), (False, True)):
        yield Cell(
            f"tiff {depth} bit white-is-zero={white}",
            lambda path, d=depth, w=white: grey.tiffsave(str(path), bitdepth=d, miniswhite=w),
        )


def png() -> Iterator[Cell]:
    kinds = {"grey": (1, "b-w", "grey16"), "grey+alpha": (2, "b-w", "grey16"),
             "rgb": (3, "srgb", "rgb16"), "rgb+alpha": (4, "srgb", "rgb16")}  # fmt: skip
    for kind, bits, lace in itertools.product(kinds, (8, 16), (False, True)):
        channels, *spaces = kinds[kind]
        image = pyvips.Image.new_from_array(levels(channels, bits))
        image = image.copy(interpretation=spaces[bits == 16])
        yield Cell(
            f"png {kind} {bits} interlace={lace}",
            lambda path, i=image, n=lace: i.pngsave(str(path), interlace=n),
        )
    grey = pyvips.Image.new_from_array(levels(1, 8)).copy(interpretation="b-w")
    for depth in (1, 2, 4):
        yield Cell(f"png grey {depth}", lambda path, d=depth: grey.pngsave(str(path), bitdepth=d))
    colours = Image.fromarray(levels(3, 8)).quantize(16)
    for clear in (None, 3, bytes(range(0, 256, 16))):
        more = {} if clear is None else {"transparency": clear}
        yield Cell(
            f"png palette transparency={type(clear).__name__}",
            lambda path, m=more: colours.save(path, **m),
        )
    for mode, clear in (("L", 100), ("RGB", (0, 0, 0)), ("1", 0)):
        image = Image.fromarray(levels(3, 8)).convert(mode)
        yield Cell(
            f"png {mode} transparent level",
            lambda path, i=image, c=clear: i.save(path, transparency=c),
        )


def jpeg() -> Iterator[Cell]:
    for mode, sampling, progressive, quality in itertools.product(
        ("L", "RGB", "CMYK"), ("4:4:4", "4:2:2", "4:2:0"), (False, True), (60, 95)
    ):
        image = Image.fromarray(levels(3, 8)).convert(mode)
        yield Cell(
            f"jpeg {mode} {sampling} progressive={progressive} {quality}",
            lambda path, i=image, s=sampling, p=progressive, q=quality: i.save(
                path, "JPEG", subsampling=s, progressive=p, quality=q
            ),
            lossless=False,
        )
    yield Cell(
        "jpeg RGB, not YCbCr",
        lambda path: Image.fromarray(levels(3, 8)).save(path, "JPEG", quality=95, keep_rgb=True),
        lossless=False,
    )


def webp() -> Iterator[Cell]:
    for channels, lossless, quality in itertools.product((3, 4), (False, True), (50, 95)):
        image = Image.fromarray(levels(channels, 8))
        yield Cell(
            f"webp {channels} lossless={lossless} {quality}",
            lambda path, i=image, n=lossless, q=quality: i.save(
                path, lossless=n, quality=q, exact=True
            ),
            lossless,
        )


def avif() -> Iterator[Cell]:
    for channels, sampling, quality in itertools.product(
        (3, 4), ("4:4:4", "4:2:2", "4:2:0"), (60, 95)
    ):
        image = Image.fromarray(levels(channels, 8))
        yield Cell(
            f"avif {channels} {sampling} {quality}",
            lambda path, i=image, s=sampling, q=quality: i.save(path, subsampling=s, quality=q),
            lossless=False,
        )
    for bits in (10, 12):
        pixels = levels(3, bits)
        yield Cell(
            f"avif {bits} bits",
            lambda path, a=pixels, b=bits: path.write_bytes(
                imagecodecs.avif_encode(a, level=95, bitspersample=b)
            ),
            lossless=False,
        )


def heif() -> Iterator[Cell]:
    for mode, chroma, quality in itertools.product(("L", "RGB", "RGBA"), (420, 444), (60, 95)):
        pixels = Image.fromarray(levels(4, 8), "RGBA").convert(mode)

        def write(path: Path, image=pixels, chroma=chroma, quality=quality) -> None:
            pillow_heif.from_pillow(image).save(path, quality=quality, chroma=chroma)

        truth = _shown(np.asarray(pixels) / 255)
        yield Cell(f"heic {mode} {chroma} {quality}", write, lossless=False, truth=truth)


def gif() -> Iterator[Cell]:
    for mode, lace in itertools.product(("L", "P"), (0, 1)):
        image = Image.fromarray(levels(3, 8)).convert("L")
        image = image if mode == "L" else Image.fromarray(levels(3, 8)).quantize(64)
        yield Cell(
            f"gif {mode} interlace={lace}", lambda path, i=image, n=lace: i.save(path, interlace=n)
        )
    colours = Image.fromarray(levels(3, 8)).quantize(64)
    yield Cell("gif transparent", lambda path: colours.save(path, transparency=5))


def bmp() -> Iterator[Cell]:
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        image = Image.fromarray(levels(4, 8), "RGBA")
        image = (
            image.quantize(64)
            if mode == "P"
            else image.convert("RGB" if mode != "RGBA" else mode).convert(mode)
        )
        yield Cell(f"bmp {mode}", lambda path, i=image: i.save(path))


def pnm() -> Iterator[Cell]:
    for mode, suffix in (("1", "pbm"), ("L", "pgm"), ("RGB", "ppm")):
        image = Image.fromarray(levels(3, 8)).convert(mode)
        truth = _shown(np.asarray(image.convert("RGB")) / 255)
        yield Cell(f"{suffix} 8", lambda path, i=image: i.save(path, "PPM"), truth=truth)
    for channels, most, plain in itertools.product((1, 3), (255, 1000, 65535), (False, True)):
        pixels = (levels(channels, 16) * (most / 65535)).astype(np.uint16)
        number = (2 if channels == 1 else 3) + (0 if plain else 3)
        head = f"P{number}\n# a comment\n{WIDTH} {HEIGHT}\n{most}\n".encode()
        wide = pixels.astype(">u2" if most > 255 else np.uint8).tobytes()
        text = "\n".join(map(str, pixels.ravel())).encode()
        yield Cell(
            f"{'pgm' if channels == 1 else 'ppm'} {most} plain={plain}",
            lambda path, data=head + (text if plain else wide): path.write_bytes(data),
            truth=_shown(pixels / most),
        )


def profiles() -> Iterator[Cell]:
    """Those of libvips; of CMYK it has one with tables. AVIF is left to test_colour: two decoders
    turn its YUV into levels that P3's matrix drives further apart."""
    p3, inks = (bytes(pyvips.Image.profile_load(name)) for name in ("p3", "cmyk"))
    rgb = {"png": {}, "tiff": {}, "webp": {"lossless": True}, "jpeg": {"quality": 95}}
    for kind, more in rgb.items():
        for channels in (3,) if kind == "jpeg" else (3, 4):
            image = Image.fromarray(levels(channels, 8))
            yield Cell(
                f"{kind} p3 {channels}",
                lambda path, i=image, m=more, p=p3: i.save(path, icc_profile=p, **m),
                lossless=kind != "jpeg",
                within=2,
                tagged=True,
            )
    for kind, more in (("tiff", {}), ("jpeg", {"quality": 95})):
        image = Image.fromarray(levels(3, 8)).convert("CMYK")
        yield Cell(
            f"{kind} inks",
            lambda path, i=image, m=more: i.save(path, icc_profile=inks, **m),
            lossless=kind == "tiff",
            within=2,
            tagged=True,
        )


# --- decoders ------------------------------------------------------------------------------------


def by_vips(path: Path) -> np.ndarray:
    """libvips: its own rules for orientation, profiles, bits and alpha."""
    image = pyvips.Image.new_from_file(str(path)).autorot()
    if image.get_typeof("icc-profile-data"):
        image = image.icc_transform("srgb", embedded=True, intent="relative")
    image = image.colourspace("srgb")
    if image.hasalpha():
        image = image.flatten(background=[255, 255, 255])
    pixels = image.cast("uchar").numpy().astype(float)
    pixels = pixels if pixels.ndim == 3 else pixels[:, :, None]
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3))


def by_codecs(path: Path) -> np.ndarray:
    """tifffile for TIFF, imagecodecs for what else: their arrays, and no more than that."""
    if path.suffix == ".tif":
        return _tiff(path)
    data = path.read_bytes()
    decode = {".png": imagecodecs.png_decode, ".jpg": imagecodecs.jpeg8_decode,
              ".webp": imagecodecs.webp_decode, ".avif": imagecodecs.avif_decode,
              ".heic": imagecodecs.heif_decode, ".gif": imagecodecs.gif_decode,
              ".bmp": imagecodecs.bmp_decode}.get(path.suffix)  # fmt: skip
    if decode is None:
        raise NotImplementedError
    pixels = decode(data)
    if path.suffix == ".gif" and pixels.ndim == 4:
        pixels = pixels[0]
    if path.suffix == ".jpg" and pixels.ndim == 3 and pixels.shape[-1] == 4:
        return _from_cmyk(255 - pixels.astype(float))  # Adobe's are written the other way round
    bits = 8 * pixels.dtype.itemsize
    if path.suffix in (".avif", ".heic") and bits == 16:
        bits = int(path.stem.split("-")[0]) if path.stem[0].isdigit() else 10
    return _shown(pixels / (2**bits - 1))


def _tiff(path: Path) -> np.ndarray:
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        pixels = page.asarray()
        if page.planarconfig == 2 and page.samplesperpixel > 1:
            pixels = np.moveaxis(pixels, 0, -1)
        if page.photometric.name == "PALETTE":
            return np.moveaxis(page.colormap, 0, -1)[pixels] / 257.0
        parts = pixels / (2**page.bitspersample - 1)
        if page.photometric.name == "MINISWHITE":
            parts = 1 - parts
        if page.photometric.name == "SEPARATED":
            return _from_cmyk(parts * 255)
        return _shown(parts)


def _from_cmyk(inks: np.ndarray) -> np.ndarray:
    light = 255 - inks
    return light[..., :3] * light[..., 3:] / 255


def _shown(parts: np.ndarray) -> np.ndarray:
    """Parts of 0 … 1 of one to four channels, over white."""
    parts = parts if parts.ndim == 3 else parts[:, :, None]
    colour = parts[..., : 1 if parts.shape[-1] < 3 else 3]
    if parts.shape[-1] in (2, 4):
        alpha = parts[..., -1:]
        colour = colour * alpha + 1 - alpha
    return np.broadcast_to(colour * 255, (*parts.shape[:2], 3))
