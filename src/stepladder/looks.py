"""Looks at pairs of rungs, kept in a store: a climb that buys seeds until its verdicts are clear pays for each look.

::

    looks.json    {"format_version": 2, "sha256": ..., "looks": {"<experiment> <experiment> <engine>": [[1, 2], ...]}}

A pair is there from before the first seed is bought for it, without any look yet: whoever compares it while it trains
pays like the climb. A look is known by its seeds: to look at the same ones again, as a resumed climb does, is no
further look. P-values are not kept. They are found from the runs each time (comparing), so that this file lends no
verdict anything: a damaged one is refused, because fewer looks than there were would make a verdict too easy.

FORMAT_VERSION history: 1, the first. 2, the checksum covers the version (files.sealed).
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from pydantic import ConfigDict, RootModel

from stepladder.errors import StoreError
from stepladder.files import (
    MOST_JSON_BYTES,
    NewerFormatError,
    clipped,
    locked,
    read_regular,
    reason,
    sealed,
    unsealed,
    write_atomically,
)
from stepladder.run import RunIdentity

FORMAT_VERSION = 2
MOST_LOOKS = 1000  # at one pair: 10 of them took 1,000 times as many seeds as the first one

Seeds = tuple[int, ...]  # in order

_PAIR = re.compile(r"([0-9a-f]{16}) ([0-9a-f]{16}) [0-9A-Za-z.+_-]+")


@dataclass(frozen=True)
class Looks:
    """The looks at each pair (pair_key), the first one first. ``problem`` says why they cannot be known."""

    by_pair: Mapping[str, tuple[Seeds, ...]] = field(default_factory=dict)
    problem: str = ""

    def at(self, pair: str) -> tuple[Seeds, ...] | None:
        """The looks at one pair, None if no climb bought seeds for it; raises StoreError if they cannot be known."""
        if self.problem:
            raise StoreError(self.problem)
        return self.by_pair.get(pair)


NO_LOOKS = Looks()


class _Kept(RootModel[dict[str, tuple[Seeds, ...]]]):
    model_config = ConfigDict(strict=True)


def pair_key(run: RunIdentity, other: RunIdentity) -> str:
    """Names two experiments of one engine, in whatever order and on whatever ladder they are compared."""
    return " ".join((*sorted((run.experiment, other.experiment)), run.engine.tag))


def read(store: Path) -> Looks:
    """All looks of a store; none if nobody ever looked. What cannot be read is the ``problem`` of the result."""
    path = store / "looks.json"
    try:
        content = read_regular(path, most=MOST_JSON_BYTES)
    except FileNotFoundError:
        return NO_LOOKS
    except OSError as error:
        return Looks(problem=f"cannot read {path}: {error.strerror}")
    except ValueError as error:
        return Looks(problem=f"cannot read {path}: {error}")
    try:
        kept = unsealed(content, "looks", path=path, known=FORMAT_VERSION)
        looks = _Kept.model_validate_json(json.dumps(kept)).root
        for pair, made in looks.items():
            _require_sound(pair, made)
    except NewerFormatError as error:
        return Looks(problem=str(error))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return Looks(
            problem=f"{path} is damaged ({reason(error)}), and a verdict would be too easy without it: move it away and"
            " repeat each 'stepladder climb --until-decided' of this store, which makes the same looks from the stored"
            " runs"
        )
    return Looks(looks)


def _require_sound(pair: str, made: tuple[Seeds, ...]) -> None:
    """Raise ValueError for looks that no climb can have made."""
    named = _PAIR.fullmatch(pair)
    if not named or named[1] > named[2]:
        raise ValueError(f"{clipped(pair)!r} is no pair of experiments")
    if len(made) > MOST_LOOKS or len(set(made)) < len(made):
        raise ValueError(f"{len(made):,} looks at one pair, the same ones twice or too many")
    for seeds in made:
        if not seeds or seeds[0] < 0 or any(a >= b for a, b in pairwise(seeds)):
            raise ValueError("a look at seeds that are not in order")


def mark(store: Path, pairs: Iterable[str]) -> None:
    """Keep that seeds are bought for these pairs (pair_key); raises StoreError if it cannot be kept."""
    keep(store, dict.fromkeys(pairs, ()))


def note(store: Path, made: Mapping[str, Seeds]) -> None:
    """Keep looks by pair_key, except those kept before; raises StoreError if they cannot be kept."""
    keep(store, {pair: (seeds,) for pair, seeds in made.items()})


def keep(store: Path, made: Mapping[str, tuple[Seeds, ...]]) -> None:
    """Add looks to those of their pairs, and pairs to those that are there.

    Raises StoreError if they cannot be kept.
    """
    try:
        with locked(store / "looks.lock"):
            known = read(store)
            before = {pair: known.at(pair) for pair in made}
            after = {
                pair: (*(before[pair] or ()), *(seeds for seeds in new if seeds not in (before[pair] or ())))
                for pair, new in made.items()
            }
            if before != after:
                looks = {**known.by_pair, **after}
                write_atomically(store / "looks.json", sealed("looks", looks, version=FORMAT_VERSION))
    except OSError as error:
        raise StoreError(
            f"cannot write {store / 'looks.json'} ({error.strerror}), and what is not kept must not be looked at: make"
            " room, or choose another folder with --store"
        ) from None
