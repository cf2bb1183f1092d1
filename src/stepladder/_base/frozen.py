"""Frozen values: what they hold is checked once, and never changes."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stepladder._base.late import late
from stepladder.errors import LadderError


class Frozen(BaseModel):
    """A frozen record that refuses fields it does not know, and numbers that are no numbers.

    Called with values, it says what is wrong with them as a ladder file would, in one LadderError; the first field may
    go without its name, and so may the kind of what is of one kind. Its repr is what one would write: no defaults.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True, allow_inf_nan=False
    )

    def __init__(self, *first: Any, **fields: Any) -> None:
        model = type(self)
        if len(first) > 1:
            raise LadderError(f"{model.__name__} takes its first field without a name, the others by name")
        fields = dict(zip(model.model_fields, first, strict=False)) | fields
        try:
            super().__init__(**_own_kind(model, fields), **fields)
        except ValidationError as error:
            raise late("ladders.faults:refusal")(model, error, of=model.__name__) from None

    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # what is read from a file does not go this way

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        yield from self.model_dump(mode="json", exclude_defaults=True).items()


def _own_kind(model: type[BaseModel], fields: dict[str, Any]) -> dict[str, str]:
    """The kind that a value has by its class: a file has to name it, who calls ``Cosine()`` has done so."""
    kind = model.model_fields.get("kind")
    return {"kind": get_args(kind.annotation)[0]} if kind and kind.is_required() and "kind" not in fields else {}


@contextmanager
def without_collecting() -> Iterator[None]:
    """Make hundreds of thousands of values that refer to each other in no circle.

    Python would look for circles among all of them again and again, which takes as long as making them.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


KIND: Any = Field()  # required in a file; a call says it by the name of the class
