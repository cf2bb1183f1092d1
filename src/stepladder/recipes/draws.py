"""Randomness is an argument: every random draw of a training comes from a generator keyed by (seed, epoch, purpose).

So a run that resumes at epoch 7 draws what an undisturbed run draws at epoch 7, and turning one concept on leaves the
draws of all others alone.
"""

from hashlib import sha256
from typing import Literal

import numpy as np

Purpose = Literal["init", "order", "augment", "mirror", "elastic", "cutout", "dropout", "recalibrate"]


def generator(seed: int, epoch: int, *, purpose: Purpose) -> np.random.Generator:
    """A generator of its own for this seed, epoch and purpose (Philox, the same on every machine)."""
    return np.random.Generator(np.random.Philox(key=np.frombuffer(_digest(seed, epoch, purpose)[:16], "<u8")))


def integer_seed(seed: int, epoch: int, *, purpose: Purpose) -> int:
    """The same key as a whole number below 2**63, for generators that are not numpy's."""
    return int.from_bytes(_digest(seed, epoch, purpose)[:8], "little") >> 1


def _digest(seed: int, epoch: int, purpose: Purpose) -> bytes:
    return sha256(f"stepladder {purpose} epoch {epoch} seed {seed}".encode()).digest()
