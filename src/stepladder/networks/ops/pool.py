"""What pools share: their text and its numbers."""

from typing import Any, Protocol

from stepladder.networks.ops.convolution import short_padding
from stepladder.networks.ops.op import joined
from stepladder.networks.ops.words import WINDOW_OPTIONS, Words


class Pool(Protocol):
    """The numbers of a pool."""

    @property
    def kernel(self) -> int: ...
    @property
    def stride(self) -> int: ...
    @property
    def padding(self) -> int: ...


def numbers(words: Words) -> dict[str, Any]:
    """``2 stride 1 pad 1``; the stride is the kernel unless given."""
    kernel = words.kernel(0) or words.number("the kernel")
    return {"kernel": kernel, "stride": kernel} | words.options("pool", WINDOW_OPTIONS)


def text(pool: Pool) -> str:
    return joined(
        str(pool.kernel),
        f"stride {pool.stride}" if pool.stride != pool.kernel else "",
        f"pad {pool.padding}" if pool.padding else "",
    )


def short(pool: Pool) -> str:
    """The same in the shorthand of tables."""
    size = "" if pool.kernel == 2 else str(pool.kernel)
    stride = f"s{pool.stride}" if pool.stride != pool.kernel else ""
    return size + stride + short_padding(pool.padding)


def problem(pool: Pool) -> str | None:
    if 2 * pool.padding > pool.kernel:
        return f"the pad of a pool is at most half its kernel: {pool.padding} is over {pool.kernel}/2"
    return None
