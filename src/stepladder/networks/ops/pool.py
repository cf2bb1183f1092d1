"""What pools share: their text and its numbers."""

from typing import Any, Protocol

from stepladder.networks import sides
from stepladder.networks.ops.convolution import short_padding
from stepladder.networks.ops.op import joined
from stepladder.networks.ops.words import WINDOW_OPTIONS, Words
from stepladder.networks.sides import Sides, pair


class Pool(Protocol):
    """The numbers of a pool."""

    @property
    def kernel(self) -> Sides: ...
    @property
    def stride(self) -> Sides: ...
    @property
    def padding(self) -> Sides: ...


def numbers(words: Words) -> dict[str, Any]:
    """``2 stride 1 pad 1``; the stride is the kernel unless given."""
    kernel = words.kernel(0) or words.number("the kernel")
    return {"kernel": kernel, "stride": kernel} | words.options("pool", WINDOW_OPTIONS)


def text(pool: Pool) -> str:
    return joined(
        sides.text(pool.kernel),
        f"stride {sides.text(pool.stride)}" if pool.stride != pool.kernel else "",
        f"pad {sides.text(pool.padding)}" if pool.padding else "",
    )


def short(pool: Pool) -> str:
    """The same in the shorthand of tables."""
    size = "" if pool.kernel == 2 else sides.text(pool.kernel)
    stride = f"s{sides.text(pool.stride)}" if pool.stride != pool.kernel else ""
    return size + stride + short_padding(pool.padding)


def problem(pool: Pool) -> str | None:
    for padding, kernel in zip(pair(pool.padding), pair(pool.kernel), strict=True):
        if 2 * padding > kernel:
            return f"the pad of a pool is at most half its kernel: {padding} is over {kernel}/2"
    return None
