"""How fast each engine trained here, kept in a store's speed.json, so that the time of a climb can be told."""

import json
from pathlib import Path

from stepladder.files import write_atomically


def read(store: str | Path) -> dict[str, float]:
    """Multiply-adds per second and process of each engine's tag, the last measured last; empty if unknown."""
    try:
        speeds = json.loads((Path(store) / "speed.json").read_text())
        return {str(tag): float(speed) for tag, speed in speeds.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def note(store: str | Path, tag: str, macs_per_s: float) -> None:
    """Keep a measured speed, in place of an older one of the same engine."""
    speeds = read(store)
    speeds.pop(tag, None)
    write_atomically(Path(store) / "speed.json", json.dumps(speeds | {tag: macs_per_s}).encode())
