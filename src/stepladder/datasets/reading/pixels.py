"""Pixels from a stream into memory, once: (N, C, H, W) uint8, however they are stored.

Sizes come from headers, which may lie: what would not fit, or what no images compress to, is refused before it is read.
"""

from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from stepladder._base.machine import memory_bytes
from stepladder.errors import DataError

CHUNK = 2**22  # bytes that are read at a time
MOST_OF_MEMORY = 0.7
MOST_TIMES_COMPRESSED = 100  # of pixels in more than LARGE bytes; almost black ones reach 50
LARGE = 2**28


def require_room(name: str, n_bytes: int, *, n_stored: int) -> None:
    """Raise DataError if this many bytes do not fit into memory, or cannot have been images in ``n_stored`` bytes."""
    memory = memory_bytes()
    if memory is not None and n_bytes > MOST_OF_MEMORY * memory:
        raise DataError(
            f"{name}: promises {n_bytes / 1e9:,.1f} GB, and this machine has {memory / 1e9:,.1f} GB of memory: if"
            " that is right, give a part of the images; if not, it is damaged: get it again"
        )
    if n_bytes > max(LARGE, MOST_TIMES_COMPRESSED * n_stored):
        raise DataError(
            f"{name}: {n_stored / 1e6:,.1f} MB that promise {n_bytes / 1e9:,.1f} GB: no images compress that far;"
            " it is damaged, or made to fill the memory"
        )


class TooFewError(Exception):
    """A stream that ends before what was promised."""

    def __init__(self, n_read: int) -> None:
        super().__init__(f"it ends after {n_read:,} bytes")
        self.n_read = n_read


def read(stream: IO[bytes], shape: tuple[int, ...], *, form: tuple[int, int, int, int] | None) -> NDArray[np.uint8]:
    """Bytes of a stored shape: images as ``form`` = (N, C, H, W) says; others, without one, as they are.

    Channels that come last are put first a few images at a time: no second copy of all. Raises TooFewError.
    """
    if form is None or len(shape) == 3 or shape == form:
        images = np.empty(form or shape, np.uint8)
        fill(stream, images)
        return images
    n, channels, height, width = form
    images = np.empty(form, np.uint8)
    n_bytes = channels * height * width
    n_at_once = max(1, CHUNK // n_bytes)
    for start in range(0, n, n_at_once):
        part = np.empty((min(n_at_once, n - start), height, width, channels), np.uint8)
        try:
            fill(stream, part)
        except TooFewError as short:
            raise TooFewError(start * n_bytes + short.n_read) from None
        images[start : start + n_at_once] = part.transpose(0, 3, 1, 2)
    return images


def fill(stream: IO[bytes], array: NDArray[Any]) -> None:
    """Fill an array (C order) with bytes from a stream. Raises TooFewError."""
    view, n_read = array.reshape(-1).view(np.uint8), 0
    while n_read < len(view):
        found = stream.read(min(CHUNK, len(view) - n_read))
        if not found:
            raise TooFewError(n_read)
        view[n_read : n_read + len(found)] = np.frombuffer(found, np.uint8)
        n_read += len(found)


def extremes(stream: IO[bytes], dtype: np.dtype[Any], n: int) -> tuple[float, float]:
    """The least and the largest of n numbers in a stream, read a few at a time; NaN where there is any."""
    low, high, n_at_once = np.inf, -np.inf, CHUNK // dtype.itemsize
    for start in range(0, n, n_at_once):
        part = np.empty(min(n_at_once, n - start), dtype)
        fill(stream, part)
        low, high = np.minimum(low, part.min()), np.maximum(high, part.max())
    return float(low), float(high)


def as_bytes(dtype: np.dtype[Any], low: float, high: float) -> str:
    """How numbers of another type are saved as bytes without losing what they say: never ``.astype`` alone where that
    would cut fractions off or wrap around.
    """
    if dtype.kind == "b":
        return "save x.astype(np.uint8) * 255"
    if dtype.kind not in "iuf" or not np.isfinite([low, high]).all():
        return "save bytes (uint8) from 0 to 255, without NaN, infinite or complex numbers"
    whole = full_scale(high)
    if low >= 0:
        of = "" if whole in (1, high) else f" (of {whole:g}, it seems)"
        factor = "" if whole == 255 else " * 255" if whole == 1 else f" / {whole:g} * 255"
        factor = factor + ".0" * (whole == 1 and dtype.kind != "f")  # an integer would overflow
        return f"from 0 to {high:g}{of}: save {f'(x{factor})' if factor else 'x'}.round().astype(np.uint8){_ALIKE}"
    if low >= -1 and high <= 1:
        return f"from {low:g} to {high:g}: save ((x + 1) / 2 * 255.0).round().astype(np.uint8){_ALIKE}"
    from_zero = f"(x.astype(float) - ({low:g})) / {high - low:g}"
    return f"from {low:g} to {high:g}: save ({from_zero} * 255).round().astype(np.uint8), with these numbers{_ALIKE}"


_ALIKE = " for training and test images alike"
_SURELY_WHITE = (1, 16, 255, 65535)  # where the brightest pixel is no more: other ends of a scale would be guesses


def to_bytes(numbers: NDArray[Any], low: float, high: float) -> NDArray[np.uint8] | None:
    """Numbers of a set whose least and largest are these, as ``as_bytes`` advises; None where that would be a guess."""
    if numbers.dtype == np.uint8:
        return numbers
    if numbers.dtype.kind == "b":
        return numbers.astype(np.uint8) * np.uint8(255)
    if numbers.dtype.kind not in "iuf" or not np.isfinite([low, high]).all():
        return None
    if numbers.dtype.kind != "f" or numbers.dtype.itemsize < 4:  # half floats have steps of 1/8 at 255
        numbers = numbers.astype(np.float64)
    if low >= 0:
        whole = full_scale(high)
        scaled = numbers if whole == 255 else numbers / whole * 255.0
        return scaled.round().astype(np.uint8) if whole in _SURELY_WHITE else None
    return ((numbers + 1) / 2 * 255.0).round().astype(np.uint8) if low >= -1 and high <= 1 else None


def full_scale(high: float) -> float:
    """What is white where the brightest pixel is this: the largest number of that many bits, 1 or 16."""
    return next((whole for whole in (1, 15, 16, 31, 63, 127, 255, 1023, 4095, 16383, 65535) if high <= whole), high)
