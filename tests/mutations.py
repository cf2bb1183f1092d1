"""Ladder files and command lines as nobody should write them: those that there are, with a few random mistakes."""

import re
from importlib import resources
from random import Random

from stepladder.ladders import ladder_file

_TOKEN = re.compile(r'"[^"\n]*"|[\w.+-]+|\s+|.', re.DOTALL)
_VALUES = (
    *("0", "-1", "1e999", "nan", "inf", "-0.0", "0x" + "f" * 5000, "9" * 4000, "9223372036854775808", "1e-320", "true"),
    *('""', '"x"', "[]", "{}", "[[]]", '{ kind = "adam" }', "{ kind = 3 }", '"' + "conv 8 " * 3000 + '"', "1979-05-27"),
    *(
        "'''\n\n'''",
        '"\\u0000"',
        '"\\u202e"',
        '"\\u001b]0;x\\u0007"',
        "[" * 60 + "]" * 60,
        '["gap", 3]',
        '"é\U0001f600"',
    ),
    *(
        '"conv 8 3"',
        '"linear 10 bias"',
        '"residual 999"',
        '"maxpool 999999999"',
        '"conv 999999999"',
        "a.b.c",
        "5",
        "0.99",
    ),
    *('["' + '", "'.join(["conv 1 1x1"] * 3000) + '", "convv"]', "None", "“x”", "\u00a0"),
)
_LINES = (
    *(
        "[[rung]]",
        "[rung]",
        "[rung.change]",
        "rung = 3",
        "lr = 0.1",
        "change.lr = 0.1",
        "change.droput = 0.1",
        "epochs = 2",
    ),
    *(
        "]",
        "}",
        '"',
        "= =",
        "\ufeff",
        "a" * 5000 + " = 1",
        "x.y.z.w = 1",
        "change = { lr = nan }",
        "[a.b.c.d.e]",
        "a." * 200,
    ),
)
COMMANDS = ("check", "show", "compare", "report", "ladders", "reproduce", "climb", "search", "runs")
TRAINING = ("climb", "search", "reproduce")
COSTLY = "costly.toml"  # a ladder over its budget: read, and refused before anything trains
_WORDS = (
    *(
        "climb",
        "check",
        "show",
        "report",
        "compare",
        "ladders",
        "train",
        "mnist-8k",
        "mnist-1000",
        "absent.toml",
        "",
        "-",
        "--",
    ),
    *(
        "--seeds",
        "0",
        "8-1",
        "9" * 5000,
        "1-3",
        "-1",
        "--jobs",
        "--engine",
        "foo",
        "--store",
        "\x7f",
        "é\U0001f600",
        "--json",
    ),
    *(
        "--format",
        "pdf",
        "--epochs",
        "--lr=3",
        "-o",
        "x" * 3000,
        "--device",
        "gpu",
        "--top",
        "--down",
        "--help",
        "-h",
        "-j4",
    ),
    *(
        "--until-decided",
        "--max-seeds",
        "65",
        "--port",
        "99999",
        "--seed",
        "a/b.toml",
        "*.toml",
        "=",
        "--=",
        "--no-such",
        COSTLY,
        "--params",
        "--trials",
        "--max-time",
        "1h30m",
        "--smallest",
        "--storage",
        "sqlite:///x.db",
        "--force",
        "--live",
        "list",
        "delete",
        "merge",
        "--yes",
        "--rung",
    ),
)


def shipped_text(name: str) -> str:
    return resources.files("stepladder.ladders").joinpath("shipped", f"{name}.toml").read_text(encoding="utf-8")


def costly_text() -> str:
    """The text of ``COSTLY``."""
    return re.sub("params = [0-9_]+", "params = 10", shipped_text("mnist-8k"), count=1)


def mutated_ladder(random: Random) -> str:
    """A shipped ladder with one to four mistakes: tokens gone, twice, exchanged or other, lines out of place."""
    tokens = _TOKEN.findall(shipped_text(random.choice(ladder_file.shipped())))
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(tokens))
        match random.randrange(8):
            case 0:
                del tokens[at]
            case 1:
                tokens.insert(at, tokens[at])
            case 2:
                other = random.randrange(len(tokens))
                tokens[at], tokens[other] = tokens[other], tokens[at]
            case 3 | 4:
                tokens[at] = random.choice(_VALUES)
            case 5:
                tokens.insert(at, f"\n{random.choice(_LINES)}\n")
            case 6:
                word = tokens[at]
                cut = random.randrange(len(word))
                tokens[at] = word[:cut] + random.choice(("", "x", word[cut] * 2, "\x00", "ß")) + word[cut + 1 :]
            case _:
                del tokens[at : at + random.randint(2, 60)]
        if not tokens:
            break
    return "".join(tokens)


def mutated_command_line(random: Random) -> list[str]:
    """Words in any order behind a command. What would train has a ladder that is over its budget."""
    first = random.choice((*COMMANDS, *COMMANDS, random.choice(_WORDS)))
    words = [first, *random.choices(_WORDS, k=random.randint(0, 6))]
    if any(word in TRAINING for word in words):
        words = [COSTLY if word.startswith("mnist-") else word for word in words]
    return words
