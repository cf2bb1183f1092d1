"""What a model of this engine has on its device, of one seed or of several alike, and the way of a batch through it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stepladder.engines.torch.dropping import Bits
from stepladder.engines.torch.ops import Layer, Place, StepOf
from stepladder.networks.geometry import Network
from stepladder.networks.ops import Operation
from stepladder.networks.ops.op import Step


class Held:
    """A network's arrays by name; see ops.Model."""

    network: Network
    device: torch.device
    dtype: torch.dtype
    dropout: float
    leaves: dict[str, Tensor]
    running: dict[str, Tensor]
    _bits: Bits

    def through(
        self, x: Tensor, layers: Mapping[type[Operation], Layer], steps: Mapping[type[Step], StepOf], *, training: bool
    ) -> Tensor:
        """What the last layer gives for ``x``, by these tables of what is computed."""
        outputs: list[Tensor] = []
        for row in self.network.rows:
            x = layers[type(row.layer)](row, self.leaves, x)
            if row.added is not None:
                x = x + outputs[row.added]
            for step in row.steps:
                x = steps[type(step)](step, Place(self, row.index, training), x)
            outputs.append(x)
        return x

    def draw(self, x: Tensor) -> Tensor:
        """See ops.Model."""
        return self._bits.next_for(x)

    def statistics(self) -> dict[str, NDArray[np.float32]]:
        return {name: self.to_numpy(array) for name, array in self.running.items()}

    def set_statistics(self, statistics: Mapping[str, NDArray[np.float32]]) -> None:
        for name, array in self.running.items():
            array.copy_(torch.from_numpy(statistics[name]))

    def to_array(self, numbers: NDArray[np.float32]) -> Tensor:
        return torch.tensor(numbers, device=self.device, dtype=self.dtype)

    def to_numpy(self, array: Any) -> NDArray[np.float32]:
        return np.array(array.detach().cpu().numpy(), dtype=np.float32)
