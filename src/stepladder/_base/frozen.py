"""Frozen values: what they hold is checked once, and never changes."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import Parameter, Signature, cleandoc
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stepladder._base.late import late
from stepladder.errors import LadderError

FIELDS = "Fields:"


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
        if first:
            name = next(each for each in model.model_fields if not _is_said_by_class(model, each))
            if name in fields:
                raise LadderError(f"{model.__name__} takes {name} without its name or with it, and was given both")
            fields = {name: first[0]} | fields
        try:
            super().__init__(**_own_kind(model, fields), **fields)
        except ValidationError as error:
            raise late("ladders.faults:refusal")(model, error, of=model.__name__) from None

    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # what is read from a file does not go this way

    @classmethod
    def __pydantic_init_subclass__(cls, **settings: Any) -> None:
        """Say in ``help(...)`` what one can give, not how it is checked: names, defaults, a line of each field."""
        super().__pydantic_init_subclass__(**settings)
        cls.__signature__ = _signature(cls)
        told = [f"    {name}: {field.description}" for name, field in cls.model_fields.items() if field.description]
        if told:
            cls.__doc__ = "\n".join([cleandoc(cls.__doc__ or ""), "", FIELDS, *told])

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        model, said = type(self), self.model_dump(mode="json", exclude_defaults=True)
        said_by_class = _own_kind(model, {}).items()
        yield from (each for each in said.items() if each not in said_by_class)


def told_of(model: type[BaseModel]) -> str:
    """What a model's docstring says besides its fields."""
    return (model.__doc__ or "").partition(f"\n\n{FIELDS}\n")[0]


def _signature(model: type[BaseModel]) -> Signature:
    """``(network, *, block=..., epochs)``: what a call takes, with the defaults."""
    own = _own_kind(model, {})
    parameters: list[Parameter] = []
    for name, field in model.model_fields.items():
        how = Parameter.KEYWORD_ONLY if parameters else Parameter.POSITIONAL_OR_KEYWORD
        default = Parameter.empty if field.is_required() else field.get_default(call_default_factory=True)
        parameters.append(Parameter(name, how, default=own.get(name, default)))
    return Signature(parameters)


def _is_said_by_class(model: type[BaseModel], field: str) -> bool:
    """Whether a field can have one value alone, as the kind of a Cosine."""
    return field == "kind" and len(get_args(model.model_fields[field].annotation)) == 1


def _own_kind(model: type[BaseModel], fields: dict[str, Any]) -> dict[str, str]:
    """The kind that a value has by its class: a file has to name it, who calls ``Cosine()`` has done so."""
    kind = model.model_fields.get("kind")
    kinds = get_args(kind.annotation) if kind and kind.is_required() else ()
    return {"kind": kinds[0]} if kinds and "kind" not in fields else {}


@contextmanager
def without_collecting() -> Iterator[None]:
    """Make hundreds of thousands of values that refer to each other in no circle.

    Python would look for circles among all of them again and again, which takes as long as making them; and once more
    at the end, were they not said to be old ones: those are looked at when a quarter as many have come to them.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if not gc.get_freeze_count():  # or what the program itself has frozen would thaw
                gc.freeze()
                gc.unfreeze()
            gc.enable()


KIND: Any = Field()  # required in a file; a call says it by the name of the class
