"""The schedules that a recipe may have, as values; what learning rate follows from one is in schedule."""

from typing import Literal

from pydantic import Field

from stepladder._base.frozen import KIND, Frozen


class Constant(Frozen):
    """The same learning rate at every step."""

    kind: Literal["constant"] = "constant"

    def __str__(self) -> str:
        return "constant"


class Step(Frozen):
    """The learning rate is multiplied by ``factor`` after every ``every_epochs`` epochs (PyTorch's StepLR)."""

    kind: Literal["step"] = KIND
    every_epochs: int = Field(ge=1, description="epochs between two drops")
    factor: float = Field(default=0.1, gt=0, lt=1, description="what the learning rate is multiplied by")
    warmup_epochs: float = Field(
        default=0.0,
        ge=0,
        description="epochs in which the learning rate rises from 0, linearly; drops are counted from the start",
    )

    def __str__(self) -> str:
        return f"times {self.factor:g} every {epochs_text(self.every_epochs)}" + _ends_text(self.warmup_epochs, 0.0)


WARMUP = Field(0.0, ge=0, description="epochs in which the learning rate rises from 0, linearly, before all else")
FINAL = Field(0.0, ge=0, le=1, description="the last learning rate, as a fraction of lr")


class Cosine(Frozen):
    """The learning rate falls along half a cosine (Loshchilov & Hutter 2017, without restarts)."""

    kind: Literal["cosine"] = KIND
    warmup_epochs: float = WARMUP
    final: float = FINAL

    def __str__(self) -> str:
        return "cosine" + _ends_text(self.warmup_epochs, self.final)


class LinearDecay(Frozen):
    """The learning rate falls linearly."""

    kind: Literal["linear"] = KIND
    warmup_epochs: float = WARMUP
    final: float = FINAL

    def __str__(self) -> str:
        return "linear" + _ends_text(self.warmup_epochs, self.final)


class OneCycle(Frozen):
    """The learning rate rises to lr and falls far below where it began, along two half cosines (Smith 2018).

    PyTorch's OneCycleLR, with the momentum left alone.
    """

    kind: Literal["one-cycle"] = KIND
    rise: float = Field(default=0.3, gt=0, lt=1, description="the fraction of all steps in which it rises")
    start: float = Field(default=0.04, gt=0, le=1, description="the first learning rate, as a fraction of lr")
    final: float = Field(default=4e-6, ge=0, le=1, description="the last learning rate, as a fraction of lr")

    def __str__(self) -> str:
        return f"one cycle, rising for {100 * self.rise:g}%"


class Plateau(Frozen):
    """The learning rate is multiplied by ``factor`` when the training loss has not fallen for ``patience`` epochs.

    PyTorch's ReduceLROnPlateau on the mean training loss: the evaluated images have no say in a training. An epoch has
    to be better than the best before it by ``threshold``, as a fraction of that.
    """

    kind: Literal["plateau"] = KIND
    patience: int = Field(
        default=2, ge=0, description="how many epochs may pass without a fall; after one more the learning rate drops"
    )
    factor: float = Field(default=0.1, gt=0, lt=1, description="what the learning rate is multiplied by")
    threshold: float = Field(
        default=1e-4, ge=0, lt=1, description="the smallest fall that counts, as a fraction of the best loss"
    )

    def __str__(self) -> str:
        return f"times {self.factor:g} after more than {epochs_text(self.patience)} without a fall of the training loss"


Schedule = Constant | Step | Cosine | LinearDecay | OneCycle | Plateau


def epochs_text(n: float) -> str:
    return f"{n:g} {'epoch' if n == 1 else 'epochs'}"


def _ends_text(warmup_epochs: float, final: float) -> str:
    warmup = f", warm-up of {epochs_text(warmup_epochs)}" if warmup_epochs else ""
    return warmup + (f", to {100 * final:g}%" if final else "")
