"""How messages say things: how many there are, what was given, and what may have been meant.

What others wrote is quoted in three ways: ``shown`` as Python would write it, ``flat`` on one line without quotation
marks, ``clipped`` its first line alone.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from stepladder._base.foreign import FIELD_WORDS, remedy

LONGEST_MESSAGE = 2_000  # characters; no message is longer, whatever it quotes
LONGEST_QUOTE = 120
LONGEST_LINE = 200  # the first of a text, such as what a damaged file says
LONGEST_TEXT = 300  # on one line, such as a path
LONGEST_WORD = 40  # no word of ours is longer, and no slip of the keyboard is looked for in longer ones


def is_are(n: int) -> str:
    return "is" if n == 1 else "are"


def n_of(n: int, noun: str, plural: str | None = None) -> str:
    """``1 seed``, ``2,000 images``; ``plural`` where it takes more than an s."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def seeds_text(seeds: Sequence[int]) -> str:
    """``101 to 200``; seeds with gaps one by one."""
    if len(seeds) > 1 and seeds[-1] - seeds[0] == len(seeds) - 1:
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds)) or "none"


def named_seeds(seeds: Sequence[int]) -> str:
    """``seed 101``, ``seeds 101 to 200``."""
    return f"seed{'' if len(seeds) == 1 else 's'} {seeds_text(seeds)}"


def cut(text: str, *, most: int) -> str:
    """A text of at most ``most`` characters: what is longer loses its middle, and says how long it was."""
    if len(text) <= most:
        return text
    gap = f" ... ({len(text):,} characters) ... "
    n_head = (most - len(gap)) * 2 // 3
    return text[:n_head] + gap + text[len(text) - (most - len(gap) - n_head) :]


def shown(value: object, *, most: int = LONGEST_QUOTE) -> str:
    """A value that somebody wrote, as Python would write it, for a message: long ones are cut in the middle."""
    if isinstance(value, str):
        return repr(cut(value, most=most))
    try:
        return cut(repr(value), most=most)
    except (ValueError, RecursionError):  # a whole number of more than 4,300 digits; lists in lists in lists
        return f"a {type(value).__name__} too large to show"


def words_of(error: BaseException) -> str:
    """What an error says of itself; that of somebody else's code may fail at it."""
    try:
        return str(error)
    except Exception:
        return ""


def clipped(text: str) -> str:
    """A text for a message, its first line, and not all of it where that is long."""
    return cut((text.splitlines() or [""])[0], most=LONGEST_LINE)


def flat(text: object, most: int = LONGEST_TEXT) -> str:
    """A text that others wrote, without quotation marks: cut in the middle if it is long, its lines put into one."""
    line = " ".join(str(text).replace("\0", "\\0").split())
    return line if len(line) <= most else f"{line[: most // 2]} ... {line[-most // 2 :]}"


_AT_THE_COMMAND = [False]  # whether the command line runs, whose door is another than Python's
_IN_PYTHON = {"output": "path", "o": "path"}


@contextmanager
def at_the_command() -> Iterator[None]:
    """While this goes on, messages name options as the command line has them, and not arguments."""
    before, _AT_THE_COMMAND[0] = _AT_THE_COMMAND[0], True
    try:
        yield
    finally:
        _AT_THE_COMMAND[0] = before


def option(name: str, value: str | bool | None = None) -> str:
    """What a person sets, in a message: ``--engine torch`` at the command line, in Python ``engine="torch"``.

    Without a value ``--store`` or ``store=``; a flag, whose value is True, ``--force`` or ``force=True``.
    """
    if not _AT_THE_COMMAND[0]:
        given = f'"{value}"' if isinstance(value, str) else "True" if value else ""
        return f"{_IN_PYTHON.get(name, name)}={given}"
    words = f"--{name}" if len(name) > 1 else f"-{name}"
    return f"{words} {value}" if isinstance(value, str) else words


def how_to_install(extra: str) -> str:
    """What to type for what Stepladder is not installed with; it is on no package index, so it names the folder."""
    return f"pip install '.[{extra}]' in Stepladder's folder"


def did_you_mean(word: str, known: Sequence[str], *, place: str = "") -> str:
    """The end of a message about an unknown word.

    A word of the field that is none of ours is translated, or told what is here instead (see ``foreign``); a slip of
    the keyboard is mended; else all that is known is listed. ``place`` says where the word stands.
    """
    meant = translation(word, known, place=place) or slip(word, known)
    if meant is None:
        return f"; known are {', '.join(sorted(known))}"
    return f"; did you mean {meant!r}?" if meant in known else f"; {meant}"


def translation(word: str, known: Sequence[str], *, place: str) -> str | None:
    """A known word that differs in case or hyphens alone, or what ``foreign`` says of it; None where neither is.

    Code counts as its name: ``nn.Conv2d(1,`` as conv2d.
    """
    for plain in (plainly(word), plainly(word[: 2 * LONGEST_WORD].partition("(")[0].rpartition(".")[2])):
        same = next((each for each in known if plain and plainly(each) == plain), None)
        if meant := same or remedy(place, plain):
            return meant
    return None


def plainly(word: str) -> str:
    """A word as it is looked up: small letters and digits alone."""
    return re.sub("[^a-z0-9]", "", word[: 2 * LONGEST_WORD].lower())


def slip(word: str, known: Sequence[str]) -> str | None:
    """The known word that a slip of the keyboard made this one of; None where it may be a word of its own.

    One letter that is missing, too many, wrong or changed places with its neighbour; two of them in a word of eight
    letters or more, or where two are missing, as in stid. Digits are never slips: mnist-4000 is not mnist-4500.
    """
    if not 2 < len(word) <= LONGEST_WORD or plainly(word) in FIELD_WORDS:
        return None
    word = word.lower()
    digits = re.findall(r"\d", word)
    as_long = [each for each in known if len(each) > 1 and abs(len(each) - len(word)) <= 2]
    near = [(_distance(word, each), each) for each in as_long if re.findall(r"\d", each) == digits]
    slips = sorted(pair for pair in near if pair[0] <= (2 if len(word) >= 8 or _is_part_of(word, pair[1]) else 1))
    if not slips or (len(slips) > 1 and slips[0][0] == slips[1][0]):
        return None
    return slips[0][1]


def _is_part_of(word: str, whole: str) -> bool:
    """Whether a word of four letters or more is another that lost some, not the first."""
    letters = iter(whole)
    return len(word) > 3 and word[0] == whole[0] and all(letter in letters for letter in word)


def _distance(a: str, b: str) -> int:
    """Letters to add, take away, replace or exchange with a neighbour to make ``b`` of ``a`` (Damerau 1964)."""
    before: list[int] = []
    above = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        row = [i]
        for j, other in enumerate(b, 1):
            best = min(above[j] + 1, row[-1] + 1, above[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                best = min(best, before[j - 2] + 1)
            row.append(best)
        before, above = above, row
    return above[-1]
