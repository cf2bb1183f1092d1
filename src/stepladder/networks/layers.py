"""Frozen layer values and their text form, such as ``conv 16 3x3 pad 1``. No numpy, no torch.

The vocabulary (brackets mark what may be left out)::

    conv OUT [KxK] [stride S] [pad P] [bias] [bare | block conv STEP ...]     kernel 3x3 unless given
    depthwise [KxK] [stride S] [pad P] [bias] [bare | block depthwise STEP ...]
    maxpool K [stride S] [pad P]                                              K or KxK; stride K unless given
    avgpool K [stride S] [pad P]
    gap                                                                       global average pool
    residual N                                                                plus what went into the N-th layer back
    squeeze-excite R                                                          channels times what their means decide
    linear OUT [nobias] [block linear STEP ...]                               bare and biased unless given

A STEP is ``relu``, ``norm`` or ``dropout``. A convolution takes its steps from the recipe's block order, such as
``conv relu norm dropout``; ``bare`` is short for no steps at all, and ``block`` gives a layer an order of its own.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from stepladder._base.wording import LONGEST_WORD, cut, did_you_mean, shown, translation
from stepladder.errors import LadderError
from stepladder.networks.layer_code import meant_by

STEPS = ("relu", "norm", "dropout")
_RATE = re.compile(r"0?\.[0-9]{1,9}")


@dataclass(frozen=True)
class Block:
    """What follows an operation, in order: each of ``relu``, ``norm``, ``dropout`` at most once."""

    steps: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, *, operation: str = "conv") -> "Block":
        """Read ``"conv relu norm dropout"``; raises LadderError."""
        first, *steps = text.split() or [""]
        if first != operation:
            raise LadderError(
                f"a block order starts with {operation!r}, as in '{operation} relu norm', not {shown(text)}"
            )
        for step in steps:
            if step not in STEPS:
                hint = did_you_mean(step, STEPS, place="step")
                raise LadderError(f"unknown step {shown(step)} in a block order{hint}")
        if len(set(steps)) < len(steps):
            raise LadderError(f"block order {shown(text)} names a step twice")
        return cls(tuple(steps))

    def text(self, operation: str = "conv") -> str:
        return " ".join((operation, *self.steps))

    def __str__(self) -> str:
        return self.text()


@dataclass(frozen=True)
class Conv:
    """A 2-d convolution. ``block`` None means the recipe's block order; an empty Block means bare."""

    out_channels: int
    kernel: int = 3
    stride: int = 1
    padding: int = 0
    bias: bool = False
    block: Block | None = None

    def __post_init__(self) -> None:
        _require_sound(self)

    def __str__(self) -> str:
        return _join(f"conv {self.out_channels}", _convolution_text(self, "conv"))


@dataclass(frozen=True)
class Depthwise:
    """A convolution of each channel by its own kernel."""

    kernel: int = 3
    stride: int = 1
    padding: int = 0
    bias: bool = False
    block: Block | None = None

    def __post_init__(self) -> None:
        _require_sound(self)

    def __str__(self) -> str:
        return _join("depthwise", _convolution_text(self, "depthwise"))


@dataclass(frozen=True)
class MaxPool:
    """A maximum over kernel x kernel pixels; padding counts as minus infinity."""

    kernel: int
    stride: int
    padding: int = 0

    def __post_init__(self) -> None:
        _require_sound(self)

    def __str__(self) -> str:
        return _join("maxpool", _pool_text(self))


@dataclass(frozen=True)
class AvgPool:
    """A mean over kernel x kernel pixels; padding counts as zeros."""

    kernel: int
    stride: int
    padding: int = 0

    def __post_init__(self) -> None:
        _require_sound(self)

    def __str__(self) -> str:
        return _join("avgpool", _pool_text(self))


@dataclass(frozen=True)
class GlobalAvgPool:
    """The mean of each channel."""

    def __str__(self) -> str:
        return "gap"


@dataclass(frozen=True)
class Residual:
    """The sum of what comes in and what went into the layer ``back`` layers before this one (He et al. 2016).

    After ``depthwise pad 1``, ``conv 8 1x1``, a ``residual 2`` adds what the depthwise convolution took in.
    """

    back: int

    def __post_init__(self) -> None:
        _require_sound(self)

    def __str__(self) -> str:
        return f"residual {self.back}"


