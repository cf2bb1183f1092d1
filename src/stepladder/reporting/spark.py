"""Curves so small that they stand in a row of a table: accuracy by epoch, and the target as a dashed line.

Colours are in the middle between light and dark: a notebook is either, and does not say which.
"""

from collections.abc import Sequence

from markupsafe import Markup

from stepladder.ladders.terms import Target
from stepladder.reporting.numbers import percent
from stepladder.runs.run import Epoch
from stepladder.runs.stats import measured

WIDTH, HEIGHT, EDGE = 120, 26, 2
SETTLED = 0.25  # the first quarter of the epochs would squeeze all others together, and may lie below the picture
MOST_POINTS = WIDTH  # that can be told apart
CURVE, AIM = "#3d87d0", "#c9652d"

Curve = tuple[Sequence[float], Target, int]  # accuracies in percent, epoch by epoch; the target; epochs in all


def mean_accuracies(runs: Sequence[Sequence[Epoch]], target: Target) -> list[float]:
    """What the target speaks of, epoch by epoch: the mean over the runs that have that epoch."""
    longest = max(map(len, runs), default=0)
    by_epoch = [[float(measured(run[k], target)) for run in runs if k < len(run)] for k in range(longest)]
    return [sum(values) / len(values) for values in by_epoch]


def sparks(curves: Sequence[Curve]) -> list[Markup]:
    """A picture of each curve, on one scale for all; nothing for one without epochs."""
    shown = [value for values, _, _ in curves for value in values[int(SETTLED * len(values)) :]]
    aims = [float(target.accuracy) for values, target, _ in curves if values]
    if not aims:
        return [Markup("") for _ in curves]
    low, high = min(shown + aims), max(shown + aims)
    return [_spark(*curve, low=low, high=max(high, low + 0.1)) if curve[0] else Markup("") for curve in curves]


def _spark(values: Sequence[float], target: Target, n_epochs: int, *, low: float, high: float) -> Markup:
    def up(value: float) -> str:
        return f"{EDGE + (HEIGHT - 2 * EDGE) * (high - value) / (high - low):.1f}"

    last, step = len(values) - 1, -(-len(values) // MOST_POINTS)
    chosen = sorted({*range(0, len(values), step), last})
    points = " ".join(f"{WIDTH * k / max(1, n_epochs - 1):.1f},{up(values[k])}" for k in chosen)
    ends = (percent(each, target=target.accuracy) for each in (values[0], values[-1]))
    words = "accuracy by epoch, from {}% to {}%".format(*ends)
    return Markup(
        '<svg width="{}" height="{}" viewBox="0 0 {} {}" role="img" aria-label="{}">'
        '<path d="M0 {}H{}" stroke="{}" stroke-dasharray="3 3"/>'
        '<polyline points="{}" fill="none" stroke="{}" stroke-width="1.6"/></svg>'
    ).format(WIDTH, HEIGHT, WIDTH, HEIGHT, words, up(float(target.accuracy)), WIDTH, AIM, points, CURVE)
