"""Image ``i`` as a pure function of the recipe and ``i``, and the datasets that training reads."""

from __future__ import annotations

import io
import operator
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig
from PIL import Image
from torch.utils.data import Dataset, get_worker_info

from singleimg.config import checks, saved
from singleimg.config.command_line import command, trusting, typed
from singleimg.config.make import instantiate
from singleimg.dataset.open import from_config, read_source
from singleimg.dataset.target import Target
from singleimg.encoders.base import Encoder
from singleimg.errors import UserError
from singleimg.outputs.resolve import described
from singleimg.report.notebook import SHOWN, display


class StoredDataset(Dataset):
    """The images of a dataset that was made, in whichever format, by their indices.

    >>> StoredDataset("outputs/…")[7]              # (a Pillow image, 0)
    >>> StoredDataset("s3://bucket/name", transform=v2.ToImage())

    ``path``: the folder or URL that was the run's ``targetpath``. ``transform`` gets the Pillow
    image (RGB), and its result takes the image's place. The second element is 0, a label that
    readers of folders would give. Opens at once whatever its size: two small files say where each
    image lies. ``trusted_modules``: packages of yours, of which one has the output that wrote it.
    Raises UserError when there is no finished dataset.
    """

    def __init__(
        self,
        path: str | Path,
        transform: Callable[[Image.Image], Any] | None = None,
        *,
        trusted_modules: Sequence[str] = (),
    ) -> None:
        target = Target.at(str(path))
        recipe, summary = target.recipe(), target.summary()
        if recipe is None:
            raise UserError(f"{path} holds no dataset: give the targetpath of a run.")
        if not summary or type(summary.get("images")) is not int:
            raise UserError(
                f"{path} holds an unfinished dataset: resume it first with the command that "
                "started it."
            )
        try:
            encoding = recipe.pixels["encoder"]["encoding"]
        except (KeyError, TypeError):
            mend = command("task=repair", typed("targetpath", path), *trusting(trusted_modules))
            raise UserError(
                f"{target.store}/recipe.json is corrupted: to repair it, type {mend}"
            ) from None
        self.path, self.transform = str(path), transform
        self._count: int = summary["images"]
        self._output = str(recipe.layout.get("output"))
        like = None
        if trusted_modules:
            like = instantiate(saved.load(target.store, trusted_modules), "output")
        self._reader = described(recipe.layout, like, encoding=encoding).reader(target.store)

    def __repr__(self) -> str:
        return f"StoredDataset({self.path!r}, {self._count:,} images, output={self._output})"

    def _repr_html_(self) -> str:
        """In a notebook: the first images."""
        files = self._reader.read_all(range(min(SHOWN, self._count)))
        return display([np.asarray(decode(data)) for data in files], repr(self))

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self._shown(self.file(index)), 0

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Any, int]]:
        """A batch, of which a DataLoader asks at once: from a store it comes in one go."""
        places = [_index(index, self._count) for index in indices]
        return [(self._shown(data), 0) for data in self._reader.read_all(places)]

    def file(self, index: int) -> bytes:
        """The bytes of the file of image ``index``, as they were encoded."""
        return self._reader.read(_index(index, self._count))

    def _shown(self, data: bytes) -> Any:
        return _transformed(decode(data), self.transform)


class RenderedDataset(Dataset):
    """The images of a recipe, rendered when they are asked for: nothing is stored.

    >>> RenderedDataset("photo.jpg", augment="paper", img_size=128, num_imgs="1M")
    >>> RenderedDataset(singleimg.compose("augment=strong", imgpath="photo.jpg"))
    >>> RenderedDataset("outputs/…")               # the images of a dataset that was made

    ``source``: a picture or a folder of pictures, a configuration (composed by ``compose`` or by
    your own Hydra application), or the folder or URL of a dataset that was made. ``num_imgs``: how
    many, when other than it says. ``transform`` gets the Pillow image. ``encoded``: with the losses
    of the image file that would be stored. ``trusted_modules``: packages of yours whose classes the
    source names. ``keys``: of the configuration, as in ``compose``. Small to pickle; each process
    of a DataLoader reads the source for itself, and renders on one thread. Raises UserError for a
    mistake, a picture that is missing among them.
    """

    def __init__(
        self,
        source: str | Path | DictConfig,
        num_imgs: int | str | None = None,
        transform: Callable[[Image.Image], Any] | None = None,
        *,
        encoded: bool = False,
        trusted_modules: Sequence[str] = (),
        **keys: Any,
    ) -> None:
        cfg, sources = read_source(source, trusted_modules, keys)
        wanted = cfg.num_imgs if num_imgs is None else num_imgs
        self._count = checks.parse_count("num_imgs", wanted)
        self.transform, self.encoded = transform, encoded
        self._encoder: Encoder = instantiate(cfg, "encode")
        self._images = from_config(cfg, sources=sources)
        self._process = 0  # the one whose threads are set up

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_process": 0}

    def __repr__(self) -> str:
        return f"RenderedDataset({self._count:,} images of {self._images})"

    def _repr_html_(self) -> str:
        """In a notebook: the first images."""
        images = map(self._image, self._render(range(min(SHOWN, self._count))))
        return display([np.asarray(image) for image in images], repr(self))

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Any, int]]:
        """A batch, of which a DataLoader asks at once: what is drawn for it is drawn at once."""
        return [(_transformed(self._image(pixels), self.transform), 0)
                for pixels in self._render(indices)]  # fmt: skip

    def render(self, index: int) -> np.ndarray:
        """The pixels of image ``index``: ``uint8`` H×W×3, RGB."""
        return next(self._render([index]))

    def _render(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        places = [_index(index, self._count) for index in indices]
        if get_worker_info() is None:
            with self._images.engine.one_thread():  # the transform has as many as it had
                images = self._images.render_many(places)
            yield from images
            return
        if self._process != os.getpid():  # after a fork the threads are to be set up anew
            self._images.set_up_process()
            self._process = os.getpid()
        yield from self._images.render_drawn(self._images.draw_many(places))

    def _image(self, pixels: np.ndarray) -> Image.Image:
        return decode(self._encoder.file(pixels)) if self.encoded else Image.fromarray(pixels)

    def file(self, index: int) -> bytes:
        """The bytes of the file that a run would store for image ``index``."""
        return self._encoder.file(self.render(index))


def decode(data: bytes) -> Image.Image:
    """The picture in the bytes of an image file, RGB."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image if image.mode == "RGB" else image.convert("RGB")


def _transformed(image: Image.Image, transform: Callable[[Image.Image], Any] | None) -> Any:
    return image if transform is None else transform(image)


def _index(index: int, count: int) -> int:
    place = operator.index(index)
    place += count if place < 0 else 0
    if not 0 <= place < count:
        raise IndexError(f"image {index} of {count:,}")
    return place
