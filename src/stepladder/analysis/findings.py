"""Diagnosis: what a rung's runs show, as values: ``diagnosis`` finds them, ``advice`` draws next steps from them."""

from dataclasses import dataclass
from typing import Literal

from stepladder.analysis.classes import Classes
from stepladder.analysis.fit import Fit
from stepladder.analysis.mistakes import HardImages, Pair, Shortfall
from stepladder.analysis.movements import Drop, EarlyCut, Movement
from stepladder.analysis.outliers import Outlier
from stepladder.networks.sides import Sides

NextStep = Literal[
    "train",
    "more seeds",
    "steadier start",
    "lower lr",
    "fewer parameters",
    "margin",
    "class",
    "dropout",
    "augment",
    "weight decay",
    "schedule",
    "later cut",
    "more epochs",
    "higher lr",
    "another lr",
    "wider",
    "receptive field",
    "less dropout",
    "less augmentation",
    "answers",
]


@dataclass(frozen=True)
class Diagnosis:
    """What a rung's runs show. A finding is None, and the fit unknown, where the runs cannot tell or show nothing.

    ``outliers`` are the finished seeds that stand apart. Those that collapsed are left out of all the rest, which is
    about ``n_told`` runs; ``shortfall`` alone is of all, and ``shortfall_told`` of those.

    ``bounce`` is the loss at the end if it bounces. ``flat_from`` is the first epoch since which the mean loss has
    fallen by less than CLEAR_FALL, and by no more than chance explains, if that is more than WINDOW epochs back and the
    loss does not end higher. ``learning`` is the part by which the loss of the last WINDOW epochs is below that of the
    WINDOW before, if that is clear, it falls within them too, and train accuracy clearly rises. ``early_cut`` is given
    where the target is missed. ``pairs`` are the most confused, if they stand out. ``sees`` and ``image_size`` are
    pixels per side: the receptive field of the convolutions and pools (the average over all places, which sees all of
    them, does not count; None without any convolution), and the image. With a diverged run, fit, shortfall and learning
    stay unknown, and the rest is about the other runs.
    """

    n_runs: int
    n_finished: int
    n_told: int
    n_evaluated: int | None
    outliers: tuple[Outlier, ...]
    fit: Fit
    bounce: Movement | None
    flat_from: int | None
    drop: Drop | None
    early_cut: EarlyCut | None
    learning: float | None
    classes: Classes
    pairs: tuple[Pair, ...]
    hard: HardImages | None
    shortfall: Shortfall | None
    shortfall_told: Shortfall | None
    sees: Sides | None
    image_size: Sides
    params_left: int
    epochs_left: int
    next_steps: tuple[NextStep, ...] = ()

    @property
    def collapsed(self) -> tuple[Outlier, ...]:
        return tuple(each for each in self.outliers if each.kind == "collapsed")
