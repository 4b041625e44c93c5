"""Where the bytes of images come from: rendered by the recipe, or stored already in a dataset."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from omegaconf import DictConfig

from singleimg.config.command_line import command, typed
from singleimg.dataset.open import from_config
from singleimg.dataset.target import Target
from singleimg.drawing.pipeline import Sample
from singleimg.encoders.base import Encoder
from singleimg.errors import UserError
from singleimg.images import SingleImage
from singleimg.outputs.resolve import described
from singleimg.storage.manifest import DamagedRecord, Manifest, parse_entries, parse_record
from singleimg.storage.resolve import disk_of
from singleimg.storage.shards import Plan, Shard

if TYPE_CHECKING:
    from singleimg.drawing.columns import Columns


class Origin(Protocol):
    """Where the bytes of images come from: rendered, or stored already."""

    columns: Columns | None

    def image(self, index: int) -> tuple[bytes, Sample | None]:
        """The file of image ``index``, and what was drawn for it if that is to be saved."""

    def made_with(self, shard: Shard) -> dict[str, str]:
        """Versions of libraries that made images before; others are those of the run."""

    def global_draws(self) -> list[str]:
        """Names of transforms seen to draw from generators that threads share."""

    def slow(self) -> dict[str, str]:
        """Transforms that the engine has no kernel for, and who renders them."""

    def share(self, folder: Path) -> None:
        """Puts what workers would each have to make into ``folder``."""


class Rendered:
    """Images as the recipe makes them."""

    def __init__(self, images: SingleImage, encoder: Encoder, draws: bool) -> None:
        self.images, self._encoder, self._draws = images, encoder, draws
        self.columns = images.columns() if draws else None

    def image(self, index: int) -> tuple[bytes, Sample | None]:
        """The file of image ``index``, and what was drawn for it if that is to be saved."""
        sample = self.images.draw(index)
        data = self._encoder.encode(self.images.render_sample(sample))
        return data, sample if self._draws else None

    def made_with(self, shard: Shard) -> dict[str, str]:
        """None: all are made now."""
        return {}

    def global_draws(self) -> list[str]:
        """Names of transforms seen to draw from generators that threads share."""
        return self.images.pipeline.global_draws()

    def slow(self) -> dict[str, str]:
        """Transforms that the engine has no kernel for, and who renders them."""
        return self.images.plan.slow

    def share(self, folder: Path) -> None:
        """Puts the decoded pictures into ``folder``."""
        self.images.pictures.share(folder)


class Stored:
    """Images as they lie in a dataset; see ``Origin``."""

    def __init__(self, cfg: DictConfig, stored: dict[str, Any]) -> None:
        self._target = Target.at(stored["target"])
        output = described(stored["layout"], encoding=stored["encoding"])
        self._reader = output.reader(self._target.path)
        self._plan = Plan(stored["num_imgs"], output.shard_size)
        self._images = self._draws(cfg, stored["sources"]) if cfg.save_params else None
        self.columns = None if self._images is None else self._images.columns()

    def _draws(self, cfg: DictConfig, sources: list[str]) -> SingleImage:
        """What draws: the parameters that the new format holds are drawn again, which is cheap."""
        try:
            images = from_config(cfg, sources=sources)
            images.pictures.size_of(0)
        except UserError as error:
            raise UserError(
                f"what was drawn cannot be drawn again without the source: {error} Or type "
                "save_params=false."
            ) from None
        return images

    def image(self, index: int) -> tuple[bytes, Sample | None]:
        """The file of image ``index``, and what was drawn for it if that is to be saved."""
        try:
            data = self._reader.read(index)
            whole = sha256(data).hexdigest() == self._digest(index)
        except (OSError, DamagedRecord):  # of the files that are read, not of those written
            whole = False
        if not whole:
            raise UserError(
                f"image {index} of targetpath={self._target.path} is not as it was committed: "
                f"{command('task=verify', typed('targetpath', self._target.path))} "
                "says more."
            )
        return data, None if self._images is None else self._images.draw(index)

    def _digest(self, index: int) -> str | None:
        shard = self._plan[index // self._plan.shard_size]
        return _record(self._target.path, shard)[1].get(index)

    def made_with(self, shard: Shard) -> dict[str, str]:
        """Versions that made the images of a shard, by the records of those that they come from."""
        size = self._plan.shard_size
        found: dict[str, list[str]] = {}
        for number in range(shard.start // size, (shard.stop - 1) // size + 1):
            for name, version in _record(self._target.path, self._plan[number])[0].items():
                found.setdefault(name, []).append(version)
        return {name: ", ".join(dict.fromkeys(each)) for name, each in found.items()}

    def global_draws(self) -> list[str]:
        """None: nothing is rendered."""
        return []

    def slow(self) -> dict[str, str]:
        """None: nothing is rendered."""
        return {}

    def share(self, folder: Path) -> None:
        """There is nothing to share."""


@lru_cache(maxsize=64)
def _record(target: Path, shard: Shard) -> tuple[dict[str, str], dict[int, str]]:
    """Versions, and SHA-256 of each image, by the record of a shard."""
    manifest = Manifest(target, disk_of(target))
    file = manifest.file(shard)
    data = manifest.disk.read(file) or b""
    made_with = parse_record(file, data).made_with
    digests = {e.index: e.sha256 for e in parse_entries(file, data) if e.index is not None}
    return made_with, digests
