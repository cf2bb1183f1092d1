"""What convolutions, depthwise ones and linear layers share: the text of their options, and a bias."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from stepladder.networks import sides
from stepladder.networks.ops.block import Block
from stepladder.networks.ops.op import joined
from stepladder.networks.ops.words import WINDOW_OPTIONS, Option
from stepladder.networks.sides import Sides, pair

if TYPE_CHECKING:
    from stepladder.networks.ops.op import Values


class Convolution(Protocol):
    """The numbers of a convolution of either kind."""

    @property
    def kernel(self) -> Sides: ...
    @property
    def stride(self) -> Sides: ...
    @property
    def padding(self) -> Sides: ...
    @property
    def bias(self) -> bool: ...
    @property
    def block(self) -> Block | None: ...


def options(operation: str) -> dict[str, Option]:
    """What may follow: ``stride 2 pad 1 bias bare``."""
    return {**WINDOW_OPTIONS, "bias": lambda words: ("bias", True), **block_options(operation)}  # noqa: ARG005


def block_options(operation: str) -> dict[str, Option]:
    return {
        "bare": lambda words: ("block", Block()),  # noqa: ARG005
        "block": lambda words: ("block", Block.taken(words, operation=operation)),
    }


def text(layer: Convolution, operation: str) -> str:
    """The kernel and what differs from the usual."""
    block = ""
    if layer.block is not None:
        block = f"block {layer.block.text(operation)}" if layer.block.steps else "bare"
    return joined(
        sides.full_text(layer.kernel),
        f"stride {sides.text(layer.stride)}" if layer.stride != 1 else "",
        f"pad {sides.text(layer.padding)}" if layer.padding else "",
        "bias" if layer.bias else "",
        block,
    )


def short(layer: Convolution) -> str:
    """The same in the shorthand of tables."""
    size = "" if layer.kernel == 3 else f"k{sides.text(layer.kernel)}"
    stride = f"s{sides.text(layer.stride)}" if layer.stride != 1 else ""
    block = "" if layer.block is None else layer.block.short
    return size + stride + short_padding(layer.padding) + "+" * layer.bias + block


def short_padding(padding: Sides) -> str:
    return "" if padding == 0 else "p" if padding == 1 else f"p{sides.text(padding)}"


def problem(layer: Convolution) -> str | None:
    if layer.padding and any(
        padding >= kernel for padding, kernel in zip(pair(layer.padding), pair(layer.kernel), strict=True)
    ):
        return f"pad {sides.text(layer.padding)} must be smaller than the kernel, or outputs at the rim see no image"
    return None


def biased(y: "Values", arrays: Mapping[str, "Values"]) -> "Values":
    """With the bias, if there is one, of each channel: (N, C, H, W) -> (N, C, H, W)."""
    return y + arrays["bias"][:, None, None] if "bias" in arrays else y
