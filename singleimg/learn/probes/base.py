"""What every protocol is: a frozen trunk and a labelled set in, a score of each layer out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import torch

from singleimg.config.former import with_first_names
from singleimg.dataset.recipe import canonical
from singleimg.errors import UserError
from singleimg.learn.data.base import Labelled, identity
from singleimg.learn.networks.base import Network, Trunk
from singleimg.learn.probes.scores import LayerScore

SCORED_ON = ("test", "validation")  # images


class ProbeProtocol(ABC):
    """The settings of a file in ``conf/probe``."""

    name: str
    # Settings that change no score: a run that is stopped may go on with others.
    free: ClassVar[tuple[str, ...]] = ("memory", "workers")

    @abstractmethod
    def run(
        self,
        trunk: Trunk,
        network: Network,
        data: Labelled,
        *,
        device: torch.device,
        seed: int = 0,
        layers: list[int] | None = None,
        state_file: Path | None = None,
    ) -> list[LayerScore]:
        """The score of each layer (or of some, 0 …), the trunk in eval mode and unchanged.

        seed: of first weights and order. state_file: where a long protocol leaves its
        state after each epoch, so that a stopped run resumes.
        """


def check_scored_on(value: object) -> None:
    """Raises UserError for images that no protocol is scored on."""
    if value not in SCORED_ON:
        raise UserError(
            f"probe.scored_on={value} is not one of {', '.join(SCORED_ON)}: type "
            "probe.scored_on=test, or probe.scored_on=validation to read no test image."
        )


def protocol_digest(protocol: Mapping[str, Any], data: Labelled, seed: int) -> str:
    """Eight letters that tell a protocol (its settings as in conf/probe) on these images."""
    named = with_first_names({"probe": dict(protocol)})["probe"]
    decides = {key: value for key, value in named.items() if key not in ProbeProtocol.free}
    images = [identity(split()) for split in (data.train, data.test)]
    return sha256(canonical([decides, images, seed]).encode()).hexdigest()[:8]
