"""Dropout."""

from dataclasses import dataclass

from stepladder.networks.ops.op import Step


@dataclass(frozen=True)
class Dropout(Step):
    """Zeroes each value by chance, and scales the others up to keep the mean (Srivastava et al. 2014).

    The probability is the recipe's. A network that is evaluated passes values on as they are.
    """

    word = "dropout"
    examples = ("dropout",)
