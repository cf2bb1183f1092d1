"""What a rung may cost and what it is to reach: Budget and Target."""

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from stepladder._base.frozen import Frozen
from stepladder._base.wording import shown
from stepladder.errors import LadderError


def _exact(value: object) -> object:
    """99.4 as written, not as the nearest binary fraction: repr() of a float gives its shortest decimal form."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, float):  # also of numpy, whose repr is no number
        return Decimal(repr(float(value)))
    raise LadderError(f"a percentage is a number such as 99.4, without quotes, not {shown(value)}")


Percent = Annotated[Decimal, BeforeValidator(_exact), PlainSerializer(float)]


def _no_fraction(value: Decimal) -> Decimal:
    """Refuse 0.99 where 99 is meant: nobody aims at one right answer in a hundred."""
    if value <= 1:
        meant = f"{(100 * value).normalize():f}" if value > Decimal("0.0001") else "99"
        raise LadderError(f"accuracy is in percent, and {value:g} is {value:g}%: write {meant} for {meant}%")
    return value


_ACCURACY_SCHEMA = {"type": "number", "exclusiveMinimum": 1, "maximum": 100}
Accuracy = Annotated[Percent, AfterValidator(_no_fraction), WithJsonSchema(_ACCURACY_SCHEMA)]


class Budget(Frozen):
    """What a rung may cost at the most."""

    params: int = Field(ge=1, description="trainable numbers, at most")
    epochs: int = Field(ge=1, description="epochs of training, at most")


class Target(Frozen):
    """What a rung is to reach: accuracy, or balanced accuracy, at or above a percentage at each of the last epochs."""

    accuracy: Accuracy = Field(gt=0, le=100, description="accuracy in percent")
    last_epochs: int = Field(
        default=5, ge=1, description="how many epochs, counted from the last one back, must reach it"
    )
    balanced: bool = Field(
        default=False,
        description="whether it speaks of balanced accuracy: each class counts alike, however many images it has",
    )

    if TYPE_CHECKING:

        def __init__(self, accuracy: float | Decimal, *, last_epochs: int = 5, balanced: bool = False) -> None: ...

    @property
    def measure(self) -> str:
        """What it speaks of, in words."""
        return "balanced accuracy" if self.balanced else "accuracy"

    def essence(self) -> dict[str, Any]:
        """Its fields as JSON values, but for one that is as it was before there was a choice."""
        return self.model_dump(mode="json", exclude=set() if self.balanced else {"balanced"})
