"""Arrays that start where whole vectors may be loaded."""

from math import prod

import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 64  # bytes: a vector of AVX-512, and a cache line


def aligned(*shape: int) -> NDArray[np.float32]:
    """Zeros of float32 that start at a multiple of ALIGNMENT."""
    n_bytes = 4 * prod(shape)
    raw = np.zeros(n_bytes + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    array: NDArray[np.float32] = raw[start : start + n_bytes].view(np.float32).reshape(shape)
    return array
