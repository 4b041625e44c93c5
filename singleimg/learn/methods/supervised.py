"""Training with labels: the row above all others in a table of probes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from singleimg.errors import UserError
from singleimg.learn.methods.base import check_whole
from singleimg.learn.methods.classifier import LabelClassifier
from singleimg.learn.networks.base import Network, Trunk


class Supervised(LabelClassifier):
    """The same trunk, trained on the classes of a labelled set (``data=…``).

    init: a training whose trunk this one begins with (its folder, a checkpoint, or an exported
    trunk). freeze: its first so many stages keep their weights and BatchNorm's statistics, those of
    ``init`` or random ones; 0: none. All other settings are those of LabelClassifier.

    Source: the paper's section 4.3, where first layers of one image are kept.
    """

    needs_labels = True
    takes = ("init",)
    added: ClassVar = {"init": None, "freeze": 0}

    def __init__(self, *, init: str | None = None, freeze: int = 0, **settings: Any) -> None:
        super().__init__(**settings)
        check_whole("freeze", freeze, 0)
        self.init, self.freeze = init, freeze

    def build(self, network: Network, images: int, classes: int) -> None:
        super().build(network, images, classes)
        if self.freeze > self.trunk.depth:
            raise UserError(
                f"method.freeze={self.freeze} is not a number of stages from 0 to "
                f"{self.trunk.depth}, all those of network={network.name}: type for example "
                "method.freeze=2."
            )
        self.trunk.freeze(self.freeze)  # the optimiser leaves alone what has no gradient

    def begin(self, trunks: Mapping[str, Trunk]) -> None:
        if "init" in trunks:
            self.trunk.load_state_dict(trunks["init"].state_dict())
