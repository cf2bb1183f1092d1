"""The words of a layer's text, taken from the left, and what is said of one that does not belong."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from stepladder._base.wording import LONGEST_WORD, cut, did_you_mean, shown, translation
from stepladder.errors import LadderError
from stepladder.networks.sides import Sides, joined

_TWO = re.compile(r"([0-9]{1,9})x([0-9]{1,9})")


class Words:
    """What is ``left`` of a text. ``example`` is one that is right, for a layer that needs a number."""

    def __init__(self, text: str, *, example: str | None = None) -> None:
        self.text = text
        self.left = text.split()
        self.example = example

    def refuse(self, problem: str) -> LadderError:
        return LadderError(f"layer {shown(self.text)}: {problem}")

    def number(self, what: str, *, at_least: int = 1) -> int:
        """Take a whole number."""
        word = self.left.pop(0) if self.left else "nothing"
        if len(word) > 9:
            raise self.refuse(f"{what} has at most 9 digits, not {cut(word, most=LONGEST_WORD)}")
        if not re.fullmatch("[0-9]+", word) or int(word) < at_least:
            found = cut(word, most=LONGEST_WORD)
            hint = self._example() if word == "nothing" else _number_hint(word)
            raise self.refuse(f"{what} must be a whole number of at least {at_least}, not {found}{hint}")
        return int(word)

    def _example(self) -> str:
        """What to write where a number is missing."""
        words = self.text.split()
        example = self.example if len(words) == 1 else {"stride": "stride 2", "pad": "pad 1"}.get(words[-1])
        return f": write it, as in '{example}'" if example else ""

    def kernel(self, default: int) -> Sides:
        """Take ``3x3`` or ``10x4``, height before width, if it is next."""
        if not self.left or not (match := _TWO.fullmatch(self.left[0])):
            return default
        self.left.pop(0)
        height, width = int(match[1]), int(match[2])
        if min(height, width) < 1:
            raise self.refuse(f"a kernel is at least 1x1, not {match[0]}")
        return joined(height, width)

    def sides(self, what: str, *, at_least: int = 1) -> Sides:
        """Take ``2``, or ``2x1`` for down and across."""
        if not self.left or not (match := _TWO.fullmatch(self.left[0])):
            return self.number(what, at_least=at_least)
        height, width = int(match[1]), int(match[2])
        if min(height, width) < at_least:
            raise self.refuse(f"{what} must be whole numbers of at least {at_least}, not {match[0]}")
        self.left.pop(0)
        return joined(height, width)

    def options(self, operation: str, known: Mapping[str, "Option"]) -> dict[str, Any]:
        """Take all the rest: ``stride 2 pad 1 bias bare`` ... as constructor arguments."""
        found: dict[str, Any] = {}
        while self.left:
            word = self.left.pop(0)
            if word not in known:
                raise self.refuse(f"unknown word {shown(word)}{_hint(word, operation, tuple(known))}")
            key, value = known[word](self)
            if key in found:
                raise self.refuse(f"{word!r} comes on top of an earlier word about the same thing")
            found[key] = value
        return found

    def nothing_more(self) -> None:
        """Refuse what is left."""
        self.options("", {})


Option = Callable[[Words], tuple[str, Any]]
"""Takes what stands after its word, and gives the name and the value of an argument."""

WINDOW_OPTIONS: dict[str, Option] = {
    "stride": lambda words: ("stride", words.sides("stride")),
    "pad": lambda words: ("padding", words.sides("pad", at_least=0)),
}


def _number_hint(word: str) -> str:
    """The end of a message about a word in the place of a number."""
    if re.fullmatch("[0-9]+x[0-9]+", word):
        return ": channels come first, as in 'conv 8 3x3'"
    return ": 'pad 1' keeps the size of the map for a 3x3 kernel" if word == "same" else ""


def _hint(word: str, operation: str, known: tuple[str, ...]) -> str:
    """The end of a message about a word that may not stand in the text of such a layer."""
    if not known:
        return "; nothing may follow here"
    if re.fullmatch("[0-9]{1,9}", word):
        return {
            "pool": f"; write 'stride {word}', if that is what it is",
            "linear": "; a linear layer has one number, of its outputs: its inputs follow from the layer before",
        }.get(operation, f"; a kernel is written {word}x{word}, a stride as 'stride {word}', padding as 'pad {word}'")
    if re.fullmatch("[0-9]+x[0-9]+", word):
        return "; a kernel stands right behind the layer's name and channels, as in 'conv 8 3x3 stride 2'"
    place = "conv" if operation == "depthwise" else operation
    if translation(word, known, place=place) is None and (
        parts := re.fullmatch("([a-z]+)[=:(]?([0-9]{1,9})[),]?", word)
    ):
        option = next((each for each in ("stride", "pad") if parts[1] in (each, each + "ding", each[0])), None)
        if option in known:
            return f"; write '{option} {parts[2]}'"
    return did_you_mean(word, known, place=place)
