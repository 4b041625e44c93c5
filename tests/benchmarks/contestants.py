"""Who is timed: each contestant makes image ``i`` of a photograph, as the bytes of a JPEG file."""

from __future__ import annotations

import io
import math
import random
import warnings
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from hydra import compose, initialize_config_dir
from PIL import Image
from torchvision import transforms as v1
from torchvision.utils import save_image

from singleimg import SingleImage
from singleimg.config import checks, location
from singleimg.config.make import instantiate
from singleimg.encoders.base import Encoder
from singleimg.jobs.plan import CHUNK

Contestant = Callable[[int], bytes]
JITTER = (0.4, 0.4, 0.4, 0.1)
QUALITY = 75


def images_of(*overrides: str) -> SingleImage:
    """The images that these overrides describe, in this process."""
    with initialize_config_dir(str(location.CONF), version_base="1.3"):
        cfg = compose("config", overrides=list(overrides))
    made = SingleImage.from_config(checks.load(cfg, overrides))
    made.set_up_process()
    return made


def images(photograph: Path, *overrides: str) -> SingleImage:
    """``images_of`` a photograph."""
    return images_of(f"imgpath={photograph}", *overrides)


def ours(photograph: Path, engine: str, augment: str, size: int) -> Contestant:
    """An engine of ours with its encoder; as many images are drawn at once as in a run."""
    made = images(photograph, f"engine={engine}", f"augment={augment}", f"img_size={size}")
    encoder, coming, due = encoder_of(engine), iter(()), 0

    def make(i: int) -> bytes:
        nonlocal coming, due
        if i != due or i % CHUNK == 0:  # else it is the next of those that were drawn with it
            coming = made.render_drawn(made.draw_many(range(i, (i // CHUNK + 1) * CHUNK)))
        due = i + 1
        return encoder.encode(next(coming))

    return make


def encoder_of(engine: str) -> Encoder:
    """The encoder that stands in the engine's settings."""
    with initialize_config_dir(str(location.CONF), version_base="1.3"):
        cfg = compose("config", overrides=[f"engine={engine}"])
    return instantiate(cfg, "encode")


def bare_jpeg(photograph: Path, augment: str, size: int, count: int) -> Contestant:
    """The floor: nothing but the encoding of images that native has rendered before."""
    made = images(photograph, "engine=native", f"augment={augment}", f"img_size={size}")
    ready, encoder = [made.render(i) for i in range(count)], encoder_of("native")
    return lambda i: encoder.encode(ready[i % count])


# --- the published script ------------------------------------------------------------------------


class UniformCrop(v1.RandomResizedCrop):
    """The script's resized crop: uniform in area, drawn until it fits."""

    @staticmethod
    def get_params(image: Image.Image, scale: list, ratio: list) -> tuple[int, int, int, int]:
        """top, left, height, width."""
        while True:
            area = random.uniform(*scale) * image.width * image.height
            aspect = math.exp(random.uniform(math.log(ratio[0]), math.log(ratio[1])))
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if w <= image.width and h <= image.height:
                top, left = (
                    random.randint(0, free) for free in (image.height - h, image.width - w)
                )
                return top, left, h, w


def published(photograph: Path, size: int) -> Contestant:
    """The published script's pipeline with today's argument names: Pillow, tensor, ``save_image``.

    Steps and numbers: ``make_dataset_single.py`` of the paper's repository.
    """
    source = Image.open(photograph).convert("RGB")
    bicubic, bilinear = v1.InterpolationMode.BICUBIC, v1.InterpolationMode.BILINEAR
    pipeline = v1.Compose(
        [
            v1.RandomCrop(int(0.5 * min(source.size))),
            UniformCrop(int(math.sqrt(2) * size), (1 / 500, 1), interpolation=bicubic),
            v1.RandomAffine(30, shear=30, interpolation=bilinear),
            v1.CenterCrop(size),
            v1.RandomApply([v1.ColorJitter(*JITTER)], 0.5),
            v1.ToTensor(),
        ]
    )

    def make(i: int) -> bytes:
        buffer = io.BytesIO()
        save_image(pipeline(source), buffer, format="jpeg")
        return buffer.getvalue()

    random.seed(0)
    torch.manual_seed(0)
    return make


# --- Albumentations ------------------------------------------------------------------------------


def albumentations(
    photograph: Path, augment: str, size: int, *, antialias: bool = False
) -> Contestant | None:
    """The nearest that Albumentations has to a preset; None when it is not installed.

    As it comes it shrinks without antialiasing, which is less work and shows in the pictures;
    ``antialias`` lets it take means of areas where it shrinks, the nearest to the same job.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import albumentations as A
    except ImportError:
        return None
    source = np.asarray(Image.open(photograph).convert("RGB"))
    side, canvas = min(source.shape[:2]) // 2, int(math.sqrt(2) * size)

    area = "image" if antialias else None

    def crop_and_turn(degrees: float, border: int) -> list:
        shape, range_ = (canvas, canvas), (1 / 500, 1)
        shear = {"x": (-30, 30), "y": (0, 0)}
        turn = A.Affine(rotate=(-degrees, degrees), shear=shear, border_mode=border, p=1)
        cubic = cv2.INTER_CUBIC
        crop = A.RandomResizedCrop(shape, range_, interpolation=cubic, area_for_downscale=area)
        return [A.RandomCrop(side, side), crop, turn, A.CenterCrop(size, size)]

    steps = {
        "script": lambda: [
            *crop_and_turn(30, cv2.BORDER_CONSTANT),
            A.ColorJitter(*[(1 - x, 1 + x) for x in JITTER[:3]], (-0.1, 0.1), p=0.5),
        ],
        "strong": lambda: [
            *crop_and_turn(60, cv2.BORDER_REFLECT_101),
            A.HorizontalFlip(p=0.5),
            A.VerticalFlip(p=0.5),
            A.ColorJitter(*[(1 - x, 1 + x) for x in JITTER[:3]], (-0.1, 0.1), p=0.8),
            A.ToGray(p=0.2),
            A.GaussianBlur((7, 7), (0.1, 2.0), p=0.5),
        ],
        "paper": lambda: [
            A.Rotate(35, interpolation=cv2.INTER_LINEAR, crop_border=True, p=1),
            A.RandomResizedCrop((size, size), (1 / 1000, 1), area_for_downscale=area),
            A.HorizontalFlip(p=0.5),
            A.ColorJitter(*[(1 - x, 1 + x) for x in JITTER[:3]], (-0.1, 0.1), p=1),
        ],
    }
    pipeline, encoder = A.Compose(steps[augment](), seed=0), encoder_of("native")
    return lambda i: encoder.encode(pipeline(image=source)["image"])