@dataclass(frozen=True)
class SqueezeExcite:
    """Each channel times a number between 0 and 1 that the means of all channels decide (Hu, Shen & Sun 2018).

    The means go through a linear layer to ``reduced`` numbers, a ReLU, a linear layer back to one number for each
    channel, and a sigmoid.
    """

    reduced: int

    def __post_init__(self) -> None:
        _require_sound(self)

    def __str__(self) -> str:
        return f"squeeze-excite {self.reduced}"


@dataclass(frozen=True)
class Linear:
    """Every output from every input value (channels, height, width flattened in this order)."""

    out_features: int
    bias: bool = True
    block: Block = Block()

    def __post_init__(self) -> None:
        _require_sound(self)

    def __str__(self) -> str:
        block = f"block {self.block.text('linear')}" if self.block.steps else ""
        return _join(f"linear {self.out_features}", "" if self.bias else "nobias", block)


Layer = Conv | Depthwise | MaxPool | AvgPool | GlobalAvgPool | Residual | SqueezeExcite | Linear


def _require_sound(layer: Layer) -> None:
    """Raise LadderError for numbers that make no layer."""
    leasts = {"out_channels": 1, "out_features": 1, "kernel": 1, "stride": 1, "padding": 0, "back": 1, "reduced": 1}
    for name, least in leasts.items():
        value = getattr(layer, name, least)
        if value < least:
            raise LadderError(f"layer '{layer}': {name} must be at least {least}, not {shown(value)}")
    match layer:
        case Conv() | Depthwise() if layer.padding >= layer.kernel:
            problem = f"pad {layer.padding} must be smaller than the kernel, or outputs at the rim see no image"
        case MaxPool() | AvgPool() if 2 * layer.padding > layer.kernel:
            problem = f"the pad of a pool is at most half its kernel: {layer.padding} is over {layer.kernel}/2"
        case _:
            return
    raise LadderError(f"layer '{layer}': {problem}")


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _convolution_text(layer: Conv | Depthwise, operation: str) -> str:
    block = ""
    if layer.block is not None:
        block = f"block {layer.block.text(operation)}" if layer.block.steps else "bare"
    return _join(
        f"{layer.kernel}x{layer.kernel}",
        f"stride {layer.stride}" if layer.stride != 1 else "",
        f"pad {layer.padding}" if layer.padding else "",
        "bias" if layer.bias else "",
        block,
    )


def _pool_text(layer: MaxPool | AvgPool) -> str:
    return _join(
        str(layer.kernel),
        f"stride {layer.stride}" if layer.stride != layer.kernel else "",
        f"pad {layer.padding}" if layer.padding else "",
    )


