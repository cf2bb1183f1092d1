"""Which files Stepladder wrote itself, and may therefore write over: what a person wrote or changed is never lost.

A file of ours ends in a comment with a checksum of all that is before it; JSON has a last field instead. CSV has no
place for either: nobody can tell whether it was changed, so it is kept too, as is what earlier versions wrote.
"""

import re
from hashlib import sha256
from pathlib import Path

from stepladder import __version__
from stepladder._base.outputs import write_output
from stepladder._base.wording import cut, option
from stepladder.errors import StoreError

COMMENTS = {".html": "<!-- {} -->", ".svg": "<!-- {} -->", ".md": "[//]: # ({})", ".toml": "# {}"}

_MARK = re.compile(
    rb"\n[^\n]*Written by Stepladder [^\s,]+, to be written over while its SHA-256 is ([0-9a-f]{64})[^\n]*\n"
)
# What the first bytes of files are that no mark tells of, or none did in earlier versions.
_UNMARKED = re.compile(
    rb'(?s)(?P<table>ladder,rung,params,seed,engine,)|(?P<page>.{0,2000}<meta name="generator" content="Stepladder)'
    rb"|(?P<ladder># Found by stepladder search)"
)
# What a store calls its files, in itself and in the folders of its runs.
_STORED = re.compile(r"store\.json|speed\.json|looks\.json|search\.db|seed-\d+\..*")


def signed(text: str, *, suffix: str) -> str:
    """A text with the comment that makes it ours, JSON (an object) with a last field; others stay as they are."""
    if suffix == ".json":
        before = f"{text.rstrip().removesuffix('}').rstrip()},\n"
        return f'{before} "written_by": "{_mark_of(before)}"\n}}\n'
    if suffix not in COMMENTS:
        return text
    text = text if text.endswith("\n") else text + "\n"
    text += "\n" if suffix == ".md" else ""  # or the comment would be of the last paragraph
    return f"{text}{COMMENTS[suffix].format(_mark_of(text))}\n"


def _mark_of(text: str) -> str:
    return f"Written by Stepladder {__version__}, to be written over while its SHA-256 is {_digest(_encoded(text))}"


def require_ours(path: Path, *, force: bool, what: str, instead: str = "") -> None:
    """Raise StoreError if a file is there that Stepladder did not write, or that was changed since.

    ``what`` says what it is not. With ``force`` any file may be overwritten, as may what is not an ordinary file, and
    what is the beginning of what is to be there ``instead``.
    """
    try:
        if _STORED.fullmatch(path.name) and any((each / "store.json").exists() for each in path.parents[:2]):
            raise StoreError(f"{path} is a name of the store's own files: give another file with {option('o')}")
        if force or not path.is_file():
            return
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        where = cut(str(path), most=300)
        raise StoreError(f"cannot write {where} ({reason}): give another file with {option('output')}") from None
    if not is_ours(content) and not _encoded(instead).startswith(content):
        found = _whose(content) or f"is {what}"
        raise StoreError(
            f"{path} is there already and {found}: give another file with {option('o')}, or overwrite all of it with"
            f" {option('force', True)}"
        )


def write_ours(path: Path, text: str, *, force: bool, what: str) -> None:
    """Write a text that is signed, or of a format without comments, where no file of somebody else's is lost."""
    require_ours(path, force=force, what=what, instead=text)
    write_output(path, text)


def is_ours(content: bytes) -> bool:
    """Whether Stepladder wrote this, and nobody changed it; of nothing at all nothing can be lost."""
    marks = list(_MARK.finditer(content))
    if not marks:
        return not content.strip()
    after, is_json = content[marks[-1].end() :], content[marks[-1].start() + 1 :].startswith(b' "written_by"')
    is_last = after.strip() == b"}" if is_json else not after
    return is_last and _digest(content[: marks[-1].start() + 1]) == marks[-1][1].decode()


def _whose(content: bytes) -> str:
    """What is known of a file that is not ours; empty if nothing is."""
    if _MARK.search(content):
        return "was changed since Stepladder wrote it"
    if found := _UNMARKED.match(content):
        return f"is a {found.lastgroup} without a mark, so that nobody can tell whether it was changed since"
    return ""


def _encoded(text: str) -> bytes:
    return text.encode(errors="replace")


def _digest(content: bytes) -> str:
    """Of a text with either kind of line ends: git may change them."""
    return sha256(content.replace(b"\r\n", b"\n")).hexdigest()
