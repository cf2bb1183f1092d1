"""Files that are there whole or not at all."""

import os
from pathlib import Path
from secrets import token_hex


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, also after a loss of power; safe against other writers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
