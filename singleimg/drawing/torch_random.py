"""Gives torch's random functions the numbers of one image instead of torch's global generator.

torchvision's v2 transforms draw from the global generator and take no ``generator=``. Seeding that
generator for every image is not safe on thread backends, so a ``TorchFunctionMode`` (which is local
to the thread) replaces the random functions while a transform draws or renders.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from singleimg.drawing.stream import Stream

# Above this many values a draw is noise for pixels, not a parameter: torch's own generator, seeded
# from the stream, is then faster by orders of magnitude.
_SMALL = 1024


class StreamMode(TorchFunctionMode):
    """While it is active in this thread, torch's random functions draw from ``stream``.

    With ``dtype=torch.float64`` new tensors default to it, so that parameters keep their 53 bits
    and are computed in float64: float32 kernels round differently from processor to processor.
    """

    def __init__(self, stream: Stream, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.stream = stream
        self.dtype = dtype
        self._generator: torch.Generator | None = None

    @property
    def generator(self) -> torch.Generator:
        """A torch generator seeded from the stream, for draws of many values."""
        if self._generator is None:
            self._generator = torch.Generator().manual_seed(self.stream.word() >> 1)
        return self._generator

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _OWN:
            return _OWN[func](self, *args, **kwargs)
        if func in _SEEDED:
            return func(*args, **{"generator": self.generator, **kwargs})
        return func(*args, **kwargs)


def _shape(size: tuple) -> torch.Size:
    return torch.Size(size[0] if len(size) == 1 and not isinstance(size[0], int) else size)


def _uniforms(mode: StreamMode, count: int, dtype: torch.dtype) -> torch.Tensor:
    if dtype == torch.float64:
        values = [mode.stream.uniform() for _ in range(count)]
    else:  # 24 bits: a 53-bit uniform could round up to 1.0
        values = [(mode.stream.word() >> 40) * 2.0**-24 for _ in range(count)]
    return torch.tensor(values, dtype=torch.float64)


def _rand(mode: StreamMode, *size: Any, dtype: torch.dtype | None = None, **kw: Any):
    shape = _shape((kw.pop("size"),) if "size" in kw else size)
    dtype = dtype or mode.dtype or torch.get_default_dtype()
    if shape.numel() > _SMALL:
        return torch.rand(shape, dtype=dtype, **{"generator": mode.generator, **kw})
    return _uniforms(mode, shape.numel(), dtype).reshape(shape).to(dtype)


def _uniform_(mode: StreamMode, tensor: torch.Tensor, *bounds: float, **kw: Any) -> torch.Tensor:
    low, high = (*bounds, *(0.0, 1.0)[len(bounds) :])
    low, high = kw.get("from", low), kw.get("to", high)
    if tensor.numel() > _SMALL:
        return tensor.uniform_(low, high, generator=mode.generator)
    values = _uniforms(mode, tensor.numel(), tensor.dtype) * (high - low) + low
    return tensor.copy_(values.reshape(tensor.shape))


def _randint(mode: StreamMode, *args: Any, dtype: torch.dtype | None = None, **kw: Any):
    names = (
        ("low", "high", "size")
        if len(args) + len(kw.keys() & {"low", "high", "size"}) > 2
        else (
            "high",
            "size",
        )
    )
    free = [name for name in names if name not in kw]
    given = {**dict(zip(free, args, strict=False)), **kw}
    low, high, shape = given.pop("low", 0), given.pop("high"), torch.Size(given.pop("size"))
    dtype = dtype or torch.int64
    if shape.numel() > _SMALL:
        return torch.randint(
            low, high, shape, dtype=dtype, **{"generator": mode.generator, **given}
        )
    values = [low + mode.stream.below(high - low) for _ in range(shape.numel())]
    return torch.tensor(values, dtype=dtype).reshape(shape)


def _randperm(mode: StreamMode, n: int, **kw: Any) -> torch.Tensor:
    return torch.tensor(mode.stream.permutation(n), dtype=kw.get("dtype") or torch.int64)


def _empty(mode: StreamMode, *size: Any, **kw: Any) -> torch.Tensor:
    if mode.dtype is not None:
        kw.setdefault("dtype", mode.dtype)
    return torch.empty(*size, **kw)


def _rand_like(mode: StreamMode, like: torch.Tensor, **kw: Any) -> torch.Tensor:
    return _rand(mode, like.shape, dtype=kw.get("dtype") or like.dtype)


def _randn_like(mode: StreamMode, like: torch.Tensor, **kw: Any) -> torch.Tensor:
    dtype = kw.get("dtype") or like.dtype
    return torch.randn(like.shape, dtype=dtype, generator=mode.generator)


_OWN: dict[Callable, Callable] = {
    torch.rand: _rand,
    torch.Tensor.uniform_: _uniform_,
    torch.randint: _randint,
    torch.randperm: _randperm,
    torch.empty: _empty,
    torch.rand_like: _rand_like,
    torch.randn_like: _randn_like,
}
_SEEDED: frozenset[Callable] = frozenset(
    {
        torch.randn,
        torch.normal,
        torch.bernoulli,
        torch.multinomial,
        torch.poisson,
        torch.Tensor.bernoulli,
        torch.Tensor.bernoulli_,
        torch.Tensor.cauchy_,
        torch.Tensor.exponential_,
        torch.Tensor.geometric_,
        torch.Tensor.log_normal_,
        torch.Tensor.multinomial,
        torch.Tensor.normal_,
        torch.Tensor.random_,
    }
)
