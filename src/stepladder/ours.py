"""Which files Stepladder wrote itself, and may therefore write over: what a person wrote or changed is never lost.

A file of ours ends in a comment with a checksum of all that is before it. One without, of an earlier version or of a
format that has no comments, is known by how it begins.
"""

import json
import re
from hashlib import sha256
from pathlib import Path

from stepladder import __version__
from stepladder.errors import StoreError
from stepladder.outputs import write_output
from stepladder.wording import cut

COMMENTS = {".html": "<!-- {} -->", ".svg": "<!-- {} -->", ".md": "[//]: # ({})", ".toml": "# {}"}

_MARK = re.compile(
    rb"\n[^\n]*Written by Stepladder [^\s,]+, to be written over while its SHA-256 is ([0-9a-f]{64})[^\n]*\n"
)
_PAGE = b'<meta name="generator" content="Stepladder'  # in every page, near its top
_SEARCH = b"# Found by stepladder search"
_ROWS = b"ladder,rung,params,seed,engine,"
_NEAR_THE_TOP = 2000


def signed(text: str, *, suffix: str) -> str:
    """A text with the comment that makes it ours; formats without comments stay as they are."""
    if suffix not in COMMENTS:
        return text
    text = text if text.endswith("\n") else text + "\n"
    text += "\n" if suffix == ".md" else ""  # or the comment would be of the last paragraph
    mark = f"Written by Stepladder {__version__}, to be written over while its SHA-256 is {_digest(_encoded(text))}"
    return f"{text}{COMMENTS[suffix].format(mark)}\n"


def require_ours(path: Path, *, force: bool, what: str) -> None:
    """Raise StoreError if a file is there that Stepladder did not write, or that was changed since.

    ``what`` says what it is not. With ``force`` any file may be written over, as may what is no ordinary file.
    """
    try:
        if force or not path.is_file():
            return
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        where = cut(str(path), most=300)
        raise StoreError(f"cannot write {where} ({reason}): give another file with --output") from None
    if not is_ours(content):
        found = "was changed since Stepladder wrote it" if _MARK.search(content) else f"is {what}"
        raise StoreError(
            f"{path} is there already and {found}: give another file with -o, or write over all of it with --force"
        )


def write_ours(path: Path, text: str, *, force: bool, what: str) -> None:
    """Write a text that is signed, or of a format without comments, where no file of somebody else's is lost."""
    require_ours(path, force=force, what=what)
    write_output(path, text)


def is_ours(content: bytes) -> bool:
    """Whether Stepladder wrote this, and nobody changed it; of nothing at all nothing can be lost."""
    marks = list(_MARK.finditer(content))
    if marks:
        return content.endswith(marks[-1][0]) and _digest(content[: marks[-1].start() + 1]) == marks[-1][1].decode()
    begins = content[:_NEAR_THE_TOP]
    return not content.strip() or _PAGE in begins or begins.startswith((_SEARCH, _ROWS)) or _is_json_report(content)


def _is_json_report(content: bytes) -> bool:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(body, dict) and {"schema_version", "ladder", "rungs", "provenance"} <= set(body)


def _encoded(text: str) -> bytes:
    return text.encode(errors="replace")


def _digest(content: bytes) -> str:
    """Of a text with either kind of line ends: git may change them."""
    return sha256(content.replace(b"\r\n", b"\n")).hexdigest()
