"""Curves of a rung's runs, epoch by epoch: their means over runs, and averages of a few epochs."""

from collections.abc import Sequence
from statistics import fmean

from stepladder.runs.run import Run

CLEAR_GAP = 2.0  # standard errors: by chance alone train is so far above the evaluated accuracy in 2% of rungs
WINDOW = 3  # epochs averaged: on MNIST the mean loss of 8 seeds moves by 3 to 4% an epoch at lr 0.01, averaged by 2%
CLEAR_FALL = 0.05  # of a loss or of mistakes: with 5% fewer at 99.3%, 4 of 10,000 images, seeds differ by more


def losses_of(runs: Sequence[Run]) -> list[list[float]]:
    return [[epoch.loss for epoch in run.epochs] for run in runs]


def mean_curve(curves: Sequence[Sequence[float]]) -> list[float]:
    """The mean curve, epoch by epoch."""
    return [fmean(values) for values in zip(*curves, strict=True)]


def windows_of(curve: Sequence[float]) -> list[float]:
    """Means of WINDOW epochs in a row; the first ends with epoch WINDOW."""
    return [fmean(curve[start : start + WINDOW]) for start in range(len(curve) - WINDOW + 1)]


def clearly_falls(before: float, after: float) -> bool:
    """Whether a loss or a number of mistakes clearly falls."""
    return before - after >= CLEAR_FALL * before > 0
