"""What an epoch draws: the order of the images, and what happens to each. Of one seed; or of several, stacked.

Every draw comes from a generator of its own (recipes.draws), so that a seed's draws are the same whichever others it is
trained with, and those of an epoch can be had before the one that comes before it has ended.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepladder._base.machine import n_cores
from stepladder.datasets.data import Splits
from stepladder.recipes.augment import Warps, draw_warps
from stepladder.recipes.draws import generator
from stepladder.recipes.recipe import Augment, Recipe

Seeds = int | tuple[int, ...]


def of_each(seeds: Seeds, draw: Callable[[int], Any]) -> Any:
    """What is drawn for a seed; of several, what is drawn for each, (S, ...)."""
    return draw(seeds) if isinstance(seeds, int) else np.stack([draw(seed) for seed in seeds])


@dataclass(frozen=True, eq=False)
class Drawn:
    """The draws of an epoch: the images' ``order`` (..., n), and what happens to them in that order."""

    order: Any
    warps: Warps | None

    def map(self, send: Callable[[Any], Any]) -> "Drawn":
        """The same with each array put somewhere else."""
        if self.warps is None:
            return Drawn(send(self.order), None)
        parts = (self.warps.maps, self.warps.curves, self.warps.holes)
        return Drawn(send(self.order), Warps(*(None if part is None else send(part) for part in parts)))  # type: ignore[arg-type]


def draw(recipe: Recipe, splits: Splits, *, seed: int, number: int) -> Drawn:
    """The draws of one seed for the epoch ``number``, counted from 0."""
    augment, n = recipe.augment, len(splits.train)
    order = generator(seed, number, purpose="order").permutation(n)
    if augment == Augment() or number >= recipe.epochs - recipe.clean_epochs:
        return Drawn(order, None)
    return Drawn(
        order,
        draw_warps(augment, n, size=splits.image.size, rng=lambda purpose: generator(seed, number, purpose=purpose)),
    )


def stacked(drawn: Sequence[Drawn]) -> Drawn:
    """The draws of several seeds: an axis more in front of each array."""

    def of(parts: Sequence[NDArray[Any] | None]) -> Any:
        return None if parts[0] is None else np.stack([part for part in parts if part is not None])

    warps = [each.warps for each in drawn if each.warps is not None]
    order = np.stack([each.order for each in drawn])
    if not warps:
        return Drawn(order, None)
    return Drawn(order, Warps(*(of([getattr(each, name) for each in warps]) for name in ("maps", "curves", "holes"))))


class Ahead:
    """The draws of several seeds, epoch by epoch: those of the next are made while one trains, by a thread per core.

    ``send`` puts an array where it is used. Close it, or what is being drawn is waited for when the process ends.
    """

    def __init__(
        self, recipe: Recipe, splits: Splits, seeds: tuple[int, ...], *, send: Callable[[NDArray[Any]], Any]
    ) -> None:
        self._recipe, self._splits, self._seeds, self._send = recipe, splits, seeds, send
        self._threads = ThreadPoolExecutor(n_cores())
        self._next: tuple[int, list[Future[Drawn]]] = (-1, [])

    def epoch(self, number: int) -> Drawn:
        drawn = stacked([each.result() for each in self._begun(number)])
        if number + 1 < self._recipe.epochs:
            self._next = (number + 1, self._begun(number + 1))
        return drawn.map(self._send)

    def _begun(self, number: int) -> list["Future[Drawn]"]:
        if self._next[0] == number:
            return self._next[1]
        return [
            self._threads.submit(draw, self._recipe, self._splits, seed=seed, number=number) for seed in self._seeds
        ]

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
