"""Text that shows what it is: no character of a name can move a cursor, turn a line around or hide.

Names, reasons, paths, messages of other libraries: none of it is trusted by a terminal or a page. What steers is shown
as Python would write it, ``\\x1b`` or ``\\u202e``.
"""

import json
import re
from typing import Any

from stepladder._base.wording import cut

MOST_CHARACTERS = 1_900  # of one message: no more than 2,000 with what stands before it

# Control characters but for tabs and line ends (C0, DEL, C1); invisible ones (soft hyphen, zero width, fillers); marks,
# overrides and isolates of direction; line and paragraph separators; halves of surrogate pairs; tags.
_STEERING = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
_UNSAFE = re.compile(f"[{_STEERING}]")
_UNSAFE_IN_NAMES = re.compile(f"[\t\n{_STEERING}]")
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]")  # full-width ones count too


def neutral(text: str) -> str:
    """A text whose every character can be seen, but for spaces, tabs and line ends."""
    return _UNSAFE.sub(_as_python_writes_it, text)


def steering(name: str) -> str:
    """The first character of a name that is not fit for one, as Python writes it; empty if there is none."""
    found = _UNSAFE_IN_NAMES.search(name)
    return _as_python_writes_it(found) if found else ""


def message(text: str) -> str:
    """What is said to a person in one go: neutral, and not too long."""
    return cut(neutral(text), most=MOST_CHARACTERS)


def json_text(value: Any) -> str:
    """JSON that reads as the same value, and shows what it is."""
    return _UNSAFE.sub(_as_json_writes_it, json.dumps(value, indent=1, ensure_ascii=False))


def cell(text: str) -> str:
    """A text as a spreadsheet's cell: neutral, and never a formula (an apostrophe before it says so)."""
    shown = neutral(text)
    return f"'{shown}" if _FORMULA.match(shown) else shown


def _as_python_writes_it(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _as_json_writes_it(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]
