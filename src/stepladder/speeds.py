"""How fast each engine trained here, kept in a store's speed.json, so that the time of a climb can be told."""

import json
from pathlib import Path

from stepladder.files import write_atomically

SLOWEST_MACS_PER_S, FASTEST_MACS_PER_S = 1e3, 1e18  # anything else is damage


def read(store: str | Path) -> dict[str, float]:
    """Multiply-adds per second and process of each engine's tag, the last measured last; empty if unknown."""
    try:
        speeds = json.loads((Path(store) / "speed.json").read_bytes())
        found = {str(tag): float(speed) for tag, speed in speeds.items()}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError, OverflowError):
        return {}
    return {tag: speed for tag, speed in found.items() if SLOWEST_MACS_PER_S < speed < FASTEST_MACS_PER_S}


def note(store: str | Path, *, tag: str, macs_per_s: float) -> None:
    """Keep a measured speed, in place of an older one of the same engine; a store that cannot keep it goes without."""
    speeds = read(store)
    speeds.pop(tag, None)
    try:
        write_atomically(Path(store) / "speed.json", json.dumps(speeds | {tag: macs_per_s}).encode())
    except OSError:
        return
