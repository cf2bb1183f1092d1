"""The MNIST that is in the package, each file held to its published checksum."""

import hashlib
from importlib import resources
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder._base.wording import flat
from stepladder.datasets import sources
from stepladder.errors import DataError


class Mnist:
    """See kinds.Source. There is one of it: nothing stands behind its name."""

    def name(self, at: str) -> str:
        if at:
            raise DataError(f'no data {flat(f"mnist:{at}")}: MNIST is one set: write data = "mnist"')
        return sources.MNIST.name

    def stamp(self, at: str) -> tuple[str, ...]:
        del at
        return ()

    def read(self, at: str) -> dict[str, NDArray[Any]]:
        self.name(at)
        return {part: read_part(part) for part in sources.PARTS}


def read_part(part: str) -> NDArray[np.uint8]:
    """Images (N, 1, 28, 28) or labels (N,). Raises DataError if the package is damaged."""
    name, expected = sources.MNIST_FILES[part]
    file = resources.files("stepladder.datasets") / "mnist" / name
    try:
        content = sources.uncompressed(file)
    except DataError as error:
        raise DataError(f"{error}; it is part of the embedded MNIST: install Stepladder again") from None
    if hashlib.sha256(content).hexdigest() != expected:
        raise DataError(f"{file}: wrong checksum: the embedded MNIST is damaged; install Stepladder again")
    shape = sources.idx_shape(BytesIO(content), str(file))
    form = (shape[0], 1, *shape[1:]) if len(shape) == 3 else shape
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(form)
