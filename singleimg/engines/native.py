"""Fast kernels on the CPU: the same draws as the reference engine, in a tenth of its time.

The list of transforms is planned once: each becomes a kernel (``singleimg.engines.kernels``), found
by its name; a transform without one is rendered by torchvision's tensor path, or by Pillow
where a trial shows that it gives other pictures on tensors. Rendering an image is then one short
loop over kernels.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from singleimg.drawing.pipeline import Pipeline, Sample
from singleimg.drawing.steps import ContainerStep, LawStep, Leaf, Step
from singleimg.drawing.stream import Stream
from singleimg.engines.base import Engine, Renderer, alone
from singleimg.engines.picture import Picture
from singleimg.engines.reference import as_pixels
from singleimg.errors import UserError

if TYPE_CHECKING:
    import torch

_NEEDED = {"cv2": "opencv-python-headless", "simplejpeg": "simplejpeg"}
_TRIALS, _SIDE = 4, 96  # how often, and on how large a picture, the tensor path is tried
_APART = 8.0  # levels on average; roundings are far below it, a wrong axis is far above

# A step of the plan: pixels, drawn parameters, and a stream for what is drawn while rendering.
Planned = Callable[[Any, dict[str, Any], Stream], np.ndarray]


@dataclass(frozen=True)
class NativeEngine(Engine):
    """Renders with torch, OpenCV and libjpeg-turbo."""

    def __post_init__(self) -> None:
        for module, package in _NEEDED.items():
            try:
                importlib.import_module(module)
            except ImportError as error:
                raise UserError(
                    f"engine=native needs the module {module}, which cannot be imported here "
                    f"({error}): type pip install {package}, or engine=reference."
                ) from None

    def set_up_process(self) -> None:
        import cv2

        super().set_up_process()
        cv2.setNumThreads(1)

    @contextmanager
    def one_thread(self) -> Iterator[None]:
        import cv2

        with alone:
            before = cv2.getNumThreads()
            try:
                with super().one_thread():
                    yield
            finally:
                cv2.setNumThreads(before)

    def renderer(self, pipeline: Pipeline) -> Renderer:
        return NativeRenderer(pipeline)


class NativeRenderer(Renderer):
    """The kernels of a pipeline; ``slow`` names the transforms that have none, and who helps."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.slow: dict[str, str] = {}
        self._steps = tuple(
            self._planned(step, first=place == 0) for place, step in enumerate(pipeline.steps)
        )

    def render(self, batch: Sequence[tuple[Picture, Sample]]) -> list[np.ndarray]:
        return [self._rendered(picture, sample) for picture, sample in batch]

    def _rendered(self, picture: Picture, sample: Sample) -> np.ndarray:
        pixels: Any = picture
        seed, index = sample.seed, sample.index
        for place, (step, params) in enumerate(zip(self._steps, sample.params, strict=True)):
            pixels = step(pixels, params, Stream(seed, index, 2 * place + 2))
        pixels = pixels if self._steps else picture.pixels
        # Nobody's changes to an image may reach the source.
        return pixels.copy() if np.may_share_memory(pixels, picture.pixels) else pixels

    def _planned(self, step: Step, *, first: bool = False) -> Planned:
        """``step`` as a function; ``first``: of a ``Picture`` with its levels."""
        if isinstance(step, ContainerStep):
            return self._container(step, first)
        kernel, reads = _kernel(step)
        if kernel is None:
            kernel = self._slow(step)
            return (lambda picture, *rest: kernel(picture.pixels, *rest)) if first else kernel
        gated = step.p is not None

        def planned(pixels: Any, params: dict[str, Any], stream: Stream) -> np.ndarray:
            if gated and not params["apply"]:
                return pixels.pixels if first else pixels
            if first:
                return kernel(pixels if reads else pixels.pixels, params)
            return kernel(Picture(pixels) if reads else pixels, params)

        return planned

    def _container(self, step: ContainerStep, first: bool) -> Planned:
        children = [self._planned(child) for child in step.children]

        def container(pixels: Any, params: dict[str, Any], stream: Stream) -> np.ndarray:
            if first:
                pixels = pixels.pixels
            for position, drawn in zip(params["order"], params["transforms"], strict=True):
                pixels = children[position](pixels, drawn["params"], stream)
            return pixels

        return container

    def _slow(self, step: Leaf) -> Planned:
        on_tensors = _same_on_tensors(step)
        self.slow[step.name] = "torchvision's tensor path" if on_tensors else "Pillow"
        convert = _tensor if on_tensors else Image.fromarray

        def slow(pixels: np.ndarray, params: dict[str, Any], stream: Stream) -> np.ndarray:
            return as_pixels(step.render(convert(pixels), params, stream))

        return slow


def _kernel(step: Leaf) -> tuple[Callable | None, bool]:
    """The kernel of a step, by the name of its transform, and whether it reads a ``Picture``."""
    from singleimg.engines.kernels import FACTORIES, READERS  # needs OpenCV, which may be missing

    known = isinstance(step, LawStep) or _is_torchvisions(step) or _is_ours(step)
    factory = FACTORIES.get(step.name) if known else None
    return factory(step.settings()) if factory else None, step.name in READERS


def _is_torchvisions(step: Leaf) -> bool:
    """Whether a step's transform is torchvision's own, not a subclass of it."""
    from torchvision.transforms import v2

    return getattr(v2, step.name, None) is type(step.settings())


def _is_ours(step: Leaf) -> bool:
    return type(step.settings()).__module__.startswith("singleimg.")


def _tensor(pixels: np.ndarray) -> torch.Tensor:
    """3×H×W, ``uint8``; a copy, since a user's transform may write into it."""
    import torch

    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def _same_on_tensors(step: Leaf) -> bool:
    """Whether a transform gives the same picture on tensors as on Pillow images.

    torchvision's v2 do. One that someone wrote for Pillow images may fail on tensors, or, worse,
    take the channels for rows: tried here on a small picture that shows it.
    """
    kind = type(step.settings())
    lambda_ = kind.__name__ == "Lambda"  # which holds a function of the user's
    if isinstance(step, LawStep) or (_is_torchvisions(step) and not lambda_):
        return True
    rows, columns = np.mgrid[:_SIDE, : _SIDE + 16]
    channels = [40 + rows, 250 - 2 * columns, (rows // 8 + columns // 12) % 2 * 200]
    pixels = np.clip(np.stack(channels, -1), 0, 255).astype(np.uint8)
    for trial in range(_TRIALS):
        try:
            params = step.draw_one(Stream(0, trial), pixels.shape[:2])
            shown = as_pixels(step.render(Image.fromarray(pixels), params, Stream(1, trial)))
            other = as_pixels(step.render(_tensor(pixels), params, Stream(1, trial)))
        except UserError:
            return False
        if shown.shape != other.shape or np.abs(shown - other.astype(int)).mean() > _APART:
            return False
    return True
