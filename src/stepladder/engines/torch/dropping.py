"""The random bits of dropout: each seed's from a generator of its own, whichever others it is trained with."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from stepladder.networks.geometry import Network
from stepladder.networks.ops import Dropout
from stepladder.networks.sides import area


class Bits:
    """16 random bits for each value that a network's dropout looks at, of S seeds at once.

    A batch's are drawn together, before its forward pass: one draw for a seed, not one for each of its layers. On a CPU
    the generator gives the same words either way.
    """

    def __init__(self, network: Network, *, n_seeds: int, device: torch.device) -> None:
        rows = [row for row in network.rows for step in row.steps if isinstance(step, Dropout)]
        self._n_values = [row.out_channels * area(row.out_size) for row in rows]
        self._generators = [torch.Generator(device) for _ in range(n_seeds)]
        self._device = device
        self._drawn: Iterator[Tensor] = iter(())

    def seed(self, seeds: Sequence[int]) -> None:
        for generator, seed in zip(self._generators, seeds, strict=True):
            generator.manual_seed(int(seed))

    def draw(self, n: int) -> None:
        """Draw for a batch of ``n`` images of each seed. Words of 64 bits: four values take one."""
        sizes = [-(-n * n_values // 4) for n_values in self._n_values]
        words = torch.empty(len(self._generators), sum(sizes), dtype=torch.int64, device=self._device)
        for row, generator in zip(words, self._generators, strict=True):
            row.random_(-(2**63), None, generator=generator)
        self._drawn = iter(torch.split(words.view(torch.int16), [4 * size for size in sizes], 1))

    def next_for(self, x: Tensor) -> Tensor:
        """Those of the next dropout of the batch, int16 of the shape of ``x`` (n, S C, H, W)."""
        by_seed = x.reshape(len(x), len(self._generators), -1, *x.shape[2:]).transpose(0, 1)  # (S, n, C, H, W)
        drawn = next(self._drawn)[:, : by_seed[0].numel()]
        return drawn.view(by_seed.shape).transpose(0, 1).flatten(1, 2)
