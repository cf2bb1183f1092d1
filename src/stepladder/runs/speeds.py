"""How fast each engine trained here, kept in a store's speed.json, so that the time of a climb can be told.

::

    speed.json    {"format_version": 2, "sha256": ..., "speeds": {"<engine>": <multiply-adds per second>, ...}}

No number of a training rests on it: a damaged one counts as none, and the time that is told says that it is a guess.

FORMAT_VERSION history: 1, the speeds alone, without a checksum. 2, a sealed file (files.sealed).
"""

from pathlib import Path
from typing import Any

from stepladder._base.files import MOST_JSON_BYTES, parsed, read_regular, reason, sealed, unsealed, write_atomically
from stepladder.errors import StoreError

FORMAT_VERSION = 2
SLOWEST_MACS_PER_S, FASTEST_MACS_PER_S = 1e3, 1e18  # anything else is damage


def read(store: str | Path) -> dict[str, float]:
    """Multiply-adds per second and process of each engine's tag, the last measured last; empty if unknown."""
    path = Path(store) / "speed.json"
    try:
        speeds = _speeds(read_regular(path, most=MOST_JSON_BYTES), path)
        found = {tag: float(speed) for tag, speed in speeds.items() if type(speed) in (int, float)}
    except (OSError, StoreError, ValueError, KeyError, AttributeError, TypeError, RecursionError, OverflowError):
        return {}
    return {tag: speed for tag, speed in found.items() if SLOWEST_MACS_PER_S < speed < FASTEST_MACS_PER_S}


def problem(store: Path) -> str:
    """What is wrong with the file of speeds, which count as unknown then; empty if nothing is."""
    path = store / "speed.json"
    try:
        _speeds(read_regular(path, most=MOST_JSON_BYTES), path)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"cannot read {path}: {error.strerror}"
    except StoreError as error:
        return str(error)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        return f"{path} is damaged ({reason(error)}): delete it, and speeds are measured again"
    return ""


def _speeds(content: bytes, path: Path) -> dict[str, Any]:
    """As the file has them, of either format."""
    speeds: dict[str, Any] = parsed(content)
    if type(speeds) is not dict:
        raise TypeError("it holds no names and numbers")
    if "sha256" in speeds or "format_version" in speeds:
        speeds = unsealed(content, "speeds", path=path, known=FORMAT_VERSION)
    return speeds


def note(store: str | Path, *, tag: str, macs_per_s: float) -> None:
    """Keep a measured speed, in place of an older one of the same engine; a store that cannot keep it goes without."""
    speeds = read(store)
    speeds.pop(tag, None)
    content = sealed("speeds", speeds | {tag: macs_per_s}, version=FORMAT_VERSION)
    try:
        write_atomically(Path(store) / "speed.json", content)
    except OSError:
        return
