"""Accuracy by layer as a picture: the mean of each row, and every run of it as a point."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from singleimg.errors import UserError
from singleimg.learn.probes.scores import RunScore, over_seeds
from singleimg.system.extras import install

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def make_figure(width: float, height: float) -> Figure:
    """An empty matplotlib figure (inches), without any state of pyplot's; UserError without it."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # where it keeps its fonts is no news
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise UserError(
            f"figures need the module matplotlib, which is not installed: type {install('train')}."
        ) from None
    return Figure(figsize=(width, height), dpi=150, layout="constrained")


def draw_layers(
    axes: Axes, scores: Sequence[RunScore], styles: dict[str, dict] | None = None
) -> None:
    """Lines over conv1, conv2, … onto ``axes``; ``styles``: keywords of matplotlib by row."""
    for place, (row, means) in enumerate(over_seeds(scores).items()):
        style = {"color": f"C{place % 10}", **(styles or {}).get(row, {})}
        numbers = range(1, len(means) + 1)
        axes.plot(numbers, [100 * value for value, _ in means], label=row, **style)
        for score in scores:
            if score.row == row:
                points = [100 * layer.accuracy for layer in score.layers]
                axes.plot(numbers, points, ".", color=style["color"], markersize=4, alpha=0.6)
    layers = max(len(score.layers) for score in scores)
    axes.set_xticks(range(1, layers + 1), [f"conv{k}" for k in range(1, layers + 1)])
    axes.set_ylabel("test accuracy of a linear probe, %")
    axes.grid(alpha=0.3)
    # Below the axes, where no line is.
    axes.legend(fontsize=7, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.1))


def draw(file: Path, scores: Sequence[RunScore]) -> None:
    """The picture of :func:`draw_layers` alone."""
    picture = make_figure(6, 4)
    axes = picture.subplots()
    draw_layers(axes, scores)
    axes.set_title(f"Linear probes on {scores[0].data}", fontsize=10)
    picture.savefig(file)
