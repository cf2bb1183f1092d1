"""The text of a ladder file, and TOML made of it: what cannot be read is refused with its line and the likely cause."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from stepladder._base.wording import LONGEST_QUOTE, cut, is_are, shown
from stepladder.errors import LadderError
from stepladder.ladders.toml_lines import Location, line_of, place_in

MOST_BYTES = 1_000_000  # a ladder of 600 rungs has 50,000
MOST_PARTS = 64  # of a dotted key; reading one takes the square of their number
LONGEST_PATH = 300
MOST_RUNGS = 2_000  # with their variants; trained one after the other, these take weeks
MOST_LAYERS = 5_000  # of one network
MOST_WRITTEN = 20_000  # layers of all networks of a file
MOST_LAYERS_OF_ALL = 100_000  # rungs times the layers of the longest network
MOST_DIGITS = 300  # of a whole number; those of 64 bits have 19

_MANY_DIGITS = re.compile(rf"(?<![\w.+-])[+-]?(?:[0-9]_?){{{MOST_DIGITS}}}")
# What may hold a quotation mark, and three of them that nothing closes.
_STRINGS = re.compile(
    r"""
      \# [^\n]*+
    | \"{3} (?: [^"\\]++ | \\. | "(?!"") )*+ \"{3,5}
    | '{3} (?: [^']++ | '(?!'') )*+ '{3,5}
    | (?P<open> \"{3} | '{3} )
    | " (?: [^"\\\n]++ | \\. )*+ "
    | ' [^'\n]*+ '
    """,
    re.VERBOSE | re.DOTALL,
)
_MANY_PARTS = re.compile(rf"""(?<![\w"'.-])(?:[\w"'-]++[ \t]*+\.[ \t]*+){{{MOST_PARTS}}}""")

# What a line that is no TOML looks like, and what to write: the first that fits.
_CAUSES = (
    (r"[“”„‘’«»]", "write straight quotes, \" or '"),
    (
        r"\S\u00a0|\u00a0\S|[\u200b\ufeff]",
        "it has a space that is not an ordinary one: copy the line again, or type it",
    ),
    (
        r"^\s*[{<]|^---|^%",
        "this is another format than TOML: docs/ladders.md begins with a short ladder",
    ),
    (r"=\s*(True|False|TRUE|FALSE)\b", "true and false are written in small letters"),
    (r"=\s*(None|null|nil)\b", "TOML has no null: leave the line out"),
    (r"""^\s*["']?[\w-]+["']?\s*:""", "write key = value, with = and not with :"),
    (r"""^[^"'#]*=[^"'#]*["'][^"']*$""", "a quotation mark is missing"),
    (r"=\s*[A-Za-z_~./\\][^\"'\[{=]*$", "texts stand in quotes"),
    (r"""=\s*"[^"]*\\[^"]*""", "a backslash in a text is written twice, or the text in single quotes"),
    (r"=\s*$", "a value is missing behind ="),
    (r"^\s*\[[^\]]*$|^[^\[]*\][^\]]*$", "a bracket is missing"),
    (r"^\s*[\w.-]+\s*$|^\s*[\w.-]+\s+[^=\s][^=]*$", "write key = value: the = is missing"),
)


_ONE_BRACKET = re.compile(r"^[ \t]*\[[ \t]*rung[ \t]*(?P<inner>\.[ \t]*variant[ \t]*)?\][ \t]*(?:#.*)?$", re.MULTILINE)

TOO_LARGE = "a whole number of more than 64 bits: write a smaller one, of at most 18 digits"
USUAL = "write key = value, texts in quotes, lists in [ ], tables in { } on one line"


def read_file(path: Path) -> str:
    """The text of a ladder file. Raises LadderError."""
    name = cut(str(path), most=LONGEST_PATH)
    try:
        if path.is_dir():
            example = next((each.name for each in sorted(path.glob("*.toml"))), "mine.toml")
            raise LadderError(
                f"{name}: cannot read this ladder file: it is a folder: name one file in it, as in {path / example}"
            )
        if path.exists() and not path.is_file():
            raise LadderError(f"{name}: cannot read this ladder file: it is not an ordinary file")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise LadderError(f"{name}: more than {MOST_BYTES:,} bytes: this is not a ladder file")
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except FileNotFoundError:
        raise LadderError(
            f"{name}: cannot read this ladder file: No such file or directory{_others_near(path)}"
        ) from None
    except UnicodeDecodeError:
        raise LadderError(f"{name}: cannot read this ladder file: {_no_text(path)}") from None
    except (OSError, ValueError) as error:
        if isinstance(error, LadderError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise LadderError(f"{name}: cannot read this ladder file: {reason}") from None


def _no_text(path: Path) -> str:
    if path.suffix == ".npz":
        return f"it is a set of images: 'stepladder new {path}' writes a ladder for them"
    return "it is no text in UTF-8, but a picture, an archive, or a text that was saved in another encoding"


def file_meant(path: Path, *, others: Sequence[str]) -> Path | None:
    """The ladder file beside that a path without the ending .toml, or with a slip in it, is most like.

    None where it is more like one of the ``others``, which are no files.
    """
    try:
        names = [each.name for each in path.parent.glob("*.toml")]
    except (OSError, ValueError):
        return None
    stems = {name.removesuffix(".toml").lower(): name for name in names}
    written = path.name[:LONGEST_PATH].lower()
    known = [*stems, *(name for name in others if name not in stems)]
    near = [written] if written in stems else get_close_matches(written.partition(".")[0], known, n=1, cutoff=0.7)
    return path.with_name(stems[near[0]]) if near and near[0] in stems else None


def _others_near(path: Path) -> str:
    """The ladder files in the folder of one that is not there."""
    if not path.parent.is_dir():
        return f": there is no folder {shown(str(path.parent))}"
    others = sorted(each.name for each in path.parent.glob("*.toml"))
    if not others:
        return ": no .toml file is in that folder; 'stepladder ladders' lists those that come with Stepladder"
    listed = f"that folder {is_are(len(others))} {cut(', '.join(others), most=200)}"
    stems = {name.removesuffix(".toml"): name for name in others}
    near = get_close_matches(path.name[:LONGEST_PATH].removesuffix(".toml"), stems, n=1)
    return f"; did you mean {shown(stems[near[0]])}? In {listed}" if near else f": in {listed}"


def parsed(text: str, *, file: str) -> dict[str, Any]:
    """The TOML of a ladder file. Raises LadderError that names the line, its text and the likely cause."""
    file = cut(file, most=LONGEST_PATH)
    if many := _MANY_PARTS.search(text):
        line = text.count("\n", 0, many.start()) + 1
        raise LadderError(f"{file}:{line}: a key of more than {MOST_PARTS} parts")
    try:
        tree = tomllib.loads(text)
    except RecursionError:
        raise LadderError(f"{file}: brackets in brackets, deeper than any ladder needs") from None
    except ValueError as error:
        raise LadderError(_no_toml(text, str(error), file)) from None
    for where, value in _integers(tree, ()):
        if not -(2**63) <= value < 2**63:
            raise LadderError(f"{file}:{line_of(text, where)}: {_field(where)}{TOO_LARGE}")
    _require_bounded(tree, text, file)
    return tree


def _field(where: Location) -> str:
    """The name of the field at a place, before what is said of it."""
    name = next((part for part in reversed(where) if isinstance(part, str)), "")
    return f"{cut(name, most=LONGEST_QUOTE)} is " if name else ""


def _require_bounded(tree: dict[str, Any], text: str, file: str) -> None:
    """Refuse what takes longer to look at than anybody waits: it is no ladder that a person climbs."""
    rungs = tree.get("rung")
    networks = [*_networks(tree, ())]
    n_rungs = sum(map(_n_in, rungs)) if isinstance(rungs, list) else 0
    where, n_layers = max(networks, key=lambda each: each[1], default=((), 0))
    if n_rungs > MOST_RUNGS:
        where, problem = ("rung", MOST_RUNGS), f"a ladder has at most {MOST_RUNGS:,} rungs, and this one {n_rungs:,}"
    elif n_layers > MOST_LAYERS:
        problem = f"a network has at most {MOST_LAYERS:,} layers, and this one {n_layers:,}: give it fewer"
    elif (n_written := sum(number for _, number in networks)) > MOST_WRITTEN:
        problem = f"the networks of a ladder have at most {MOST_WRITTEN:,} layers in all, and these {n_written:,}"
    elif n_rungs * n_layers > MOST_LAYERS_OF_ALL:
        problem = f"{n_rungs:,} rungs of up to {n_layers:,} layers: a ladder has at most {MOST_LAYERS_OF_ALL:,} in all"
    else:
        return
    advice = "" if problem.endswith("fewer") else ": split it into several files"
    raise LadderError(f"{file}:{line_of(text, where)}: {problem}{advice}")


def _n_in(rung: Any) -> int:
    """A rung and its variants."""
    variants = rung.get("variant") if isinstance(rung, dict) else None
    return 1 + (len(variants) if isinstance(variants, list) else 0)


def _networks(value: Any, where: Location) -> Iterator[tuple[Location, int]]:
    """Every list under the name of a network, with its place and how long it is."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "network" and isinstance(inner, list):
                yield (*where, key), len(inner)
            else:
                yield from _networks(inner, (*where, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _networks(inner, (*where, index))


def _no_toml(text: str, problem: str, file: str) -> str:
    if "integer string conversion" in problem and (many := _MANY_DIGITS.search(text)):
        number = text.count("\n", 0, many.start()) + 1
        key = re.search(r"([\w-]+)\s*=\s*$", text[max(0, many.start() - 200) : many.start()])
        return f"{file}:{number}: {_field((key[1],) if key else ())}{TOO_LARGE}"
    if problem.endswith("(at end of document)") and (opened := _never_closed(text)):
        number, mark = text.count("\n", 0, opened.start()) + 1, opened[0]
        line = shown(text.split("\n")[number - 1].strip())
        return (
            f"{file}:{number}: not a TOML file: the {mark} in the line {line} is never closed: end the text with {mark}"
        )
    found = re.search(r"at line (\d+)", problem)
    lines = text.rstrip().split("\n") if "at end of document" in problem else text.split("\n")
    if not found and "at end of document" not in problem:
        return f"{file}: not a TOML file: {cut(problem, most=200)}"
    number = int(found[1]) if found else _unclosed(lines, problem) or len(lines)
    line = [*lines, ""][number - 1]
    problem = re.sub(r" \(at line \d+, column (\d+)\)$", r" (at column \1)", problem)  # the line stands before it
    problem = re.sub(r"\(('[^()]*?),?\)", lambda parts: parts[1].replace("', '", "."), problem)
    if _is_twice(problem) and (single := _ONE_BRACKET.search(text)):
        return (
            f"{file}:{text.count(chr(10), 0, single.start()) + 1}: {brackets('variant' if single['inner'] else 'rung')}"
        )
    column = re.search(r"at column (\d+)\)$", problem)
    before = "\n".join([*lines[: number - 1], line[: int(column[1]) - 1] if column else line])
    rest = line[len(before.rpartition("\n")[2]) :]
    cause = _number(line) or _in_brackets(before, line, rest) or _cause(line, problem)
    cause = cause or (USUAL if found else "a bracket or a quotation mark above is never closed")
    return f"{file}:{number}: not a TOML file: {cut(problem, most=200)}, in the line {shown(line.strip())}: {cause}"


def brackets(name: str) -> str:
    """What to write for a rung or a variant that stands in single brackets."""
    table = "rung.variant" if name == "variant" else name
    return f"each {name} begins with [[{table}]], in two brackets: write [[{table}]] for [{table}]"


def _has_open_quote(line: str) -> bool:
    """Whether a text in quotes begins on a line that does not end there."""
    bare = re.sub(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|#.*", "", line)
    return '"' in bare or "'" in bare


def _unclosed(lines: list[str], problem: str) -> int | None:
    """The line, from 1, of a text in single quotes that tomllib has looked for the end of, to the end of the file."""
    if not problem.startswith('Expected "\'"'):
        return None
    return next((number for number, line in enumerate(lines, 1) if _has_open_quote(line)), None)


def _in_brackets(before: str, line: str, rest: str) -> str | None:
    """What is wrong in a list or table in brackets that a text breaks off in: at ``rest`` of its last line."""
    place = place_in(before)
    if _has_open_quote(line) and (place.opened or place_in(before.rpartition("\n")[0]).opened):
        return "a quotation mark is missing"
    if not place.opened:
        return None
    bracket, begun = place.opened[0]
    starts_anew = re.match(r"\s*(?:[\w.-]+\s*=|\[\[?\s*[A-Za-z_][\w.]*\s*\])", line) is not None
    if bracket == "[" and (not rest.strip() or (starts_anew and begun < before.count("\n") + 1)):
        return f"the list that begins in line {begun} is never closed: write ] at its end"
    if place.opened[-1][0] == "{" and not rest.strip():
        return "a table in { } stands on one line"
    if place.last not in ("", "[", "{", ",", "=", ".") and not rest.startswith(("=", ".", "]", "}")):
        return f"a comma is missing behind {shown(place.last)} in line {place.last_line}"
    return None


def _never_closed(text: str) -> re.Match[str] | None:
    """The three quotation marks that open a text which goes on to the end of the file, if any do."""
    return next((each for each in _STRINGS.finditer(text) if each["open"]), None)


def _is_twice(problem: str) -> bool:
    return re.search("overwrite|twice|redefine|Cannot (declare|mutate|namespace)", problem) is not None


def _number(line: str) -> str | None:
    """How a number is written that has a percent sign, a k or M, or commas: ``accuracy = 95%``, ``params = 2k``."""
    bare = re.sub(r"\"[^\"]*\"|'[^']*'", '""', line[:500])
    if percent := re.search(r"([\w-]+)\s*=\s*(\d{1,9}(?:\.\d{1,9})?)\s*%", bare):
        number = Decimal(percent[2])
        written = float(number) if percent[1] == "accuracy" else f"{number.scaleb(-2).normalize():f}"
        return f"write {written} without %"
    if short := re.search(r"=\s*(\d{1,6}(?:\.\d{1,6})?)\s*([kKmM])\b", bare):
        return f"write {int(Decimal(short[1]) * (1000 if short[2] in 'kK' else 10**6)):_}"
    if commas := re.search(r"=\s*(\d{1,3}(?:,\d{3}){1,4})(?![\d.])", bare):
        return f"write {commas[1].replace(',', '_')}"
    return None


def _cause(line: str, problem: str) -> str | None:
    if _is_twice(problem):
        return "a key or table is given twice, or as change = { ... } and under [rung.change] as well"
    return next((cause for pattern, cause in _CAUSES if re.search(pattern, line[:500])), None)


def _integers(value: Any, where: Location) -> Any:
    """Every whole number of a tree, with its place."""
    if isinstance(value, int) and not isinstance(value, bool):
        yield where, value
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _integers(inner, (*where, key))


def as_toml(value: object) -> str:
    """A short value as TOML has it; three dots for any other."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and len(value) <= 40 and value.isprintable() and not set(value) & set('"\\'):
        return f'"{value}"'
    return repr(value) if isinstance(value, int | float) and abs(value) < 1e15 else "..."