class _Words:
    """The words of one layer's text, taken from the left."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.left = text.split()

    def refuse(self, problem: str) -> LadderError:
        return LadderError(f"layer {shown(self.text)}: {problem}")

    def number(self, what: str, *, at_least: int = 1) -> int:
        """Take a whole number."""
        word = self.left.pop(0) if self.left else "nothing"
        if len(word) > 9:
            raise self.refuse(f"{what} has at most 9 digits, not {cut(word, most=LONGEST_WORD)}")
        if not re.fullmatch("[0-9]+", word) or int(word) < at_least:
            found = cut(word, most=LONGEST_WORD)
            hint = self.example() if word == "nothing" else _number_hint(word)
            raise self.refuse(f"{what} must be a whole number of at least {at_least}, not {found}{hint}")
        return int(word)

    def example(self) -> str:
        """What to write where a number is missing."""
        words = self.text.split()
        example = _EXAMPLES.get(words[0]) if len(words) == 1 else {"stride": "stride 2", "pad": "pad 1"}.get(words[-1])
        return f": write it, as in '{example}'" if example else ""

    def kernel(self, default: int) -> int:
        """Take ``3x3`` if it is next; only square kernels exist."""
        if not self.left or not (match := re.fullmatch(r"([0-9]{1,9})x([0-9]{1,9})", self.left[0])):
            return default
        self.left.pop(0)
        height, width = int(match[1]), int(match[2])
        if height != width or height < 1:
            raise self.refuse(f"a kernel is square and at least 1x1, not {match[0]}")
        return height

    def options(self, operation: str, known: tuple[str, ...]) -> dict[str, Any]:
        """Take all the rest: ``stride 2 pad 1 bias bare`` ... as constructor arguments."""
        found: dict[str, Any] = {}
        while self.left:
            word = self.left.pop(0)
            if word not in known:
                raise self.refuse(f"unknown word {shown(word)}{_hint(word, operation, known)}")
            key, value = self._option(word, operation)
            if key in found:
                raise self.refuse(f"{word!r} comes on top of an earlier word about the same thing")
            found[key] = value
        return found

    def _option(self, word: str, operation: str) -> tuple[str, Any]:
        if word == "stride":
            return "stride", self.number("stride")
        if word == "pad":
            return "padding", self.number("pad", at_least=0)
        if word in ("bias", "nobias"):
            return "bias", word == "bias"
        if word == "bare":
            return "block", Block()
        rest, self.left = self.left, []
        try:
            return "block", Block.parse(" ".join(rest), operation=operation)
        except LadderError as error:
            raise self.refuse(str(error)) from None


# Of layers that have a number, one that it may be.
_EXAMPLES = {
    "conv": "conv 8 3x3",
    "maxpool": "maxpool 2",
    "avgpool": "avgpool 2",
    "residual": "residual 2",
    "squeeze-excite": "squeeze-excite 4",
    "linear": "linear 10",
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


_CONV_OPTIONS = ("stride", "pad", "bias", "bare", "block")
_POOL_OPTIONS = ("stride", "pad")


def _conv(words: _Words) -> Layer:
    out_channels = words.number("the number of output channels")
    return Conv(out_channels, words.kernel(3), **words.options("conv", _CONV_OPTIONS))


def _depthwise(words: _Words) -> Layer:
    if words.left and re.fullmatch("[0-9]{1,9}", words.left[0]):
        number, *rest = words.left
        write = f"write '{' '.join(['depthwise', *rest])}'"
        if not rest:
            write = f"write 'depthwise', or 'depthwise {number}x{number}' if {number} is the kernel"
        raise words.refuse(f"a depthwise layer takes no number of channels, it has as many as come in: {write}")
    return Depthwise(words.kernel(3), **words.options("depthwise", _CONV_OPTIONS))


def _pool(kind: type[MaxPool] | type[AvgPool]) -> Callable[[_Words], Layer]:
    def read(words: _Words) -> Layer:
        kernel = words.kernel(0) or words.number("the kernel")
        return kind(kernel, **({"stride": kernel} | words.options("pool", _POOL_OPTIONS)))

    return read


def _gap(words: _Words) -> Layer:
    words.options("", ())
    return GlobalAvgPool()


def _residual(words: _Words) -> Layer:
    back = words.number("the number of layers to go back")
    words.options("", ())
    return Residual(back)


def _squeeze_excite(words: _Words) -> Layer:
    reduced = words.number("the number of values that the means are reduced to")
    words.options("", ())
    return SqueezeExcite(reduced)


def _linear(words: _Words) -> Layer:
    out_features = words.number("the number of output features")
    return Linear(out_features, **words.options("linear", ("nobias", "block")))


_READERS: dict[str, Callable[[_Words], Layer]] = {
    "conv": _conv,
    "depthwise": _depthwise,
    "maxpool": _pool(MaxPool),
    "avgpool": _pool(AvgPool),
    "gap": _gap,
    "residual": _residual,
    "squeeze-excite": _squeeze_excite,
    "linear": _linear,
}


def parse(text: str) -> Layer:
    """Read one layer from its text form; ``parse(str(layer)) == layer``.

    Raises LadderError that names the layer, the word and the remedy.
    """
    words = _Words(text)
    if not words.left:
        raise LadderError(f"an empty layer; known layers are {', '.join(_READERS)}")
    if meant := _meant_elsewhere(text):
        raise words.refuse(f"that is not how a layer is written here; {meant}")
    kind = words.left.pop(0)
    if kind not in _READERS:
        rate = next((word for word in words.left[:1] if kind.lower() == "dropout" and _RATE.fullmatch(word)), None)
        place = f"; its rate belongs in the recipe, dropout = {rate}" if rate else ""
        raise LadderError(f"unknown layer {shown(kind)} in {shown(text)}{_layer_hint(kind)}{place}")
    return _READERS[kind](words)


def _meant_elsewhere(text: str) -> str | None:
    """What to write instead of a layer as another library has it; None where it is none, or nothing that can be."""
    meant = meant_by(text)
    try:
        for each in meant.layers if meant else ():
            parse(each)
    except LadderError as error:
        return str(error)
    return str(meant) if meant else None


def _layer_hint(kind: str) -> str:
    """The end of a message about a layer that there is not."""
    known = list(_READERS)
    joined = re.fullmatch(r"([a-z-]{1,20})[(,]?([0-9]{1,9})[),]?", kind)
    if joined and joined[1] in known and translation(kind, known, place="layer") in (None, joined[1]):
        return f"; write '{joined[1]} {joined[2]}'"
    return did_you_mean(kind, known, place="layer")
