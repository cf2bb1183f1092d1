"""Looks at pairs of rungs, kept in a store: a climb that buys seeds until its verdicts are clear pays for each look.

::

    looks.json    {"format_version": 1, "sha256": ..., "looks": {"<experiment> <experiment> <engine>": [[1, 2], ...]}}

A pair is there from before the first seed is bought for it, without any look yet: whoever compares it while it trains
pays like the climb. A look is known by its seeds: to look at the same ones again, as a resumed climb does, is no
further look. P-values are not kept. They are found from the runs each time (comparing), so that this file lends no
verdict anything: a damaged one is refused, because fewer looks than there were would make a verdict too easy.

FORMAT_VERSION history: 1, the first.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stepladder.errors import StoreError
from stepladder.files import checksum, locked, require_readable, write_atomically
from stepladder.recipe import Frozen
from stepladder.run import RunIdentity

FORMAT_VERSION = 1

Seeds = tuple[int, ...]  # in order


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


class _File(Frozen):
    """What looks.json holds; ``sha256`` is that of its looks."""

    format_version: int
    sha256: str
    looks: dict[str, tuple[Seeds, ...]]


def pair_key(run: RunIdentity, other: RunIdentity) -> str:
    """Names two experiments of one engine, in whatever order and on whatever ladder they are compared."""
    return " ".join((*sorted((run.experiment, other.experiment)), run.engine.tag))


def read(store: Path) -> Looks:
    """All looks of a store; none if nobody ever looked. What cannot be read is the ``problem`` of the result."""
    path = store / "looks.json"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return NO_LOOKS
    except OSError as error:
        return Looks(problem=f"cannot read {path}: {error.strerror}")
    try:
        require_readable(int(json.loads(content)["format_version"]), path, known=FORMAT_VERSION)
        file = _File.model_validate_json(content)
        if file.sha256 != checksum(file.looks):
            raise ValueError("its checksum differs")
    except StoreError as error:
        return Looks(problem=str(error))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return Looks(
            problem=f"{path} is damaged ({reason}), and a verdict would be too easy without it: move it away and repeat"
            " each 'stepladder climb --until-decided' of this store, which makes the same looks from the stored runs"
        )
    return Looks(file.looks)


def mark(store: Path, pairs: Iterable[str]) -> None:
    """Keep that seeds are bought for these pairs (pair_key); raises StoreError if it cannot be kept."""
    _keep(store, dict.fromkeys(pairs, ()))


def note(store: Path, made: Mapping[str, Seeds]) -> None:
    """Keep looks by pair_key, except those kept before; raises StoreError if they cannot be kept."""
    _keep(store, {pair: (seeds,) for pair, seeds in made.items()})


def _keep(store: Path, made: Mapping[str, tuple[Seeds, ...]]) -> None:
    """Add looks to those of their pairs, and pairs to those that are there."""
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
                file = _File(format_version=FORMAT_VERSION, sha256=checksum(looks), looks=looks)
                write_atomically(store / "looks.json", file.model_dump_json().encode())
    except OSError as error:
        raise StoreError(
            f"cannot write {store / 'looks.json'} ({error.strerror}), and what is not kept must not be looked at: make"
            " room, or choose another folder with --store"
        ) from None
