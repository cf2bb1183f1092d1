"""What names a set of images: a word or a path, and what is to be made of the pictures that are there.

In a ladder it is a text, ``data = "photos"``, or a table, ``data = { path = "photos", resize = "pad", size = [32, 32]
}``. Inside, both are one text, so that what names a set travels to workers and into stores as it always did: a table is
its JSON. No numpy here.
"""

import json
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from stepladder._base.frozen import Frozen
from stepladder._base.wording import flat, shown
from stepladder.errors import DataError

Resize = Literal["pad", "crop", "stretch"]
LARGEST_SIDE = 4096


class DataSpec(Frozen):
    """What names a set of images, and what is to be made of them."""

    path: str = Field(min_length=1, description="a word such as mnist, or the path of a folder or file")
    resize: Resize | None = Field(
        None,
        description="how pictures of other sizes get the wanted one: padded with their own edge colour's mean, cropped"
        " around the middle, or stretched",
    )
    size: tuple[int, int] | None = Field(None, description="height and width in pixels that resize makes")
    channels: Literal[1, 3] | None = Field(None, description="1 for grey, 3 for colour; else what the pictures have")
    group: str | None = Field(
        None,
        description="a regular expression on the names of images: those in which it finds the same text, as of one"
        " writer or patient, stay in one split",
    )

    @field_validator("size", mode="before")
    @classmethod
    def _two_sides(cls, value: Any) -> Any:
        """One number is a square."""
        if isinstance(value, int) and not isinstance(value, bool):
            value = (value, value)
        value = tuple(value) if isinstance(value, list) else value
        sound = isinstance(value, tuple) and len(value) == 2 and all(map(_is_side, value)) and value != (1, 1)
        if value is not None and not sound:
            raise ValueError(
                f"height and width of 1 to {LARGEST_SIDE:,} pixels, not both 1, as [32, 32], not {shown(value)}"
            )
        return value

    @field_validator("group")
    @classmethod
    def _an_expression(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"{shown(value)} is no regular expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _both(self) -> "DataSpec":
        if (self.resize is None) != (self.size is None):
            one, other = ("size", "resize") if self.resize is None else ("resize", "size")
            example = 'resize = "pad"' if other == "resize" else "size = [32, 32]"
            raise ValueError(f"{one} is given without {other}: add {example}")
        return self

    @property
    def text(self) -> str:
        """The one text that stands for it: its path, where that is all."""
        said = self.said
        return said if isinstance(said, str) else json.dumps(said)

    @property
    def said(self) -> str | dict[str, Any]:
        """What stands for it in a ladder file: its path, where that is all, or a table."""
        said = self.model_dump(mode="json", exclude_defaults=True)
        return self.path if said.keys() == {"path"} else said

    def at(self, path: str) -> "DataSpec":
        """The same of another path."""
        return self.model_copy(update={"path": path})


def _is_side(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= LARGEST_SIDE


@lru_cache
def spec_of(text: str) -> DataSpec:
    """What a text names. Raises DataError for a table that is none."""
    if not text.startswith("{") or os.path.lexists(text):
        return DataSpec.model_construct(path=text)
    try:
        return DataSpec.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(f"data = {flat(text)}: {where}: {first['msg'].removeprefix('Value error, ')}") from None


def with_path(text: str, path: str | Path) -> str:
    """What names the same of another path."""
    return spec_of(text).at(str(path)).text
